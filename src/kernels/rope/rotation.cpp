#include "kernels/rope/rotation.h"

namespace rose::kernels {

using namespace dsl;

RowLayout rope_layout(Block& block, const RowGroup& group, int64_t rotary_dim, int element_bytes,
                      int64_t multiple) {
  return row_layout(block, group, rotary_dim / 2, element_bytes, multiple);
}

HeadPair load_pair(RopeStyle style, const Tensor& row, const RowLayout& half) {
  if (style == RopeStyle::kInterleaved) {
    auto [even, odd] = deinterleave(row, half);
    return {even, odd};
  }
  return {to(f32, load(row.slice(0, half.length), half)),
          to(f32, load(row.slice(half.length, half.length), half))};
}

void store_pair(RopeStyle style, const Tensor& row, const HeadPair& pair) {
  int64_t half = pair.first.layout().length;
  if (style == RopeStyle::kInterleaved)
    store_interleaved(row, pair.first, pair.second);
  else
    store_together({{row.slice(0, half), pair.first}, {row.slice(half, half), pair.second}});
}

HeadPair rotate(const HeadPair& pair, const Frag& cosine, const Frag& sine) {
  return {pair.first * cosine - pair.second * sine, pair.second * cosine + pair.first * sine};
}

Tensor angles_of(const Tensor& table, const Tensor& positions, const Val& token, const Val& table_rows) {
  Val position = to(s64, load(positions, token));
  return table(max(min(position, table_rows - 1), 0));
}

}  // namespace rose::kernels
