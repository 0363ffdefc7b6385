#include "kernels/row_groups.h"

#include <algorithm>
#include <bit>

namespace rose::kernels {

using namespace dsl;

RowGroups row_groups(const ir::Target& target, int64_t length, ir::Type dtype) {
  if (!target.is_gpu()) return {};
  auto accesses = static_cast<uint64_t>(std::max<int64_t>(1, length * dtype.bits() / 128));
  return {128, static_cast<int>(std::min<uint64_t>(32, std::bit_floor(accesses)))};
}

std::pair<Val, Val> split_row(const Val& row, int64_t minors) {
  Val narrow = to(u32, row), major = narrow / minors;
  return {to(s64, major), to(s64, narrow - major * minors)};
}

}  // namespace rose::kernels
