// A panel's cells are walked along K in groups of 32 elements; a group's eight words of q are put together
// once and meet every row of the tile.
#include "kernels/gemm/x86_groups.h"

#include <bit>
#include <cstddef>

namespace rose::kernels::x86 {
namespace {

Val bytes_repeated(unsigned byte) {
  return literal(u32.with_lanes(kLanes), static_cast<int64_t>(byte * 0x01010101u));
}

Val codebook_table(const uint8_t* entries) {
  auto word = [&](int i) {
    uint32_t bits = 0;
    for (int j = 3; j >= 0; --j) bits = bits << 8 | entries[4 * i + j];
    return literal(u32, static_cast<int64_t>(bits));
  };
  return bitcast(u8.with_lanes(16), concat({word(0), word(1), word(2), word(3)}));
}

}  // namespace

int lift_of(const X86WeightFormat& f) {
  return f.sub == 16 && f.zero ? std::countr_zero(32u / static_cast<unsigned>(f.zero)) : 0;
}

void Panel::for_each_group(int64_t k, const std::function<void(const Group&, const Val&)>& body) {
  int64_t groups = f_.block_elements / 32;
  FOR (cell, literal(s64, 0), k / f_.block_elements, Unroll{1}) {
    Val at = cell * f_.cell_bytes();
    Val scale = header_scale(at);
    std::optional<Val> minimum;
    if (f_.minimum) minimum = to(f32, vector(at, 32, f16));
    if (groups == 1) {
      body(group(at, f_.header_bytes(), scale, minimum), cell);
    } else {
      FOR (g, literal(s64, 0), groups, Unroll{1})
        body(group(at + g * f_.group_bytes(), f_.header_bytes(), scale, minimum), cell * groups + g);
    }
  }
}

Val Panel::vector(const Val& byte, int64_t constant, Type dtype) {
  return load_pack(part_at(panel_, byte, constant, dtype, 0), {}, 0, kLanes)[0];
}

Val Panel::header_scale(const Val& at) {
  if (lift_of(f_)) return to(f32, vector(at, 0, f16)) * (1.0 / (1 << lift_of(f_)));
  if (f_.scale != X86Scale::kExponent) return to(f32, vector(at, 0, f16));
  // 2^(e - 127) has the bits of e as its exponent (e = 0 counts as zero); the codebook holds doubled
  // values.
  return bitcast(f32.with_lanes(kLanes), to(u32, vector(at, 0, u8)) << 23) * 0.5;
}

Group Panel::group(const Val& at, int64_t constant, const Val& scale, const std::optional<Val>& minimum) {
  Group g;
  for (int s = 0; s < 32 / f_.sub; ++s) {
    if (!f_.super()) {
      g.scales.push_back(scale);
      if (minimum) g.offsets.push_back(*minimum);
    } else if (f_.scale == X86Scale::kNibbles) {
      Val both = to(u32, vector(at, constant + 16 * s, u8));
      g.scales.push_back(scale * to(f32, both & 15));
      g.offsets.push_back(-(*minimum * to(f32, both >> 4)));
    } else {
      g.scales.push_back(scale *
                         to(f32, vector(at, constant + 16 * s, f_.scale == X86Scale::kSigned ? s8 : u8)));
      if (minimum)
        g.offsets.push_back(-(*minimum * to(f32, vector(at, constant + 16 * (32 / f_.sub + s), u8))));
    }
  }
  words(at, constant + f_.scale_bytes(), g);
  return g;
}

// A plane's bits of word w, moved to bit `shift` of every byte.
Val Panel::bits_of(const std::vector<Val>& plane, int w, int shift) {
  int bits = static_cast<int>(plane.size()), down = bits * (w / bits) - shift;
  Val v = plane[static_cast<size_t>(w % bits)];
  if (bits == 8) return v;
  if (down > 0) v = v >> down;
  if (down < 0) v = v << -down;
  return v & bytes_repeated(((1u << bits) - 1) << shift);
}

void Panel::words(const Val& at, int64_t constant, Group& g) {
  std::vector<Val> low, high;
  for (int i = 0; i < f_.low_bits; ++i) low.push_back(vector(at, constant + 64 * i, u32));
  for (int i = 0; i < f_.high_bits; ++i) high.push_back(vector(at, constant + 64 * (f_.low_bits + i), u32));
  std::optional<Val> table;
  if (f_.codebook) table = codebook_table(f_.codebook);
  Type bytes = u8.with_lanes(4 * kLanes);
  for (int w = 0; w < 8; ++w) {
    Val q = bits_of(low, w, lift_of(f_));
    if (f_.high_bits) q = q | bits_of(high, w, f_.low_bits + lift_of(f_));
    Val word = bitcast(bytes, q);
    g.words.push_back(table ? op1("lookup16", bytes, {*table, word}) : word);
  }
}

Val spread(const Tensor& group, size_t byte, Type dtype) {
  return splat(load(part(group, static_cast<int64_t>(byte), dtype, 1), 0), kLanes);
}

void add_dots(const Tensor& a, const std::vector<Val>& dots, const std::vector<Val>& scales,
              const std::vector<Val>& offsets, Var& sum) {
  std::optional<Val> total;
  for (size_t s = 0; s < dots.size(); ++s) {
    total = total ? fma(to(f32, dots[s]), scales[s], *total) : to(f32, dots[s]) * scales[s];
    if (!offsets.empty() && dots.size() == 2) {
      Val half = spread(a, offsetof(X86Group, half_sums) + 4 * s, s32);
      total = fma(to(f32, half), offsets[s] * (-1.0 / 32), *total);
    }
  }
  sum = fma(*total, spread(a, offsetof(X86Group, scale), f32), sum);
  if (!offsets.empty() && dots.size() == 1)
    sum = fma(offsets[0], spread(a, offsetof(X86Group, scaled_sum), f32), sum);
}

}  // namespace rose::kernels::x86
