#include "fake_cuda.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>

namespace rose::runtime {
namespace {

using namespace cuda;

// The driver's functions have no place for a pointer of ours, so the test's driver is one for the whole
// program.
FakeState& state() {
  static FakeState instance;
  return instance;
}

std::recursive_mutex& state_mutex() {
  static std::recursive_mutex instance;
  return instance;
}

std::map<void*, size_t>& blocks() {
  static std::map<void*, size_t> instance;
  return instance;
}

struct FakeFunction {
  std::string entry;
};
struct FakeModule {
  std::map<std::string, std::unique_ptr<FakeFunction>> functions;
};
struct FakeGraph {
  std::vector<std::string> nodes;
};
struct FakeStream {
  FakeGraph* capture = nullptr;
  std::vector<std::function<void()>> late;

  void catch_up() {
    for (const auto& action : std::exchange(late, {})) action();
  }
};
struct FakeEvent {
  FakeStream* stream = nullptr;
};

// Counts down the failures that a test has ordered for a function.
Result outcome(const char* function) {
  const std::lock_guard lock(state_mutex());
  FakeState& s = state();
  const auto found = s.fail.find(function);
  if (found == s.fail.end()) return kSuccess;
  const auto times = s.fail_times.find(function);
  if (times != s.fail_times.end() && times->second-- <= 0) return kSuccess;
  return found->second;
}

Result seen(const char* function) {
  const std::lock_guard lock(state_mutex());
  state().calls.push_back(function);
  return outcome(function);
}

template <class Handle, class Object>
Result give(Handle* out, Object* object) {
  *out = reinterpret_cast<Handle>(object);
  const std::lock_guard lock(state_mutex());
  ++state().live_handles;
  return kSuccess;
}
template <class Object, class Handle>
Result take(Handle handle) {
  delete reinterpret_cast<Object*>(handle);
  const std::lock_guard lock(state_mutex());
  --state().live_handles;
  return kSuccess;
}

Result allocate(void** out, size_t bytes, const char* function) {
  const std::lock_guard lock(state_mutex());
  if (const Result r = seen(function)) return r;
  FakeState& s = state();
  if (bytes > s.memory - s.live_bytes) return kOutOfMemory;
  *out = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  blocks()[*out] = bytes;
  s.live_bytes += bytes;
  return kSuccess;
}
Result release(void* address, const char* function) {
  const std::lock_guard lock(state_mutex());
  const auto found = blocks().find(address);
  if (found == blocks().end()) return kInvalidValue;
  state().live_bytes -= found->second;
  blocks().erase(found);
  std::free(address);
  return seen(function);
}

Result work(StreamHandle stream, const char* what, const std::function<void()>& action) {
  if (const Result r = seen(what)) return r;
  auto* s = reinterpret_cast<FakeStream*>(stream);
  if (s->capture) {
    s->capture->nodes.push_back(what);
  } else {
    action();
  }
  return kSuccess;
}

Result launch(const LaunchConfig* config, FunctionHandle function, void** parameters, void**) {
  return work(config->stream, "LaunchKernelEx", [&] {
    const std::lock_guard lock(state_mutex());
    FakeLaunch l;
    l.entry = reinterpret_cast<FakeFunction*>(function)->entry;
    l.grid[0] = config->grid_x, l.grid[1] = config->grid_y, l.grid[2] = config->grid_z;
    l.block[0] = config->block_x, l.block[1] = config->block_y, l.block[2] = config->block_z;
    l.shared_bytes = config->shared_bytes;
    l.attributes.assign(config->attributes, config->attributes + config->attribute_count);
    for (size_t i = 0; i < state().parameter_count; ++i) {
      uint64_t slot;
      std::memcpy(&slot, parameters[i], sizeof(slot));
      l.slots.push_back(slot);
    }
    state().launches.push_back(l);
  });
}

Result load_module(ModuleHandle* out, const void* image, unsigned count, JitOption* options, void** values) {
  const std::lock_guard lock(state_mutex());
  if (const Result r = seen("ModuleLoadDataEx")) {
    for (unsigned i = 0; i < count; ++i) {
      if (options[i] == kJitErrorLog) std::strcpy(static_cast<char*>(values[i]), state().error_log.c_str());
    }
    return r;
  }
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == kJitInfoLog) std::strcpy(static_cast<char*>(values[i]), state().info_log.c_str());
  }
  state().image = static_cast<const char*>(image);
  return give(out, new FakeModule);
}

