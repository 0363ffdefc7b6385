// The table of CUDA driver functions, filled at run time from libcuda.so.1 (or, in tests, by hand).
#pragma once

#include <string>
#include <string_view>

#include "runtime/cuda/abi.h"
#include "runtime/error.h"

namespace rose::runtime::cuda {

/// All driver functions that the runtime calls, under their names without "cu". driver.cpp lists the CUDA
/// version of each signature.
struct Functions {
  Result (*get_error_name)(Result, const char**);
  Result (*get_error_string)(Result, const char**);
  Result (*init)(unsigned flags);
  Result (*driver_get_version)(int*);

  Result (*device_get)(DeviceNumber*, int ordinal);
  Result (*device_get_count)(int*);
  Result (*device_get_name)(char*, int size, DeviceNumber);
  Result (*device_total_mem)(size_t*, DeviceNumber);
  Result (*device_get_attribute)(int*, DeviceAttribute, DeviceNumber);

  Result (*primary_context_retain)(ContextHandle*, DeviceNumber);
  Result (*primary_context_release)(DeviceNumber);
  Result (*context_set_current)(ContextHandle);
  Result (*context_synchronize)();
  Result (*context_get_stream_priority_range)(int* least, int* greatest);

  Result (*module_load_data_ex)(ModuleHandle*, const void* image, unsigned count, JitOption*, void** values);
  Result (*module_unload)(ModuleHandle);
  Result (*module_get_function)(FunctionHandle*, ModuleHandle, const char* name);
  Result (*function_load)(FunctionHandle);
  Result (*function_get_attribute)(int*, FunctionAttribute, FunctionHandle);
  Result (*function_set_attribute)(FunctionHandle, FunctionAttribute, int);
  Result (*launch_kernel_ex)(const LaunchConfig*, FunctionHandle, void** parameters, void** extra);
  Result (*occupancy_blocks)(int*, FunctionHandle, int block_size, size_t shared_bytes);
  Result (*occupancy_clusters)(int*, FunctionHandle, const LaunchConfig*);

  Result (*stream_create_with_priority)(StreamHandle*, unsigned flags, int priority);
  Result (*stream_destroy)(StreamHandle);
  Result (*stream_synchronize)(StreamHandle);
  Result (*stream_query)(StreamHandle);
  Result (*stream_wait_event)(StreamHandle, EventHandle, unsigned flags);
  Result (*stream_begin_capture)(StreamHandle, CaptureMode);
  Result (*stream_end_capture)(StreamHandle, GraphHandle*);
  Result (*stream_is_capturing)(StreamHandle, CaptureStatus*);

  Result (*event_create)(EventHandle*, unsigned flags);
  Result (*event_destroy)(EventHandle);
  Result (*event_record)(EventHandle, StreamHandle);
  Result (*event_query)(EventHandle);
  Result (*event_synchronize)(EventHandle);
  Result (*event_elapsed_time)(float* milliseconds, EventHandle start, EventHandle end);

  Result (*memory_get_info)(size_t* free, size_t* total);
  Result (*memory_allocate)(DeviceAddress*, size_t);
  Result (*memory_free)(DeviceAddress);
  Result (*memory_host_allocate)(void**, size_t, unsigned flags);
  Result (*memory_host_free)(void*);
  Result (*pool_create)(PoolHandle*, const PoolProperties*);
  Result (*pool_destroy)(PoolHandle);
  Result (*pool_set_attribute)(PoolHandle, PoolAttribute, void*);
  Result (*pool_get_attribute)(PoolHandle, PoolAttribute, void*);
  Result (*pool_trim_to)(PoolHandle, size_t keep);
  Result (*memory_allocate_from_pool)(DeviceAddress*, size_t, PoolHandle, StreamHandle);
  Result (*memory_free_async)(DeviceAddress, StreamHandle);
  Result (*copy_async)(DeviceAddress to, DeviceAddress from, size_t, StreamHandle);
  Result (*copy_to_device_async)(DeviceAddress to, const void* from, size_t, StreamHandle);
  Result (*copy_to_host_async)(void* to, DeviceAddress from, size_t, StreamHandle);
  Result (*fill_bytes_async)(DeviceAddress, unsigned char, size_t count, StreamHandle);
  Result (*fill_words_async)(DeviceAddress, unsigned, size_t count, StreamHandle);

  Result (*graph_instantiate)(GraphExecHandle*, GraphHandle, unsigned long long flags);
  Result (*graph_launch)(GraphExecHandle, StreamHandle);
  Result (*graph_exec_update)(GraphExecHandle, GraphHandle, GraphUpdateResult*);
  Result (*graph_exec_destroy)(GraphExecHandle);
  Result (*graph_destroy)(GraphHandle);
  Result (*graph_get_nodes)(GraphHandle, GraphNodeHandle*, size_t* count);

  Result (*tensor_map_encode_tiled)(void* map, int type, uint32_t rank, void* base, const uint64_t* dims,
                                    const uint64_t* strides, const uint32_t* box,
                                    const uint32_t* element_strides, int interleave, int swizzle, int l2,
                                    int fill);
};

/// The lowest driver that can compile the code of a target: its CUDA version (1000 × major + 10 × minor) and
/// the first driver branch with it, for messages.
struct DriverNeed {
  int cuda_version;
  int branch;
};
DriverNeed driver_need(std::string_view target);

/// An initialised driver. Immutable; shared by all devices.
class Driver {
 public:
  /// Initialises the driver behind `functions`. Throws DeviceError like open_cuda_driver.
  explicit Driver(const Functions& functions);

  const Functions& functions() const { return functions_; }
  int version() const { return version_; }

  /// Throws the DeviceError of a result that is not success. `doing` completes "while …".
  void check(Result result, std::string_view doing) const {
    if (result != kSuccess) throw error(result, doing);
  }
  /// "NAME (text) while doing; advice": the kind says how a caller may react.
  DeviceError error(Result result, std::string_view doing) const;

 private:
  Functions functions_;
  int version_ = 0;
};

/// "12.7" from 12070.
std::string version_text(int cuda_version);

/// Fills the table from a library that exports cuGetProcAddress_v2. Throws DeviceError: kMissingDriver,
/// kDriverTooOld.
Functions load_functions(const std::string& library);

}  // namespace rose::runtime::cuda
