// The inner loops of the quantised formats: integer products, and exact ones in f32.
#include <cstddef>

#include "kernels/gemm/x86_groups.h"

namespace rose::kernels::x86 {
namespace {

// -zero · Σ of the activations of a sub-block, which is what a sum of products of q begins with.
Val beginning(int zero, const Tensor& group, int sub, int subs) {
  if (zero == 0) return literal(s32.with_lanes(kLanes), 0);
  if (subs == 2) return spread(group, offsetof(X86Group, half_sums) + 4 * static_cast<size_t>(sub), s32);
  return spread(group, offsetof(X86Group, sums) + (zero == 8 ? 0 : zero == 16 ? 4 : 8), s32);
}

// Adds a group's products with the activations of one row to `sum`.
void add_group(const X86WeightFormat& f, const Tensor& a, const Group& g, Var& sum) {
  int subs = static_cast<int>(g.scales.size()), words = 8 / subs;
  bool small = f.low_bits + f.high_bits < 8 && f.zero < 128;  // no q above 127
  std::vector<Val> dots;
  for (int s = 0; s < subs; ++s) {
    Val dot = beginning(zero_of(f), a, s, subs);
    for (int w = s * words; w < (s + 1) * words; ++w) {
      Val spread_word = spread(a, offsetof(X86Group, q) + 4 * static_cast<size_t>(w), u32);
      dot = op1(small ? "dot.u7s8" : "dot.u8s8", dot.type(),
                {dot, g.words[static_cast<size_t>(w)], bitcast(s8.with_lanes(4 * kLanes), spread_word)});
    }
    dots.push_back(dot);
  }
  add_dots(a, dots, g.scales, g.offsets, sum);
}

}  // namespace

Sums integer_sums(Product& p, const std::vector<Tensor>& a_rows, const Val& panel, int panels) {
  auto sums = accumulators(a_rows.size(), panels, f32);
  for (int j = 0; j < panels; ++j)
    Panel(p.format, p.w(panel + j)).for_each_group(p.spec.k, [&](const Group& g, const Val& index) {
      Val at = index * static_cast<int64_t>(sizeof(X86Group));
      for (size_t i = 0; i < a_rows.size(); ++i)
        add_group(p.format, a_rows[i](at), g, sums[i][static_cast<size_t>(j)]);
    });
  return read(sums);
}

// The words and scales of a group go to scratch memory, so that a rolled loop can take one word after the
// other.
Sums expanded_sums(Product& p, const std::vector<Tensor>& a_rows, const Val& panel, int panels) {
  auto sums = accumulators(a_rows.size(), panels, f32);
  int zero = zero_of(p.format);
  auto words = p.block.shared("words", u32, shape(8, kLanes), 64);
  auto scales = p.block.shared("scales", f32, shape(8, kLanes), 64),
       offsets = p.block.shared("offsets", f32, shape(8, kLanes), 64);
  for (int j = 0; j < panels; ++j)
    Panel(p.format, p.w(panel + j)).for_each_group(p.spec.k, [&](const Group& g, const Val& index) {
      for (size_t w = 0; w < 8; ++w) {
        size_t sub = w * g.scales.size() / 8;
        auto at = static_cast<int64_t>(w);
        store_pack(words(at), {}, 0, {bitcast(u32.with_lanes(kLanes), g.words[w])});
        store_pack(scales(at), {}, 0, {g.scales[sub]});
        if (!g.offsets.empty()) store_pack(offsets(at), {}, 0, {g.offsets[sub]});
      }
      FOR (w, literal(s64, 0), 8, Unroll{1}) {
        Val word = load_pack(words(w), {}, 0, kLanes)[0], scale = load_pack(scales(w), {}, 0, kLanes)[0];
        for (int e = 0; e < 4; ++e) {
          Val q = bitcast(s32.with_lanes(kLanes), (e ? word >> (8 * e) : word) & 255);
          Val value = to(f32, zero ? q - zero : q) * scale;
          if (!g.offsets.empty()) value = value + load_pack(offsets(w), {}, 0, kLanes)[0];
          for (size_t i = 0; i < a_rows.size(); ++i) {
            auto& sum = sums[i][static_cast<size_t>(j)];
            sum = fma(splat(activation(p, a_rows[i], index * 32 + w * 4, e), kLanes), value, sum);
          }
        }
      }
    });
  return read(sums);
}

}  // namespace rose::kernels::x86
