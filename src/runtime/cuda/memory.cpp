#include <fmt/format.h>

#include "runtime/cuda/objects.h"

namespace rose::runtime::cuda {
namespace {

double gib(uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

}  // namespace

Memory::Memory(Primary primary, DeviceNumber device, bool pools) : primary_(std::move(primary)) {
  primary_->make_current();
  if (!pools) return;
  PoolProperties properties = {};
  properties.allocation_type = kAllocationPinned;
  properties.location.type = kLocationDevice;
  properties.location.id = device;
  const Driver& driver = primary_->driver();
  driver.check(primary_->call().pool_create(&pool_, &properties), "creating the memory pool");
  // Keep all memory between synchronisations; trim() gives it back.
  uint64_t threshold = ~uint64_t{0};
  driver.check(primary_->call().pool_set_attribute(pool_, kPoolReleaseThreshold, &threshold),
               "setting up the memory pool");
  driver.check(primary_->call().stream_create_with_priority(&stream_, kStreamNonBlocking, 0),
               "creating a stream");
}

Memory::~Memory() {
  if (!primary_->try_make_current()) return;
  if (stream_) primary_->call().stream_destroy(stream_);
  if (pool_) primary_->call().pool_destroy(pool_);
}

void Memory::report(Result result, size_t bytes, const char* what) const {
  std::string doing = fmt::format("allocating {:.3f} GiB of {} on {}", gib(bytes), what, primary_->name());
  if (result == kOutOfMemory) {
    const MemoryUse now = use();
    doing += fmt::format(" ({:.2f} of {:.2f} GiB are free; our pool uses {:.2f} and holds {:.2f})",
                         gib(now.free_bytes), gib(now.total_bytes), gib(now.pool_used_bytes),
                         gib(now.pool_reserved_bytes));
  }
  throw primary_->driver().error(result, doing);
}

Buffer Memory::own(DeviceAddress address, size_t bytes, uint64_t tag) {
  return Buffer(shared_from_this(), reinterpret_cast<void*>(address), bytes, tag);
}

DeviceAddress Memory::from_pool(size_t bytes, StreamHandle stream) {
  DeviceAddress address = 0;
  const Result result = primary_->call().memory_allocate_from_pool(&address, bytes, pool_, stream);
  if (result != kSuccess) report(result, bytes, "device memory");
  return address;
}

Buffer Memory::allocate(size_t bytes) {
  if (bytes == 0) return {};
  if (!pool_) return allocate_dedicated(bytes);
  primary_->make_current();
  Buffer buffer = own(from_pool(bytes, stream_), bytes, kPooled);
  // Other streams may use the memory as soon as we return, so the allocation itself must have happened.
  primary_->driver().check(primary_->call().stream_synchronize(stream_), "allocating device memory");
  return buffer;
}

Buffer Memory::allocate_ordered(size_t bytes, StreamHandle stream) {
  if (bytes == 0) return {};
  if (!pool_) return allocate_dedicated(bytes);
  primary_->make_current();
  CaptureStatus status = kCaptureNone;
  primary_->driver().check(primary_->call().stream_is_capturing(stream, &status), "allocating device memory");
  if (status != kCaptureNone) {
    throw DeviceError(
        ErrorKind::kInvalidArgument,
        "memory of a stream was asked for while the stream is captured; allocate before begin_capture");
  }
  return own(from_pool(bytes, stream), bytes, reinterpret_cast<uint64_t>(stream));
}

Buffer Memory::allocate_dedicated(size_t bytes) {
  if (bytes == 0) return {};
  primary_->make_current();
  DeviceAddress address = 0;
  Result result = primary_->call().memory_allocate(&address, bytes);
  if (result == kOutOfMemory && pool_) {  // the pool may sit on memory that nobody uses
    primary_->call().pool_trim_to(pool_, 0);
    result = primary_->call().memory_allocate(&address, bytes);
  }
  if (result != kSuccess) report(result, bytes, "device memory");
  return own(address, bytes, kDedicated);
}

HostBuffer Memory::allocate_host(size_t bytes) {
  if (bytes == 0) return {};
  primary_->make_current();
  void* address = nullptr;
  const Result result = primary_->call().memory_host_allocate(&address, bytes, kHostPortable);
  if (result != kSuccess) report(result, bytes, "pinned host memory");
  return HostBuffer(Buffer(shared_from_this(), address, bytes, kHost));
}

void Memory::trim() {
  if (!pool_) return;
  primary_->make_current();
  primary_->driver().check(primary_->call().pool_trim_to(pool_, 0), "trimming the memory pool");
}

MemoryUse Memory::use() const {
  primary_->make_current();
  MemoryUse use;
  size_t free = 0, total = 0;
  primary_->driver().check(primary_->call().memory_get_info(&free, &total), "asking for free memory");
  use.free_bytes = free;
  use.total_bytes = total;
  if (pool_) {
    primary_->driver().check(
        primary_->call().pool_get_attribute(pool_, kPoolUsedCurrent, &use.pool_used_bytes),
        "asking for pool memory");
    primary_->driver().check(
        primary_->call().pool_get_attribute(pool_, kPoolReservedCurrent, &use.pool_reserved_bytes),
        "asking for pool memory");
  }
  return use;
}

void Memory::release(void* address, size_t, uint64_t tag) noexcept {
  const auto device_address = reinterpret_cast<DeviceAddress>(address);
  if (!primary_->try_make_current()) return;
  if (tag == kHost) {
    primary_->call().memory_host_free(address);
    return;
  }
  if (tag == kDedicated) {
    primary_->call().memory_free(device_address);
    return;
  }
  StreamHandle stream = tag == kPooled ? stream_ : reinterpret_cast<StreamHandle>(tag);
  CaptureStatus status = kCaptureNone;
  if (tag != kPooled && primary_->call().stream_is_capturing(stream, &status) == kSuccess &&
      status != kCaptureNone) {
    // A free recorded into a graph would run at every launch of it.
    primary_->call().memory_free(device_address);
    return;
  }
  primary_->call().memory_free_async(device_address, stream);
}

}  // namespace rose::runtime::cuda
