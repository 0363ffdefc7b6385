// The tile of AMX: 32 rows by two panels, in four accumulator tiles of 16 rows by 16 columns.
//
// Every tile register is 16 rows of 64 bytes. An operand tile of activations is 64 bytes of 16 rows; one of
// weights is 16 words of a panel, which lie one behind the other because a word of 16 columns is 64 bytes. So
// nothing is rearranged. Tile numbers: 0 to 3 sums [half of the rows][panel], 4 and 5 activations, 6 and 7
// weights.
#include "kernels/gemm/x86_tile.h"

namespace rose::kernels::x86 {
namespace {

constexpr int64_t kTileRows = 16, kTileBytes = 64;
constexpr int kActivations = 4, kWeights = 6;

Val address(const Tensor& t) { return t.offset ? t.base + t.offset : t.base; }

int64_t sum_tile(int64_t half, int64_t panel) { return 2 * half + panel; }

}  // namespace

bool amx_fits(const ir::Target& target, const X86GemmSpec& spec) {
  const auto& format = x86_weight_format(spec.weights);
  if (!spec.amx || spec.n <= kLanes) return false;  // it takes two panels
  if (format.plain == bf16) return target.x86.amx_bf16 && !spec.exact && spec.k % 32 == 0;
  return format.plain == s8 && target.x86.amx_int8 && spec.k % 64 == 0;
}

// Palette 1; tile i has rows[i] (byte 48 + i) rows of columns[i] (16 bits at byte 16 + 2 i) bytes.
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

void release_tiles() { op("tile.release", Type{}, {}); }

// Sums of rows [row, row + 32) and two panels go to `sums`, [32][2 · 16] of f32 or s32.
void amx_sums(Product& p, const Tensor& sums, const Val& row, const Val& panel) {
  bool whole = p.format.plain == s8;
  int64_t steps = p.spec.k * (whole ? 1 : 2) / kTileBytes, row_bytes = p.a.strides[0].size;
  auto step_bytes = [](const Val& step, int64_t bytes) { return bitcast(u64, step * bytes); };
  for (int64_t tile = 0; tile < 4; ++tile) op("tile.zero", Type{}, {}, {tile});
  std::vector<Val> a, w;
  for (int64_t i = 0; i < 2; ++i)
    a.push_back(address(p.a(row + i * kTileRows))), w.push_back(address(p.w(panel + i)));
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

}  // namespace rose::kernels::x86
