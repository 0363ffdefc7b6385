// Memory and launches for tests of the emulator.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dsl/control.h"
#include "dsl/hopper.h"
#include "emulator/emulator.h"

namespace rose::emulator {

// Hosts' vectors as global memory.
class Arena : public GlobalMemory {
 public:
  template <class T>
  uint64_t add(std::vector<T>& values) {
    const auto address = reinterpret_cast<uint64_t>(values.data());
    parts_.emplace_back(address, values.size() * sizeof(T));
    return address;
  }
  bool holds(uint64_t address, uint64_t bytes) const override {
    for (auto [begin, size] : parts_)
      if (address >= begin && address + bytes <= begin + size) return true;
    return false;
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> parts_;
};

inline dsl::Launch hopper(int threads, int cluster = 1) {
  return {.target = ir::parse_target("sm_90a"), .threads = threads, .cluster = cluster};
}

/// What goes wrong, or "".
inline std::string fault(const ir::Kernel& kernel, const Arena& arena, std::vector<uint64_t> slots,
                         uint32_t blocks = 1, const Options& options = {}) {
  try {
    run({kernel, {blocks, 1, 1}, slots}, arena, options);
  } catch (const EmulatorError& error) {
    return error.what();
  }
  return "";
}

/// A [rows, columns] matrix of f32 or bf16 in boxes of [box_rows, box_columns].
inline TensorMap matrix_map(uint64_t base, uint64_t rows, uint64_t columns, uint32_t box_rows,
                            uint32_t box_columns, uint32_t element_bytes, uint32_t swizzle = 0) {
  TensorMap map;
  map.base = base, map.rank = 2, map.dims = {columns, rows}, map.strides = {columns * element_bytes};
  map.box = {box_columns, box_rows}, map.element_bytes = element_bytes, map.swizzle_bytes = swizzle;
  return map;
}

}  // namespace rose::emulator
