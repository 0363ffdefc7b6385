// The epilogue of products whose tall side is the weights.
#include <algorithm>

#include "kernels/gemm/sm90_common.h"

namespace rose::kernels {

using namespace dsl;

// A thread holds rows r and r + 8 of its warp's sixteen, and tokens 8j + 2(lane % 4) (+ 1) in group j.
void store_swapped(Block& block, const GemmSpec& spec, const Accumulator& sums, const GemmTensors& t,
                   const Val& first_row, const std::optional<Val>& end) {
  const auto& r = sums.fragments[0];
  const Val lane = block.lane();
  Val row16 = first_row + ((block.thread32() & 127u) >> 5) * 16u;
  Val row = to(s64, row16 + (lane >> 2));
  std::array<Val, 2> biases;
  for (int half = 0; half < 2; ++half)
    if (spec.bias) {
      std::optional<Val> valid;
      if (end) valid = row + 8 * half < *end;
      biases[static_cast<size_t>(half)] = load_pack(t.bias, row, 8 * half, 1, valid)[0];
    }
  // Gated: the lower eight rows are gates, the upper ones what they let through.
  Val column = spec.gated ? to(s64, (row16 >> 1u) + (lane >> 2)) : row;
  const int halves = spec.gated ? 1 : 2;
  Val m = block.dimension("m"), first = to(s64, (lane & 3u) * 2u);
  for (int j0 = 0; j0 < sums.n / 8; j0 += 4) {  // residuals of four groups are requested together
    int j1 = std::min(j0 + 4, sums.n / 8);
    auto valid = [&](int j, int odd, int half) {
      Val inside = first + (8 * j + odd) < m;
      return end ? inside & (row + 8 * half < *end) : inside;
    };
    std::vector<Val> rest;
    if (spec.residual)
      for (int j = j0; j < j1; ++j)
        for (int i = 0; i < 2 * halves; ++i)
          rest.push_back(load_pack(t.residual,
                                   (first + (8 * j + i % 2)) * t.residual.strides[0].value + column,
                                   8 * (i / 2), 1, valid(j, i % 2, i / 2))[0]);
    for (int j = j0; j < j1; ++j)
      for (int i = 0; i < 2 * halves; ++i) {
        auto value = [&](int half) {
          Val v = Val(r[static_cast<size_t>(4 * j + 2 * half + i % 2)]);
          return spec.bias ? v + biases[static_cast<size_t>(half)] : v;
        };
        Val v = gemm_activation(spec, value(i / 2));
        if (spec.gated) v = v * value(1);
        if (spec.residual) v = v + to(f32, rest[static_cast<size_t>((j - j0) * 2 * halves + i)]);
        store_pack(t.out, (first + (8 * j + i % 2)) * t.out.strides[0].value + column, 8 * (i / 2),
                   {spec.out_dtype == f32 ? v : to(spec.out_dtype, v)}, valid(j, i % 2, i / 2));
      }
  }
}

}  // namespace rose::kernels