Result attribute(int* out, DeviceAttribute which, DeviceNumber) {
  const FakeState& s = state();
  switch (which) {
    case kCapabilityMajor:
      *out = s.capability / 10;
      break;
    case kCapabilityMinor:
      *out = s.capability % 10;
      break;
    case kProcessorCount:
      *out = 132;
      break;
    case kL2CacheSize:
      *out = 50 << 20;
      break;
    case kMaxSharedMemoryOptIn:
      *out = 232448;
      break;
    case kMemoryPoolsSupported:
      *out = s.pools;
      break;
    case kMemoryClockRate:
      *out = 3'201'000;
      break;
    case kMemoryBusWidth:
      *out = 6144;
      break;
    case kMaxThreadsPerBlock:
      *out = 1024;
      break;
    default:
      *out = 1;
      break;
  }
  return kSuccess;
}

void fill_basics(Functions& f) {
  f.get_error_name = [](Result r, const char** out) -> Result {
    *out = r == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE";
    return kSuccess;
  };
  f.get_error_string = [](Result, const char** out) -> Result {
    *out = "fake text";
    return kSuccess;
  };
  f.init = [](unsigned) -> Result { return outcome("Init"); };
  f.driver_get_version = [](int* out) -> Result {
    *out = state().version;
    return kSuccess;
  };
  f.device_get = [](DeviceNumber* out, int ordinal) -> Result {
    *out = ordinal;
    return kSuccess;
  };
  f.device_get_count = [](int* out) -> Result {
    *out = state().devices;
    return kSuccess;
  };
  f.device_get_name = [](char* out, int size, DeviceNumber) -> Result {
    std::strncpy(out, state().name.c_str(), static_cast<size_t>(size));
    return kSuccess;
  };
  f.device_total_mem = [](size_t* out, DeviceNumber) -> Result {
    *out = state().memory;
    return kSuccess;
  };
  f.device_get_attribute = attribute;
  f.primary_context_retain = [](ContextHandle* out, DeviceNumber) -> Result {
    if (const Result r = seen("DevicePrimaryCtxRetain")) return r;
    return give(out, &state());  // the driver's own, never deleted
  };
  f.primary_context_release = [](DeviceNumber) -> Result {
    --state().live_handles;
    return kSuccess;
  };
  f.context_set_current = [](ContextHandle) -> Result { return outcome("CtxSetCurrent"); };
  f.context_synchronize = []() -> Result { return outcome("CtxSynchronize"); };
  f.context_get_stream_priority_range = [](int* least, int* greatest) -> Result {
    *least = 0, *greatest = -5;
    return kSuccess;
  };
}

