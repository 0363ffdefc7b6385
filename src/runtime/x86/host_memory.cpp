#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>

#include "runtime/x86/objects.h"

namespace rose::runtime::x86 {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAddressSpace = size_t{1} << 47;  // of a process on x86-64 with four-level pages
constexpr size_t kChunk = 8 * kHugePage;

void* aligned(size_t alignment, size_t bytes) {
  void* address = nullptr;
  if (bytes >= kAddressSpace || posix_memalign(&address, alignment, bytes) != 0) {
    throw DeviceError(ErrorKind::kOutOfMemory,
                      fmt::format("allocating {:.3f} GiB of host memory failed; free memory, or ask for less",
                                  static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0)));
  }
  // Fewer page faults and address translations; where the system does not want it, nothing is lost.
  if (alignment == kHugePage) madvise(address, bytes, MADV_HUGEPAGE);
  return address;
}

}  // namespace

// Blocks are cut off its front, and given back all at once: when the last one of them goes, so does it.
struct HostMemory::Chunk {
  char* memory;
  size_t used = 0, blocks = 0;
};

HostMemory::~HostMemory() {
  if (!open_) return;
  std::free(open_->memory);
  delete open_;
}

Buffer HostMemory::allocate(size_t bytes) {
  if (bytes == 0) return {};
  void* address = aligned(bytes >= 2 * kHugePage ? kHugePage : 64, bytes);
  used_.fetch_add(bytes, std::memory_order_relaxed);
  return Buffer(shared_from_this(), address, bytes, 0);
}

Buffer HostMemory::allocate_lasting(size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  return allocate(bytes);  // which watches the ends of every block
#else
  if (bytes == 0 || bytes >= 2 * kHugePage) return allocate(bytes);
  const size_t room = (bytes + 127) / 128 * 128;
  const std::lock_guard lock(mutex_);
  if (!open_ || open_->used + room > kChunk) {
    auto fresh = std::make_unique<Chunk>();
    fresh->memory = static_cast<char*>(aligned(kHugePage, kChunk));
    if (open_ && open_->blocks == 0) {
      std::free(open_->memory);
      delete open_;
    }
    open_ = fresh.release();  // the other is freed with its last block
  }
  void* address = open_->memory + open_->used;
  open_->used += room, ++open_->blocks;
  used_.fetch_add(bytes, std::memory_order_relaxed);
  return Buffer(shared_from_this(), address, bytes, reinterpret_cast<uint64_t>(open_));
#endif
}

void HostMemory::release(void* address, size_t bytes, uint64_t tag) noexcept {
  used_.fetch_sub(bytes, std::memory_order_relaxed);
  if (tag == 0) return std::free(address);
  auto* chunk = reinterpret_cast<Chunk*>(tag);
  const std::lock_guard lock(mutex_);
  if (--chunk->blocks > 0) return;
  if (chunk == open_) {
    chunk->used = 0;
    return;
  }
  std::free(chunk->memory);
  delete chunk;
}

}  // namespace rose::runtime::x86
