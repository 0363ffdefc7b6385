#include "runtime/memory.h"

#include <fmt/format.h>

#include "runtime/error.h"

namespace rose::runtime {

void check_word_fill(DevicePointer to, size_t bytes) {
  if (to.address % 4 == 0 && bytes % 4 == 0) return;
  throw DeviceError(
      ErrorKind::kInvalidArgument,
      fmt::format("fill_words of {} bytes at {:#x}: both must be multiples of 4", bytes, to.address));
}

}  // namespace rose::runtime
