// Memory of a device and memory of the host that a device reaches quickly: two owners and one pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace rose::runtime {

/// An address in a device's memory (on x86: an ordinary address). Arithmetic is in bytes.
struct DevicePointer {
  uint64_t address = 0;

  DevicePointer() = default;
  explicit DevicePointer(uint64_t value) : address(value) {}
  explicit DevicePointer(const void* host) : address(reinterpret_cast<uintptr_t>(host)) {}

  explicit operator bool() const { return address != 0; }
  bool operator==(const DevicePointer&) const = default;
};
inline DevicePointer operator+(DevicePointer p, int64_t bytes) {
  return DevicePointer(p.address + static_cast<uint64_t>(bytes));
}

/// Where a device's memory comes from; implemented by each device. `release` never throws.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual void release(void* address, size_t bytes, uint64_t tag) noexcept = 0;
};

/// Owns an allocation in device memory. Movable; empty after being moved from or default constructed.
///
/// Work that uses the memory must be finished, or be ordered before all later work, when the buffer dies: the
/// destructor does not wait, and the pool may hand the memory to the next allocation at once. A buffer
/// allocated for a stream is given back in the order of that stream, so it may die right after a launch
/// there.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<MemorySource> source, void* address, size_t bytes, uint64_t tag)
      : source_(std::move(source)), address_(address), bytes_(bytes), tag_(tag) {}
  ~Buffer() { reset(); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      reset();
      swap(other);
    }
    return *this;
  }

  void reset() noexcept {
    if (address_) source_->release(address_, bytes_, tag_);
    source_.reset();
    address_ = nullptr;
    bytes_ = 0;
  }

  size_t bytes() const { return bytes_; }
  DevicePointer pointer() const { return DevicePointer(address_); }
  operator DevicePointer() const { return pointer(); }
  explicit operator bool() const { return address_ != nullptr; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(source_, other.source_);
    std::swap(address_, other.address_);
    std::swap(bytes_, other.bytes_);
    std::swap(tag_, other.tag_);
  }

  std::shared_ptr<MemorySource> source_;
  void* address_ = nullptr;
  size_t bytes_ = 0;
  uint64_t tag_ = 0;
};

/// Owns host memory that the device copies from and to at full speed (page-locked on a GPU), 64-byte aligned.
/// Copies that use it must be finished when it dies.
class HostBuffer {
 public:
  HostBuffer() = default;
  explicit HostBuffer(Buffer memory) : memory_(std::move(memory)) {}

  void* data() const { return reinterpret_cast<void*>(memory_.pointer().address); }
  size_t bytes() const { return memory_.bytes(); }

 private:
  Buffer memory_;
};

/// Throws DeviceError (kInvalidArgument) unless both are multiples of 4, as Stream::fill_words needs.
void check_word_fill(DevicePointer to, size_t bytes);

}  // namespace rose::runtime
