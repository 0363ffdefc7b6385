// Makes compiled kernel objects callable: a small ELF loader, so that a warm start never touches LLVM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "codegen/x86/error.h"

namespace rose::codegen::x86 {

// Runs one block; see compile.h for what the arguments mean.
using Entry = void (*)(const uint64_t* arguments, int64_t block_x, int64_t block_y, int64_t block_z,
                       void* scratch);

// One object in executable memory. Owns the memory: the entry must not be called after its LoadedKernel has
// died. Movable; calling entry() from many threads at once is safe.
class LoadedKernel {
 public:
  LoadedKernel() = default;
  LoadedKernel(LoadedKernel&& other) noexcept { swap(other); }
  LoadedKernel& operator=(LoadedKernel&& other) noexcept {
    swap(other);
    return *this;
  }
  ~LoadedKernel();

  Entry entry() const { return entry_; }
  size_t bytes() const { return bytes_; }  // of memory mapped

 private:
  friend LoadedKernel load(std::string_view object, std::string_view entry);
  void swap(LoadedKernel& other) noexcept {
    std::swap(memory_, other.memory_), std::swap(bytes_, other.bytes_), std::swap(entry_, other.entry_);
  }

  void* memory_ = nullptr;
  size_t bytes_ = 0;
  Entry entry_ = nullptr;
};

// Loads what compile() returned; `object` may be any bytes and is not needed afterwards. Throws CodegenError
// when it is no x86-64 relocatable object, is damaged, refers to symbols that it does not define, or lacks
// `entry`.
LoadedKernel load(std::string_view object, std::string_view entry);

}  // namespace rose::codegen::x86
