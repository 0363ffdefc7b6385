#include "kernels/launch.h"

#include <fmt/format.h>

#include <algorithm>

namespace rose::kernels {

int row_threads(const ir::Target& target, int64_t length, ir::Type dtype, int wanted, int accesses) {
  if (!target.is_gpu()) return 1;
  if (wanted != 0) {
    if (wanted < 32 || wanted > 1024 || wanted % 32)
      throw KernelError(fmt::format("threads={}: use a multiple of 32 up to 1024", wanted));
    return wanted;
  }
  int64_t per_thread = accesses * (128 / dtype.bits());
  int64_t threads = (length + per_thread - 1) / per_thread;
  threads = (threads + 31) / 32 * 32;
  return static_cast<int>(std::clamp<int64_t>(threads, 32, 1024));
}

runtime::Grid grid_of(int64_t blocks) {
  require(blocks >= 0 && blocks <= INT32_MAX, "launch", "the number of blocks", blocks,
          "a grid has at most 2147483647");
  return {static_cast<uint32_t>(blocks), 1, 1};
}

void check_row_spec(std::string_view kernel, ir::Type dtype, int64_t length, int64_t most) {
  if (dtype != ir::bf16 && dtype != ir::f16 && dtype != ir::f32)
    throw KernelError(fmt::format("{}: dtype is {}; use bf16, f16 or f32", kernel, ir::to_string(dtype)));
  require(length >= 1 && length <= most, kernel, "the row length", length, fmt::format("use 1 to {}", most));
}

}  // namespace rose::kernels
