#include "kernels/gemm/gemm.h"

#include <algorithm>
#include <cstring>

#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/gemm/sm90_few.h"

namespace rose::kernels {

namespace {

// The programs of a Spec: for few rows one for each of these limits, whose cut of the weights, and so the
// order of sums, is the same up to 64 rows; for more rows one for each width of a tile.
constexpr std::array<int, 6> kFewRows = {8, 16, 32, 64, 128, 256};
constexpr std::array<int, 3> kTiles = {128, 192, 256};
constexpr size_t kManyRows = kFewRows.size();
static_assert(kManyRows + kTiles.size() == Gemm::kPrograms);

// The wider a product, the sooner the tiles of its output fill the device (measured on an H200).
constexpr int64_t kNarrow = 6000, kWide = 20000;

int64_t most_few_rows(const GemmSpec& spec) { return spec.n < kNarrow ? 256 : spec.n < kWide ? 128 : 64; }

// Columns of a tile: as long as the last wave of tiles runs, part of the device is idle. Weights:
// microseconds of a wave with K = 4096 on an H200.
size_t best_tile(const GemmSpec& spec, int64_t m, int processors) {
  constexpr std::array<double, 3> kWave = {25.1, 39.0, 49.8};
  size_t best = 0;
  double least = 1e30;
  for (size_t i = 0; i < kTiles.size(); ++i) {
    if (spec.gated && kTiles[i] % 128) continue;
    int64_t tiles = ceil_div(m, 128) * ceil_div(spec.n, kTiles[i]);
    double cost = static_cast<double>(ceil_div(tiles, processors)) * kWave[i];
    if (cost <= least) best = i, least = cost;
  }
  return best;
}

GemmFewSpec few_rows(const GemmSpec& spec, int tokens, int processors) {
  GemmFewSpec s;
  static_cast<GemmSpec&>(s) = spec;
  s.tokens = tokens;
  s.rows = 64;
  s.steps = 1;
  // One block with all the memory streams faster than two that halve it (measured: 55.8 against 61.3 us at
  // 28672 x 4096), though the next launch begins later.
  s.resident = 1;
  s.stages = gemm_few_stages(tokens, s.rows, s.steps, s.resident);
  s.blocks = static_cast<int>(std::min<int64_t>(processors, gemm_cut(s).units()));
  return s;
}

GemmSm90Spec many_rows(const GemmSpec& spec, size_t tile) {
  GemmSm90Spec s;
  static_cast<GemmSpec&>(s) = spec;
  s.tile_n = kTiles[tile];
  s.cluster = s.tile_n == 256 ? 2 : 1;
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
  const size_t bytes = static_cast<size_t>(gemm_few_counters(few(0))) * 4;
  counters_ = context.device().allocate(bytes);
  auto stream = context.device().create_stream();
  stream->fill_words(counters_, 0, bytes);
  stream->synchronize();
}

size_t Gemm::program_number(int64_t m) const {
  if (m > most_few_rows(spec_)) return kManyRows + best_tile(spec_, m, context_->properties().processors);
  return static_cast<size_t>(std::lower_bound(kFewRows.begin(), kFewRows.end(), m) - kFewRows.begin());
}

GemmFewSpec Gemm::few(size_t number) const {
  return few_rows(spec_, kFewRows[number], context_->properties().processors);
}

const runtime::Program& Gemm::program_of(size_t number) {
  auto& found = programs_[number];
  if (!found)
    found = number >= kManyRows
                ? &program(*context_, "gemm_sm90", many_rows(spec_, number - kManyRows), gemm_sm90)
                : &program(*context_, "gemm_few", few(number), gemm_few);
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
  for (size_t i = 0; i < kManyRows && (i == 0 || kFewRows[i - 1] < std::min(max_m, most_few_rows(spec_)));
       ++i)
    most = std::max(most, gemm_few_workspace_bytes(few(i)));
  return most;
}

void Gemm::operator()(runtime::Stream& stream, const Operands& operands, int64_t m) {
  const size_t number = program_number(m);
  const auto& kernel = program_of(number);
  if (number >= kManyRows)
    launch_gemm_sm90(*context_, stream, many_rows(spec_, number - kManyRows), kernel, operands, m);
  else
    launch_gemm_few(*context_, stream, few(number), kernel, operands, counters_, m);
}

}  // namespace rose::kernels
