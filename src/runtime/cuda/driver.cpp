#include "runtime/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "runtime/cuda/device.h"

namespace rose::runtime {
namespace cuda {
namespace {

using GetProcAddress = Result (*)(const char* symbol, void** function, int version, uint64_t flags,
                                  int* found);

// The first version that the runtime can talk to at all; targets may need more (driver_need).
constexpr int kOldestVersion = 12070;
constexpr int kOldestBranch = 565;

DeviceError too_old(const std::string& what, int branch, int version) {
  return DeviceError(ErrorKind::kDriverTooOld,
                     fmt::format("{}; install NVIDIA driver {} or newer (CUDA {}), or choose the x86 device",
                                 what, branch, version_text(version)));
}

struct Advice {
  ErrorKind kind;
  const char* text;
};

Advice advice_for(Result result) {
  switch (result) {
    case kOutOfMemory:
      return {ErrorKind::kOutOfMemory, "free memory on the GPU (other processes count too) or ask for less"};
    case kStubLibrary:
      return {ErrorKind::kMissingDriver,
              "this libcuda is the toolkit's stub; take its folder out of LD_LIBRARY_PATH and install the "
              "driver"};
    case kSystemDriverMismatch:
      return {ErrorKind::kMissingDriver,
              "libcuda and the kernel module are of different drivers; reboot, or install matching ones"};
    case kCompatNotSupported:
      return {ErrorKind::kDriverTooOld,
              "the CUDA compatibility package does not support this GPU; install a newer driver instead"};
    case kNeedsNewerDriver:
    case kUnsupportedPtxVersion:
      return {ErrorKind::kDriverTooOld, "install a newer NVIDIA driver"};
    case kSystemNotReady:
      return {ErrorKind::kNoDevice,
              "the GPUs are not ready; on NVSwitch machines start nvidia-fabricmanager"};
    case kNoDevice:
    case kInvalidDevice:
      return {
          ErrorKind::kNoDevice,
          "see `nvidia-smi -L` and CUDA_VISIBLE_DEVICES; containers need --gpus; or choose the x86 device"};
    case kDeviceUnavailable:
      return {ErrorKind::kNoDevice, "another process has the GPU for itself (compute mode exclusive)"};
    case kInvalidImage:
    case kNoBinaryForGpu:
    case kInvalidPtx:
    case kInvalidSource:
    case kNotFound:
      return {ErrorKind::kInvalidProgram, "this is a mistake in the code generator"};
    case kJitCompilerNotFound:
      return {ErrorKind::kMissingDriver,
              "libnvidia-ptxjitcompiler.so.1 is missing; install the whole driver (in containers "
              "NVIDIA_DRIVER_CAPABILITIES=compute,utility)"};
    case kJitDisabled:
      return {ErrorKind::kUnsupported, "unset CUDA_DISABLE_PTX_JIT and CUDA_DISABLE_JIT"};
    case kInvalidValue:
    case kInvalidHandle:
    case kLaunchOutOfResources:
    case kInvalidClusterSize:
      return {ErrorKind::kInvalidArgument, "check grid, threads, shared memory and arguments"};
    case kCooperativeTooLarge:
      return {ErrorKind::kInvalidArgument,
              "take a grid of at most Device::resident_blocks for cooperative programs"};
    case kNotSupported:
      return {ErrorKind::kUnsupported, "this GPU or driver does not have the feature"};
    case kCaptureUnsupported:
    case kCaptureInvalidated:
      return {ErrorKind::kInvalidArgument, "this call is not possible while a stream is being captured"};
    case kEccUncorrectable:
    case kNvlinkUncorrectable:
      return {ErrorKind::kLost,
              "the hardware reported an error; restart the process and look at dmesg for Xid lines"};
    case kIllegalAddress:
    case kLaunchTimeout:
    case kContextDestroyed:
    case kAssert:
    case kHardwareStackError:
    case kIllegalInstruction:
    case kMisalignedAddress:
    case kInvalidAddressSpace:
    case kInvalidPc:
    case kLaunchFailed:
    case kTensorMemoryLeak:
    case kContained:
      return {ErrorKind::kLost,
              "a kernel queued before this call failed and the GPU context is lost: restart the process; to "
              "find the "
              "kernel, run with CUDA_LAUNCH_BLOCKING=1 or under compute-sanitizer"};
    default:
      return {ErrorKind::kInternal, ""};
  }
}

// Looks up one function after another; the version is that of the signature in Functions.
class Loader {
 public:
  explicit Loader(GetProcAddress get) : get_(get) {}