void fill_execution(Functions& f) {
  f.module_load_data_ex = load_module;
  f.module_unload = [](ModuleHandle m) -> Result { return take<FakeModule>(m); };
  f.module_get_function = [](FunctionHandle* out, ModuleHandle m, const char* name) -> Result {
    if (const Result r = outcome("ModuleGetFunction")) return r;
    auto& slot = reinterpret_cast<FakeModule*>(m)->functions[name];
    slot = std::make_unique<FakeFunction>(FakeFunction{name});
    *out = reinterpret_cast<FunctionHandle>(slot.get());
    return kSuccess;
  };
  f.function_load = [](FunctionHandle) -> Result { return kSuccess; };
  f.function_get_attribute = [](int* out, FunctionAttribute which, FunctionHandle) -> Result {
    const FakeState& s = state();
    *out = which == kFunctionRegisters     ? s.registers
           : which == kFunctionLocalBytes  ? s.local_bytes
           : which == kFunctionSharedBytes ? s.static_shared
                                           : 1024;
    return kSuccess;
  };
  f.function_set_attribute = [](FunctionHandle, FunctionAttribute which, int value) -> Result {
    const std::lock_guard lock(state_mutex());
    state().function_attributes[which] = value;
    return kSuccess;
  };
  f.launch_kernel_ex = launch;
  f.occupancy_blocks = [](int* out, FunctionHandle, int block, size_t) -> Result {
    *out = 2048 / block;
    return kSuccess;
  };
  f.occupancy_clusters = [](int* out, FunctionHandle, const LaunchConfig* config) -> Result {
    if (config->attribute_count == 0) return kInvalidValue;
    *out = 66;
    return kSuccess;
  };
  f.stream_create_with_priority = [](StreamHandle* out, unsigned flags, int) -> Result {
    if (flags != kStreamNonBlocking) return kInvalidValue;
    return give(out, new FakeStream);
  };
  f.stream_destroy = [](StreamHandle s) -> Result { return take<FakeStream>(s); };
  f.stream_synchronize = [](StreamHandle s) -> Result {
    reinterpret_cast<FakeStream*>(s)->catch_up();
    return outcome("StreamSynchronize");
  };
  f.stream_query = [](StreamHandle) -> Result { return outcome("StreamQuery"); };
  f.stream_wait_event = [](StreamHandle s, EventHandle, unsigned) -> Result {
    return work(s, "StreamWaitEvent", [] {});
  };
  f.stream_begin_capture = [](StreamHandle s, CaptureMode) -> Result {
    reinterpret_cast<FakeStream*>(s)->capture = new FakeGraph;
    ++state().live_handles;
    return kSuccess;
  };
  f.stream_end_capture = [](StreamHandle s, GraphHandle* out) -> Result {
    auto* stream = reinterpret_cast<FakeStream*>(s);
    *out = reinterpret_cast<GraphHandle>(std::exchange(stream->capture, nullptr));
    return kSuccess;
  };
  f.stream_is_capturing = [](StreamHandle s, CaptureStatus* out) -> Result {
    *out = reinterpret_cast<FakeStream*>(s)->capture ? kCaptureActive : kCaptureNone;
    return kSuccess;
  };
  f.event_create = [](EventHandle* out, unsigned) -> Result { return give(out, new FakeEvent); };
  f.event_destroy = [](EventHandle e) -> Result { return take<FakeEvent>(e); };
  f.event_record = [](EventHandle e, StreamHandle s) -> Result {
    return work(s, "EventRecord",
                [=] { reinterpret_cast<FakeEvent*>(e)->stream = reinterpret_cast<FakeStream*>(s); });
  };
  f.event_query = [](EventHandle) -> Result { return outcome("EventQuery"); };
  f.event_synchronize = [](EventHandle e) -> Result {
    if (auto* stream = reinterpret_cast<FakeEvent*>(e)->stream) stream->catch_up();
    return outcome("EventSynchronize");
  };
  f.event_elapsed_time = [](float* out, EventHandle, EventHandle) -> Result {
    *out = 2.5f;
    return outcome("EventElapsedTime");
  };
}

