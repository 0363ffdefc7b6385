// Tiles of AMX: 32 rows by two panels, in four accumulator tiles of 16 rows by 16 columns.
//
// Every tile register is 16 rows of 64 bytes. An operand tile of activations is 64 bytes of 16 rows; one of
// weights is 16 words of a panel, which lie one behind the other because a word of 16 columns is 64 bytes. So
// nothing is rearranged. Tile numbers: 0 to 3 sums [half of the rows][panel], 4 and 5 activations, 6 and 7
// weights.
//
// Panels of quantised weights are expanded to bf16 once, in scratch memory, for all the rows of a block.
#include "kernels/gemm/x86_groups.h"

namespace rose::kernels::x86 {
namespace {

constexpr int64_t kTileRows = 16, kTileBytes = 64;
constexpr int kActivations = 4, kWeights = 6;

Val address(const Tensor& t) { return t.offset ? t.base + t.offset : t.base; }

int64_t sum_tile(int64_t half, int64_t panel) { return 2 * half + panel; }

// Palette 1; tile i has 16 rows (byte 48 + i) of 64 bytes (16 bits at byte 16 + 2 i).
void configure_tiles(Product& p) {
  auto configuration = p.block.shared("tiles", u32, shape(16), 64);
  for (int word = 0; word < 16; ++word) {
    int64_t value = word == 0                  ? 1
                    : word >= 4 && word < 8    ? 0x00400040
                    : word == 12 || word == 13 ? 0x10101010
                                               : 0;
    store_at(configuration, word, literal(u32, value));
  }
  op("tile.config", Type{}, {address(configuration)});
}

// Values of 16 columns at two neighbouring elements, as one word of bf16 pairs a column.
Val pairs(const Val& even, const Val& odd) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < kLanes; ++i) order.push_back(i), order.push_back(i + kLanes);
  Val both = to(bf16, concat({even, odd}));
  return bitcast(u32.with_lanes(kLanes), shuffle_lanes(both, both, order));
}

// One panel, as a panel of plain bf16 weights would lie: u32 [k / 2][16].
void expand(Product& p, const Val& panel, const Tensor& into) {
  int zero = zero_of(p.format);
  Panel(p.format, p.w(panel)).for_each_group(p.spec.k, [&](const Group& g, const Val& index) {
    for (size_t w = 0; w < g.words.size(); ++w) {
      size_t sub = w * g.scales.size() / g.words.size();
      Val word = bitcast(u32.with_lanes(kLanes), g.words[w]);
      std::vector<Val> values;
      for (int e = 0; e < 4; ++e) {
        Val q = e == 3 ? word >> 24 : (e ? word >> (8 * e) : word) & 255;
        Val number = bitcast(s32.with_lanes(kLanes), q);
        Val value = to(f32, zero ? number - zero : number);
        values.push_back(g.offsets.empty() ? value * g.scales[sub]
                                           : fma(value, g.scales[sub], g.offsets[sub]));
      }
      for (size_t half = 0; half < 2; ++half)
        store_pack(into, index * (16 * kLanes), static_cast<int64_t>(2 * w + half) * kLanes,
                   {pairs(values[2 * half], values[2 * half + 1])});
    }
  });
}

// Sums of 32 rows and two panels go to `sums`, [32][2 · 16] of f32 or s32. `a` and `w`: where they begin.
void multiply(Product& p, const Tensor& sums, const std::vector<Val>& a, const std::vector<Val>& w) {
  bool whole = p.format.plain == s8;
  int64_t steps = p.spec.k * (whole ? 1 : 2) / kTileBytes, row_bytes = p.a.strides[0].size;
  auto step_bytes = [](const Val& step, int64_t bytes) { return bitcast(u64, step * bytes); };
  for (int64_t tile = 0; tile < 4; ++tile) op("tile.zero", Type{}, {}, {tile});
  FOR (step, literal(s64, 0), steps, Unroll{1}) {
    for (int64_t i = 0; i < 2; ++i) {
      auto at = static_cast<size_t>(i);
      op("tile.load", Type{}, {a[at] + step_bytes(step, kTileBytes), row_bytes}, {kActivations + i});
      op("tile.load", Type{}, {w[at] + step_bytes(step, kTileRows * kTileBytes), kTileBytes}, {kWeights + i});
    }
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t j = 0; j < 2; ++j)
        op(whole ? "tile.dot.u8s8" : "tile.dot.bf16", Type{}, {},
           {sum_tile(half, j), kActivations + half, kWeights + j});
  }
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t j = 0; j < 2; ++j)
      op("tile.store", Type{}, {address(sums(half * kTileRows).slice(j * kLanes, kLanes)), 2 * kTileBytes},
         {sum_tile(half, j)});
}

}  // namespace

bool amx_fits(const ir::Target& target, const X86GemmSpec& spec) {
  const auto& format = x86_weight_format(spec.weights);
  if (!spec.amx || spec.n <= kLanes) return false;  // it takes two panels
  if (format.plain == bf16 || format.quantised())
    return target.x86.amx_bf16 && !spec.exact && spec.k % 32 == 0;
  return format.plain == s8 && target.x86.amx_int8 && spec.k % 64 == 0;
}

void amx_tiles(Product& p, const Val& first, const Val& end, const Val& panel, const AmxFinish& finish) {
  bool records = p.form == X86Form::kBf16;
  auto sums = p.block.shared("sums", p.format.plain == s8 ? s32 : f32, shape(kAmxRows, 2 * kLanes), 64);
  Val first_panel = min(panel, literal(s64, p.panels() - 2));
  std::vector<Val> w;
  if (p.format.quantised()) {
    auto expanded = p.block.shared("expanded", u32, shape(2, p.spec.k / 2 * kLanes), 64);
    for (int j = 0; j < 2; ++j) {
      expand(p, first_panel + j, expanded(j));
      w.push_back(address(expanded(j)));
    }
  } else {
    for (int j = 0; j < 2; ++j) w.push_back(address(p.w(first_panel + j)));
  }
  configure_tiles(p);
  FOR (row, first, end, kAmxRows, Unroll{1}) {
    // There are records for whole tiles. Without them the last tile begins early, and stores what is its own.
    Val start = records ? row : min(row, p.rows - kAmxRows);
    multiply(p, sums, {address(p.a(start)), address(p.a(start + kTileRows))}, w);
    FOR (i, row - start, min(end - start, kAmxRows), Unroll{1}) {
      for (int j = 0; j < 2; ++j)
        IF (first_panel + j >= panel)
          finish(start + i, first_panel + j, j, load_pack(sums(i), {}, j * kLanes, kLanes)[0]);
    }
  }
  op("tile.release", Type{}, {});
}

}  // namespace rose::kernels::x86
