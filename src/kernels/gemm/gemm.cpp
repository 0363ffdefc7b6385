#include "kernels/gemm/gemm.h"

#include <algorithm>
#include <cstring>

#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/gemm/sm90_few.h"

namespace rose::kernels {

namespace {

// The ranges of rows: each of the first has its own kernel for few rows, the last one walks over tiles. Their
// cut of the weights, and so the order of sums, is the same up to 64 rows.
constexpr std::array<int, 5> kFewRows = {8, 16, 32, 64, 128};
constexpr size_t kManyRows = kFewRows.size();

size_t range_of(int64_t m) {
  return static_cast<size_t>(std::lower_bound(kFewRows.begin(), kFewRows.end(), m) - kFewRows.begin());
}

GemmFewSpec few_rows(const GemmSpec& spec, int tokens, int processors) {
  GemmFewSpec s;
  static_cast<GemmSpec&>(s) = spec;
  s.tokens = tokens;
  s.rows = tokens <= 64 ? 64 : 128;
  s.steps = 1;
  s.resident = tokens <= 64 ? 2 : 1;
  s.stages = gemm_few_stages(tokens, s.rows, s.steps, s.resident);
  s.blocks = gemm_few_blocks(spec.n, spec.k, s.rows, s.steps, processors);
  return s;
}

GemmSm90Spec many_rows(const GemmSpec& spec) {
  GemmSm90Spec s;
  static_cast<GemmSpec&>(s) = spec;
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

GemmFewSpec Gemm::few(size_t range) const {
  return few_rows(spec_, kFewRows[range], context_->properties().processors);
}

const runtime::Program& Gemm::program_of(size_t range) {
  auto& found = programs_[range];
  if (found) return *found;
  found = range == kManyRows ? &program(*context_, "gemm_sm90", many_rows(spec_), gemm_sm90)
                             : &program(*context_, "gemm_few", few(range), gemm_few);
  return *found;
}

void Gemm::prepare(int64_t max_m) {
  for (size_t range = 0; range <= range_of(max_m); ++range) program_of(range);
}

int64_t Gemm::workspace_bytes(int64_t max_m) const {
  int64_t most = 0;
  for (size_t range = 0; range <= range_of(max_m) && range < kManyRows; ++range)
    most = std::max(most, gemm_few_workspace_bytes(few(range)));
  return most;
}

void Gemm::operator()(runtime::Stream& stream, const Operands& operands, int64_t m) {
  const size_t range = range_of(m);
  const auto& kernel = program_of(range);
  if (range == kManyRows)
    launch_gemm_sm90(*context_, stream, many_rows(spec_), kernel, operands, m);
  else
    launch_gemm_few(*context_, stream, few(range), kernel, operands, counters_, m);
}

}  // namespace rose::kernels