void fill_memory(Functions& f) {
  f.memory_get_info = [](size_t* free, size_t* total) -> Result {
    *free = state().memory - state().live_bytes;
    *total = state().memory;
    return kSuccess;
  };
  f.memory_allocate = [](DeviceAddress* out, size_t bytes) -> Result {
    return allocate(reinterpret_cast<void**>(out), bytes, "MemAlloc");
  };
  f.memory_free = [](DeviceAddress a) -> Result { return release(reinterpret_cast<void*>(a), "MemFree"); };
  f.memory_host_allocate = [](void** out, size_t bytes, unsigned) -> Result {
    return allocate(out, bytes, "MemHostAlloc");
  };
  f.memory_host_free = [](void* a) -> Result { return release(a, "MemFreeHost"); };
  f.pool_create = [](PoolHandle* out, const PoolProperties* p) -> Result {
    if (p->allocation_type != kAllocationPinned || p->location.type != kLocationDevice) return kInvalidValue;
    return give(out, new char);
  };
  f.pool_destroy = [](PoolHandle p) -> Result { return take<char>(p); };
  f.pool_set_attribute = [](PoolHandle, PoolAttribute, void*) -> Result { return kSuccess; };
  f.pool_get_attribute = [](PoolHandle, PoolAttribute, void* out) -> Result {
    *static_cast<uint64_t*>(out) = state().live_bytes;
    return kSuccess;
  };
  f.pool_trim_to = [](PoolHandle, size_t) -> Result { return seen("MemPoolTrimTo"); };
  f.memory_allocate_from_pool = [](DeviceAddress* out, size_t bytes, PoolHandle, StreamHandle) -> Result {
    return allocate(reinterpret_cast<void**>(out), bytes, "MemAllocFromPoolAsync");
  };
  f.memory_free_async = [](DeviceAddress a, StreamHandle) -> Result {
    return release(reinterpret_cast<void*>(a), "MemFreeAsync");
  };
  f.copy_async = [](DeviceAddress to, DeviceAddress from, size_t n, StreamHandle s) -> Result {
    return work(s, "MemcpyAsync",
                [=] { std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), n); });
  };
  f.copy_to_device_async = [](DeviceAddress to, const void* from, size_t n, StreamHandle s) -> Result {
    return work(s, "MemcpyHtoDAsync", [=] {
      auto copy = [=] { std::memcpy(reinterpret_cast<void*>(to), from, n); };
      if (state().late_copies)
        reinterpret_cast<FakeStream*>(s)->late.emplace_back(copy);
      else
        copy();
    });
  };
  f.copy_to_host_async = [](void* to, DeviceAddress from, size_t n, StreamHandle s) -> Result {
    return work(s, "MemcpyDtoHAsync", [=] { std::memcpy(to, reinterpret_cast<void*>(from), n); });
  };
  f.fill_bytes_async = [](DeviceAddress to, unsigned char v, size_t n, StreamHandle s) -> Result {
    return work(s, "MemsetD8Async", [=] { std::memset(reinterpret_cast<void*>(to), v, n); });
  };
  f.fill_words_async = [](DeviceAddress to, unsigned v, size_t n, StreamHandle s) -> Result {
    return work(s, "MemsetD32Async", [=] { std::fill_n(reinterpret_cast<unsigned*>(to), n, v); });
  };
}

void fill_graphs(Functions& f) {
  f.graph_instantiate = [](GraphExecHandle* out, GraphHandle g, unsigned long long) -> Result {
    if (const Result r = seen("GraphInstantiate")) return r;
    return give(out, new FakeGraph(*reinterpret_cast<FakeGraph*>(g)));
  };
  f.graph_launch = [](GraphExecHandle, StreamHandle s) -> Result { return work(s, "GraphLaunch", [] {}); };
  f.graph_exec_update = [](GraphExecHandle e, GraphHandle g, GraphUpdateResult*) -> Result {
    if (const Result r = seen("GraphExecUpdate")) return r;
    auto& exec = *reinterpret_cast<FakeGraph*>(e);
    const auto& graph = *reinterpret_cast<FakeGraph*>(g);
    return exec.nodes == graph.nodes ? kSuccess : kGraphUpdateFailure;
  };
  f.graph_exec_destroy = [](GraphExecHandle e) -> Result { return take<FakeGraph>(e); };
  f.graph_destroy = [](GraphHandle g) -> Result { return take<FakeGraph>(g); };
  f.graph_get_nodes = [](GraphHandle g, GraphNodeHandle*, size_t* count) -> Result {
    *count = reinterpret_cast<FakeGraph*>(g)->nodes.size();
    return kSuccess;
  };
  f.tensor_map_encode_tiled = [](void* map, int type, uint32_t rank, void* base, const uint64_t*,
                                 const uint64_t*, const uint32_t*, const uint32_t*, int, int, int,
                                 int) -> Result {
    auto* words = static_cast<uint64_t*>(map);
    words[0] = reinterpret_cast<uint64_t>(base);
    words[1] = ~uint64_t{0};
    words[2] = static_cast<uint64_t>(type) << 32 | rank;
    return outcome("TensorMapEncodeTiled");
  };
}

}  // namespace

FakeCuda::FakeCuda() { state() = FakeState(); }
FakeState& FakeCuda::operator*() { return state(); }

cuda::Functions FakeCuda::functions() {
  cuda::Functions f = {};
  fill_basics(f);
  fill_execution(f);
  fill_memory(f);
  fill_graphs(f);
  return f;
}

std::shared_ptr<const cuda::Driver> FakeCuda::driver() {
  return std::make_shared<const cuda::Driver>(functions());
}

}  // namespace rose::runtime
