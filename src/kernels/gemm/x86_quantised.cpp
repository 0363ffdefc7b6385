// The inner loops of the quantised formats. A panel's cells are walked along K in groups of 32 elements; a
// group's eight words of q are put together once and meet every row of the tile.
#include <bit>
#include <cstddef>

#include "kernels/gemm/x86_tile.h"

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

// Where 16 elements share a scale, q is taken 32 / zero times as large as it is, and the scale smaller, so
// that all such formats have the same zero.
int lift_of(const X86WeightFormat& f) {
  return f.sub == 16 && f.zero ? std::countr_zero(32u / static_cast<unsigned>(f.zero)) : 0;
}
int zero_of(const X86WeightFormat& f) { return f.zero << lift_of(f); }

// What a group of 32 elements of 16 columns says, in registers. Vectors have one lane a column.
struct Group {
  std::vector<Val> words;            // u8x64: q of elements 4w … 4w+3, as they enter the product
  std::vector<Val> scales, offsets;  // f32, one a sub-block; value = scale × (q - zero) + offset
};

class Panel {
 public:
  Panel(const X86WeightFormat& format, const Tensor& panel) : f_(format), panel_(panel) {}

  // Calls body(group, number of the group in the row) for each group; the loops are recorded.
  void for_each_group(int64_t k, const std::function<void(const Group&, const Val&)>& body) {
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

 private:
  Val vector(const Val& byte, int64_t constant, Type dtype) {
    return load_pack(part_at(panel_, byte, constant, dtype, 0), {}, 0, kLanes)[0];
  }

  Val header_scale(const Val& at) {
    if (lift_of(f_)) return to(f32, vector(at, 0, f16)) * (1.0 / (1 << lift_of(f_)));
    if (f_.scale != X86Scale::kExponent) return to(f32, vector(at, 0, f16));
    // 2^(e - 127) has the bits of e as its exponent (e = 0 counts as zero); the codebook holds doubled
    // values.
    return bitcast(f32.with_lanes(kLanes), to(u32, vector(at, 0, u8)) << 23) * 0.5;
  }

  Group group(const Val& at, int64_t constant, const Val& scale, const std::optional<Val>& minimum) {
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
  Val bits_of(const std::vector<Val>& plane, int w, int shift) {
    int bits = static_cast<int>(plane.size()), down = bits * (w / bits) - shift;
    Val v = plane[static_cast<size_t>(w % bits)];
    if (bits == 8) return v;
    if (down > 0) v = v >> down;
    if (down < 0) v = v << -down;
    return v & bytes_repeated(((1u << bits) - 1) << shift);
  }

  void words(const Val& at, int64_t constant, Group& g) {
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

  const X86WeightFormat& f_;
  Tensor panel_;
};

// A number of one row's group, spread over the lanes.
Val spread(const Tensor& group, size_t byte, Type dtype) {
  return splat(load(part(group, static_cast<int64_t>(byte), dtype, 1), 0), kLanes);
}

// -zero · Σ of the activations of a sub-block, which is what a sum of products of q begins with.
Val beginning(int zero, const Tensor& group, int sub, int subs) {
  if (zero == 0) return literal(s32.with_lanes(kLanes), 0);
  if (subs == 2) return spread(group, offsetof(X86Group, half_sums) + 4 * static_cast<size_t>(sub), s32);
  return spread(group, offsetof(X86Group, sums) + (zero == 8 ? 0 : zero == 16 ? 4 : 8), s32);
}

// Adds a group's products with the activations of one row to `sum`:
//   Σ value · a = a_scale · Σ_sub scale · (Σ q·aq - zero · Σ aq) + offset · a_scale · Σ aq
void add_group(const X86WeightFormat& f, const Tensor& a, const Group& g, Var& sum) {
  int subs = static_cast<int>(g.scales.size()), words = 8 / subs;
  bool small = f.low_bits + f.high_bits < 8 && f.zero < 128;  // no q above 127
  std::optional<Val> total;
  for (int s = 0; s < subs; ++s) {
    Val dot = beginning(zero_of(f), a, s, subs);
    for (int w = s * words; w < (s + 1) * words; ++w) {
      Val spread_word = spread(a, offsetof(X86Group, q) + 4 * static_cast<size_t>(w), u32);
      dot = op1(small ? "dot.u7s8" : "dot.u8s8", dot.type(),
                {dot, g.words[static_cast<size_t>(w)], bitcast(s8.with_lanes(4 * kLanes), spread_word)});
    }
    auto at = static_cast<size_t>(s);
    total = total ? fma(to(f32, dot), g.scales[at], *total) : to(f32, dot) * g.scales[at];
    if (!g.offsets.empty() && subs == 2)
      total = fma(to(f32, beginning(32, a, s, subs)), g.offsets[at] * (-1.0 / 32), *total);
  }
  sum = fma(*total, spread(a, offsetof(X86Group, scale), f32), sum);
  if (!g.offsets.empty() && subs == 1)
    sum = fma(g.offsets[0], spread(a, offsetof(X86Group, scaled_sum), f32), sum);
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
