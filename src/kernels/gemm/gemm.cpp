#include "kernels/gemm/gemm.h"

#include <algorithm>
#include <cstring>

#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/gemm/sm90_decode.h"
#include "kernels/gemm/sm90_few.h"

namespace rose::kernels {

namespace {

// The programs of a Spec, by rows of a: for decoding one for each of the first limits, whose rows of the
// weights are each summed by one block over all of K, so that a row's bits are the same in all of them; for a
// few more rows one for each of the next limits, where blocks share tiles along K; for many rows one for each
// width of a tile.
constexpr std::array<int, 6> kFewRows = {8, 16, 32, 64, 128, 256};
constexpr size_t kDecode = 4;
struct Tile {
  int columns, cluster;
};
constexpr std::array<Tile, 4> kTiles = {Tile{128, 1}, Tile{192, 1}, Tile{256, 1}, Tile{256, 2}};
constexpr size_t kManyRows = kFewRows.size();
static_assert(kManyRows + kTiles.size() == Gemm::kPrograms);

// The wider a product, the sooner the tiles of its output fill the device (measured on an H200).
constexpr int64_t kNarrow = 6000, kWide = 20000;

int64_t most_few_rows(const GemmSpec& spec) { return spec.n < kNarrow ? 256 : spec.n < kWide ? 128 : 64; }

// As long as the last wave of tiles runs, part of the device is idle. Weights: microseconds of a wave with K
// = 4096 on an H200. A single row of tiles is bound by memory, where wide ones are better; so they are where
// much is read again. Clusters of two need many rows of tiles, or one of the two is idle (28672 x 4096, 128
// rows: 90 instead of 67 us).
size_t best_tile(const GemmSpec& spec, int64_t m, int processors) {
  const int64_t rows = ceil_div(m, 128);
  const bool much = rows >= 32 && spec.n >= kWide;
  const double wide = rows == 1 ? 49.8 : much ? 49.6 : 50.3;
  const std::array<double, 4> wave = {rows == 1 ? 27.0 : 25.1, 39.0, wide, wide};
  size_t best = 0;
  double least = 1e30;
  for (size_t i = 0; i < kTiles.size(); ++i) {
    if (spec.gated && kTiles[i].columns % 128) continue;
    if (kTiles[i].columns == 256 && (kTiles[i].cluster == 2) != (rows >= 8)) continue;
    int64_t tiles = rows * ceil_div(spec.n, kTiles[i].columns);
    double cost = static_cast<double>(ceil_div(tiles, processors)) * wave[i];
    if (cost <= least) best = i, least = cost;
  }
  return best;
}

// One block with all of a multiprocessor's memory streams as fast as two that halve it or faster
// (measured: 56.8 against 58.4 us at 28672 x 4096, 11.0 against 12.2 at 4096 x 4096 with 64 rows), though the
// next launch begins later. Tiles that are low need more steps along K in a stage, or waiting for stages
// takes longer than their bytes.
GemmDecodeSpec decode(const GemmSpec& spec, int tokens, int processors) {
  GemmDecodeSpec s;
  static_cast<GemmSpec&>(s) = spec;
  s.tokens = tokens, s.cluster = 1, s.resident = 1;
  s.blocks = static_cast<int>(std::min<int64_t>(processors, spec.n / (spec.gated ? 16 : 8)));
  const int64_t height = gemm_deal(s).height;
  s.steps = tokens > 32 || height > 48 ? 1 : tokens == 8 && height <= 32 ? 4 : 2;
  s.stages = gemm_decode_stages(s);
  return s;
}

GemmFewSpec few_rows(const GemmSpec& spec, int tokens, int blocks) {
  GemmFewSpec s;
  static_cast<GemmSpec&>(s) = spec;
  s.tokens = tokens, s.rows = 64, s.steps = 1, s.resident = 1;
  s.stages = gemm_few_stages(tokens, s.rows, s.steps, s.resident);
  s.blocks = blocks;
  return s;
}

GemmSm90Spec many_rows(const GemmSpec& spec, size_t tile) {
  GemmSm90Spec s;
  static_cast<GemmSpec&>(s) = spec;
  s.tile_n = kTiles[tile].columns, s.cluster = kTiles[tile].cluster;
  s.stages = s.tile_n == 128 ? 6 : 4;
  return s;
}

}  // namespace

void pack_gated(const std::byte* gate, const std::byte* up, std::byte* packed, int64_t rows,
                size_t row_bytes) {
  require(rows >= 0 && rows % 8 == 0, "gemm", "rows of gate and up", rows, "use a multiple of 8");
  const size_t eight = 8 * row_bytes;
  for (int64_t i = 0; i < rows / 8; ++i, gate += eight, up += eight, packed += 2 * eight) {
    std::memcpy(packed, gate, eight);
    std::memcpy(packed + eight, up, eight);
  }
}

Gemm::Gemm(runtime::Context& context, const GemmSpec& spec) : context_(&context), spec_(spec) {
  check_gemm(runtime::target_of(context.properties()), spec, "gemm");
  few_blocks_ = gemm_few_blocks(spec.n, spec.k, 64, 1, context.properties().processors);
  const size_t bytes = static_cast<size_t>(gemm_few_counters(few_rows(spec, 128, few_blocks_))) * 4;
  counters_ = context.device().allocate(bytes);
  auto stream = context.device().create_stream();
  stream->fill_words(counters_, 0, bytes);
  stream->synchronize();
}

size_t Gemm::program_number(int64_t m) const {
  if (m > most_few_rows(spec_)) return kManyRows + best_tile(spec_, m, context_->properties().processors);
  return static_cast<size_t>(std::lower_bound(kFewRows.begin(), kFewRows.end(), m) - kFewRows.begin());
}

const runtime::Program& Gemm::program_of(size_t number) {
  auto& found = programs_[number];
  if (found) return *found;
  const int processors = context_->properties().processors;
  if (number >= kManyRows)
    found = &program(*context_, "gemm_sm90", many_rows(spec_, number - kManyRows), gemm_sm90);
  else if (number >= kDecode)
    found = &program(*context_, "gemm_few", few_rows(spec_, kFewRows[number], few_blocks_), gemm_few);
  else
    found = &program(*context_, "gemm_decode", decode(spec_, kFewRows[number], processors), gemm_decode);
  return *found;
}

std::vector<int64_t> Gemm::program_rows(int64_t max_m) const {
  std::vector<int64_t> rows;
  std::array<bool, kPrograms> seen{};
  auto see = [&](int64_t m) {
    if (bool& known = seen[program_number(m)]; !known) known = true, rows.push_back(m);
  };
  for (int64_t m : kFewRows)
    if (m <= max_m) see(m);
  for (int64_t m = most_few_rows(spec_) + 1; m <= max_m; m += 128) see(m);
  if (max_m > 0) see(max_m);
  return rows;
}

void Gemm::prepare(int64_t max_m) {
  for (int64_t m : program_rows(max_m)) prepare_for(m);
}

int64_t Gemm::workspace_bytes(int64_t max_m) const {
  int64_t most = 0;
  for (size_t i = kDecode; i < kManyRows && kFewRows[i - 1] < std::min(max_m, most_few_rows(spec_)); ++i)
    most = std::max(most, gemm_few_workspace_bytes(few_rows(spec_, kFewRows[i], few_blocks_)));
  return most;
}

void Gemm::operator()(runtime::Stream& stream, const Operands& operands, int64_t m) {
  const size_t number = program_number(m);
  const auto& kernel = program_of(number);
  const int processors = context_->properties().processors;
  if (number >= kManyRows)
    launch_gemm_sm90(*context_, stream, many_rows(spec_, number - kManyRows), kernel, operands, m);
  else if (number >= kDecode)
    launch_gemm_few(*context_, stream, few_rows(spec_, kFewRows[number], few_blocks_), kernel, operands,
                    counters_, m);
  else
    launch_gemm_decode(*context_, stream, decode(spec_, kFewRows[number], processors), kernel, operands, m);
}

}  // namespace rose::kernels
