// The cut of the weights on the host; the kernel itself on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0).
#include "kernels/gemm/sm90_few.h"

#include <fmt/format.h>

#include "gemm_support.h"
#include "kernels/gemm/sm90_common.h"

namespace rose::kernels {
namespace {

TEST(GemmFew, TheCutDealsEveryUnitOnce) {
  for (auto [n, k, blocks] : std::vector<std::array<int, 3>>{{4096, 4096, 128},
                                                             {6144, 4096, 132},
                                                             {1000, 520, 7},
                                                             {64, 64, 1},
                                                             {8, 4096, 64},
                                                             {28672, 4096, 131},
                                                             {128, 256, 8}}) {
    GemmFewSpec spec;
    spec.n = n, spec.k = k, spec.blocks = blocks;
    GemmCut cut = gemm_cut(spec);
    EXPECT_EQ(cut.first(0), 0);
    EXPECT_EQ(cut.first(blocks), cut.units());
    for (int64_t b = 0; b < blocks; ++b) {
      int64_t begin = cut.first(b), end = cut.first(b + 1);
      EXPECT_LE(end - begin, ceil_div(cut.units(), blocks));
      for (int64_t u = begin; u < end; ++u) ASSERT_EQ(cut.block_of(u), b) << n << " " << k << " unit " << u;
    }
    // A block keeps parts of at most two tiles: its first and its last.
    for (int64_t b = 0; b < blocks; ++b) {
      int64_t parts = 0;
      for (int64_t tile = cut.first(b) / cut.steps; tile * cut.steps < cut.first(b + 1); ++tile) {
        bool whole = tile * cut.steps >= cut.first(b) && (tile + 1) * cut.steps <= cut.first(b + 1);
        parts += !whole;
      }
      EXPECT_LE(parts, 2);
    }
  }
}

TEST(GemmFew, BlocksKeepTheDeviceBusy) {
  for (auto [n, k] : std::vector<std::array<int64_t, 2>>{
           {4096, 4096}, {6144, 4096}, {28672, 4096}, {128256, 4096}, {4096, 14336}}) {
    int blocks = gemm_few_blocks(n, k, 64, 1, 132);
    EXPECT_GE(blocks, 132 * 15 / 16);
    EXPECT_LE(blocks, 132);
  }
  EXPECT_EQ(gemm_few_blocks(64, 128, 64, 1, 132), 2);  // no more than there are units
  GemmFewSpec spec;
  spec.n = 24576, spec.blocks = gemm_few_blocks(24576, 4096, 64, 1, 132);
  EXPECT_EQ(gemm_cut(spec).shared_parts(), 0);  // 128 blocks of three tiles
}

TEST(GemmFew, IsRecordedAndVerifiedWithoutAGpu) {
  auto target = ir::parse_target("sm_90a");
  for (const auto& text : gemm_few_entry().standard) {
    auto spec = parse_spec<GemmFewSpec>(text);
    auto kernel = gemm_few(target, spec);
    ir::optimize(kernel);
    ir::verify(kernel);
    EXPECT_LE(spec.resident * (kernel.shared_bytes + 1024), 233472) << text;
  }
  for (int tokens : {8, 16, 32, 64})
    for (int resident : {1, 2}) {
      GemmFewSpec spec;
      spec.tokens = tokens, spec.resident = resident, spec.stages = gemm_few_stages(tokens, 64, 1, resident);
      EXPECT_LE(resident * (gemm_few(target, spec).shared_bytes + 1024), 233472) << tokens << " " << resident;
      spec.stages += 1;
      if (spec.stages <= 32) {
        EXPECT_GT(resident * (gemm_few(target, spec).shared_bytes + 1024), 233472 - 2048);
      }
    }
}

TEST(GemmFew, RefusesWhatItCannotDo) {
  auto target = ir::parse_target("sm_90a");
  GemmFewSpec spec;
  spec.tokens = 24;
  EXPECT_THROW(gemm_few(target, spec), KernelError);
  spec = {}, spec.rows = 96;
  EXPECT_THROW(gemm_few(target, spec), KernelError);
  spec = {}, spec.n = 1 << 24, spec.k = 1 << 24;
  EXPECT_THROW(gemm_few(target, spec), KernelError);
}

void check(const GemmFewSpec& spec, int64_t m) {
  const auto& kernel = program(test_context(), "gemm_few", spec, gemm_few);
  auto bytes = static_cast<size_t>(gemm_few_counters(spec)) * 4;
  auto counters = test_context().device().allocate(bytes);
  test_stream().fill_words(counters, 0, bytes);
  auto workspace = poisoned(ir::f32, gemm_few_workspace_bytes(spec) / 4);
  for (int turn = 0; turn < 2; ++turn)  // the counters are zero again
    check_gemm_against_reference(
        spec, m, fmt::format("{} m={} turn {}", spec_text(spec), m, turn), [&](Gemm::Operands o) {
          o.workspace = workspace;
          launch_gemm_few(test_context(), test_stream(), spec, kernel, o, counters, m);
        });
}

TEST(GemmFew, MatchesTheReferenceInAllCuts) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  for (auto [tokens, rows, steps] :
       std::vector<std::array<int, 3>>{{8, 64, 1}, {16, 128, 1}, {64, 64, 2}, {128, 64, 1}, {256, 128, 1}}) {
    GemmFewSpec spec;
    spec.tokens = tokens, spec.rows = rows, spec.steps = steps, spec.resident = 1, spec.stages = 2;
    spec.n = 264, spec.k = 584, spec.residual = tokens % 32 == 0;
    for (int blocks : {1, 7, 40}) {
      spec.blocks = blocks;
      check(spec, tokens);
    }
    spec.n = 512, spec.k = 512, spec.blocks = 4, spec.pdl = true;
    spec.stages = std::min(4, gemm_few_stages(tokens, rows, steps, 1));
    check(spec, tokens - 3);
  }
}

}  // namespace
}  // namespace rose::kernels
