// Memory for large tables that are read at random places: in pages of 2 MiB where the system has them, a
// table costs few page faults and few misses of the address cache.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace rose::text {

/// For vectors that grow by push_back.
template <typename T>
struct LargePages {
  using value_type = T;
  static constexpr size_t kPage = size_t{2} << 20;

  LargePages() = default;
  template <typename U>
  LargePages(const LargePages<U>&) {}  // as allocators are converted

  T* allocate(size_t count) {
    if (count > (SIZE_MAX >> 1) / sizeof(T)) throw std::bad_array_new_length();
    const size_t bytes = count * sizeof(T);
    if (bytes < kPage) return static_cast<T*>(::operator new(bytes));
    const size_t whole = (bytes + kPage - 1) / kPage * kPage;
    void* memory = std::aligned_alloc(kPage, whole);
    if (!memory) throw std::bad_alloc();
    madvise(memory, whole, MADV_HUGEPAGE);  // advice: where there are no large pages, small ones do
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) {
    count * sizeof(T) < kPage ? ::operator delete(memory) : std::free(memory);
  }
  bool operator==(const LargePages&) const { return true; }
};

template <typename T>
using LargeVector = std::vector<T, LargePages<T>>;

/// A table of one size whose entries begin as zeros, which fresh pages are without being written.
template <typename T>
class ZeroTable {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  ZeroTable() = default;
  explicit ZeroTable(size_t size) : size_(size) {
    constexpr size_t kPage = LargePages<T>::kPage;
    if (size > (SIZE_MAX >> 1) / sizeof(T)) throw std::bad_array_new_length();
    bytes_ = size * sizeof(T);
    if (bytes_ < kPage) {
      bytes_ = 0;
      entries_ = static_cast<T*>(std::calloc(size, sizeof(T)));
      if (!entries_) throw std::bad_alloc();
      return;
    }
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    madvise(memory, bytes_, MADV_HUGEPAGE);
    entries_ = static_cast<T*>(memory);
  }
  ~ZeroTable() {
    if (bytes_ != 0)
      munmap(entries_, bytes_);
    else
      std::free(entries_);
  }
  ZeroTable(ZeroTable&& other) noexcept { swap(other); }
  ZeroTable& operator=(ZeroTable&& other) noexcept {
    ZeroTable(std::move(other)).swap(*this);
    return *this;
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return entries_[i]; }
  const T& operator[](size_t i) const { return entries_[i]; }
  const T* begin() const { return entries_; }
  const T* end() const { return entries_ + size_; }

 private:
  void swap(ZeroTable& other) noexcept {
    std::swap(entries_, other.entries_);
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
  }
  T* entries_ = nullptr;
  size_t size_ = 0;
  size_t bytes_ = 0;  ///< mapped; 0: from the heap
};

}  // namespace rose::text