  template <class Function>
  void operator()(Function& slot, const char* name, int version) const {
    void* address = nullptr;
    const Result result = get_(name, &address, version, kGetProcDefault, nullptr);
    if (result == kStubLibrary) {
      throw DeviceError(ErrorKind::kMissingDriver,
                        fmt::format("no CUDA driver: {}", advice_for(result).text));
    }
    if (result != kSuccess || !address) {
      throw too_old(fmt::format("the CUDA driver has no {} of CUDA {}", name, version_text(version)),
                    kOldestBranch, kOldestVersion);
    }
    slot = reinterpret_cast<Function>(address);
  }

 private:
  GetProcAddress get_;
};

void load_basics(const Loader& load, Functions& f) {
  load(f.get_error_name, "cuGetErrorName", 6000);
  load(f.get_error_string, "cuGetErrorString", 6000);
  load(f.init, "cuInit", 2000);
  load(f.driver_get_version, "cuDriverGetVersion", 2020);
  load(f.device_get, "cuDeviceGet", 2000);
  load(f.device_get_count, "cuDeviceGetCount", 2000);
  load(f.device_get_name, "cuDeviceGetName", 2000);
  load(f.device_total_mem, "cuDeviceTotalMem", 3020);
  load(f.device_get_attribute, "cuDeviceGetAttribute", 2000);
  load(f.primary_context_retain, "cuDevicePrimaryCtxRetain", 7000);
  load(f.primary_context_release, "cuDevicePrimaryCtxRelease", 11000);
  load(f.context_set_current, "cuCtxSetCurrent", 4000);
  load(f.context_synchronize, "cuCtxSynchronize", 2000);
  load(f.context_get_stream_priority_range, "cuCtxGetStreamPriorityRange", 5050);
}

void load_execution(const Loader& load, Functions& f) {
  load(f.module_load_data_ex, "cuModuleLoadDataEx", 2010);
  load(f.module_unload, "cuModuleUnload", 2000);
  load(f.module_get_function, "cuModuleGetFunction", 2000);
  load(f.function_load, "cuFuncLoad", 12040);
  load(f.function_get_attribute, "cuFuncGetAttribute", 2020);
  load(f.function_set_attribute, "cuFuncSetAttribute", 9000);
  load(f.launch_kernel_ex, "cuLaunchKernelEx", 11060);
  load(f.occupancy_blocks, "cuOccupancyMaxActiveBlocksPerMultiprocessor", 6050);
  load(f.occupancy_clusters, "cuOccupancyMaxActiveClusters", 11070);
  load(f.stream_create_with_priority, "cuStreamCreateWithPriority", 5050);
  load(f.stream_destroy, "cuStreamDestroy", 4000);
  load(f.stream_synchronize, "cuStreamSynchronize", 2000);
  load(f.stream_query, "cuStreamQuery", 2000);
  load(f.stream_wait_event, "cuStreamWaitEvent", 3020);
  load(f.stream_begin_capture, "cuStreamBeginCapture", 10010);
  load(f.stream_end_capture, "cuStreamEndCapture", 10000);
  load(f.stream_is_capturing, "cuStreamIsCapturing", 10000);
  load(f.event_create, "cuEventCreate", 2000);
  load(f.event_destroy, "cuEventDestroy", 4000);
  load(f.event_record, "cuEventRecord", 2000);
  load(f.event_query, "cuEventQuery", 2000);
  load(f.event_synchronize, "cuEventSynchronize", 2000);
  load(f.event_elapsed_time, "cuEventElapsedTime", 2000);
}

void load_memory_and_graphs(const Loader& load, Functions& f) {
  load(f.memory_get_info, "cuMemGetInfo", 3020);
  load(f.memory_allocate, "cuMemAlloc", 3020);
  load(f.memory_free, "cuMemFree", 3020);
  load(f.memory_host_allocate, "cuMemHostAlloc", 2020);
  load(f.memory_host_free, "cuMemFreeHost", 2000);
  load(f.pool_create, "cuMemPoolCreate", 11020);
  load(f.pool_destroy, "cuMemPoolDestroy", 11020);
  load(f.pool_set_attribute, "cuMemPoolSetAttribute", 11020);
  load(f.pool_get_attribute, "cuMemPoolGetAttribute", 11020);
  load(f.pool_trim_to, "cuMemPoolTrimTo", 11020);
  load(f.memory_allocate_from_pool, "cuMemAllocFromPoolAsync", 11020);
  load(f.memory_free_async, "cuMemFreeAsync", 11020);
  load(f.copy_async, "cuMemcpyAsync", 4000);
  load(f.copy_to_device_async, "cuMemcpyHtoDAsync", 3020);
  load(f.copy_to_host_async, "cuMemcpyDtoHAsync", 3020);
  load(f.fill_bytes_async, "cuMemsetD8Async", 3020);
  load(f.fill_words_async, "cuMemsetD32Async", 3020);
  load(f.graph_instantiate, "cuGraphInstantiateWithFlags", 11040);
  load(f.graph_launch, "cuGraphLaunch", 10000);
  load(f.graph_exec_update, "cuGraphExecUpdate", 12000);
  load(f.graph_exec_destroy, "cuGraphExecDestroy", 10000);
  load(f.graph_destroy, "cuGraphDestroy", 10000);
  load(f.graph_get_nodes, "cuGraphGetNodes", 10000);
  load(f.tensor_map_encode_tiled, "cuTensorMapEncodeTiled", 12000);
}

}  // namespace

std::string version_text(int cuda_version) {
  return fmt::format("{}.{}", cuda_version / 1000, cuda_version % 1000 / 10);
}

DriverNeed driver_need(std::string_view target) {
  // PTX 8.6 (sm_90a) came with CUDA 12.7, PTX 8.8 (sm_100a and sm_103a) with 12.9: PTX manual, release notes.
  return target == "sm_90a" ? DriverNeed{kOldestVersion, kOldestBranch} : DriverNeed{12090, 575};
}

Functions load_functions(const std::string& library) {
  // Never closed: the driver keeps threads and exit handlers of its own.
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    throw DeviceError(
        ErrorKind::kMissingDriver,
        fmt::format("no CUDA driver: {}; install NVIDIA driver {} or newer (containers need --gpus), or "
                    "choose the x86 device",
                    dlerror(), kOldestBranch));
  }
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(handle, "cuGetProcAddress_v2"));
  if (!get) throw too_old(fmt::format("{} is from before CUDA 12.0", library), kOldestBranch, kOldestVersion);
  const Loader load(get);
  // The version first: it makes a better message than the name of a missing function.
  Functions functions = {};
  load_basics(load, functions);
  int version = 0;
  if (functions.driver_get_version(&version) == kSuccess && version < kOldestVersion) {
    throw too_old(fmt::format("the CUDA driver is of CUDA {}", version_text(version)), kOldestBranch,
                  kOldestVersion);
  }
  load_execution(load, functions);
  load_memory_and_graphs(load, functions);
  return functions;
}

Driver::Driver(const Functions& functions) : functions_(functions) {
  check(functions_.init(0), "starting the CUDA driver");
  check(functions_.driver_get_version(&version_), "asking for the CUDA driver's version");
  if (version_ < kOldestVersion) {
    throw too_old(fmt::format("the CUDA driver is of CUDA {}", version_text(version_)), kOldestBranch,
                  kOldestVersion);
  }
}

DeviceError Driver::error(Result result, std::string_view doing) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (functions_.get_error_name(result, &name) != kSuccess || !name) name = "unknown error";
  if (functions_.get_error_string(result, &text) != kSuccess || !text) text = "no description";
  const Advice advice = advice_for(result);
  std::string message = fmt::format("CUDA error {} {} ({}) while {}", result, name, text, doing);
  if (*advice.text) message += fmt::format("; {}", advice.text);
  return DeviceError(advice.kind, message);
}

}  // namespace cuda

std::shared_ptr<const cuda::Driver> open_cuda_driver(const std::string& library) {
  return std::make_shared<const cuda::Driver>(cuda::load_functions(library));
}

}  // namespace rose::runtime
