// How rows are dealt, on the host; the kernel itself on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0).
#include "kernels/gemm/sm90_decode.h"

#include <fmt/format.h>

#include "gemm_support.h"
#include "kernels/gemm/sm90_common.h"

namespace rose::kernels {
namespace {

TEST(GemmDecode, EveryRowIsDealtOnceInTilesThatFit) {
  for (int64_t n : {8, 64, 1000, 1024, 4096, 6144, 28672, 128256, 151936})
    for (int blocks : {1, 7, 128, 132})
      for (bool gated : {false, true}) {
        if (gated && n % 16) continue;
        GemmDecodeSpec spec;
        spec.n = n, spec.blocks = blocks, spec.gated = gated;
        GemmDeal d = gemm_deal(spec);
        EXPECT_EQ(d.first(0), 0);
        EXPECT_EQ(d.first(blocks), n);
        EXPECT_LE(d.height, 64);
        EXPECT_GE(d.last, 1);
        EXPECT_LE(d.last, d.height);
        EXPECT_EQ(d.height % 8, 0);
        int64_t longest = 0;
        for (int64_t b = 0; b < blocks; ++b) {
          int64_t rows = d.first(b + 1) - d.first(b);
          EXPECT_EQ(d.first(b) % d.unit, 0);
          longest = std::max(longest, rows);
        }
        EXPECT_EQ(longest, (d.tiles - 1) * d.height + d.last) << n << " over " << blocks;
      }
}

TEST(GemmDecode, IsRecordedAndVerifiedWithoutAGpu) {
  auto target = ir::parse_target("sm_90a");
  for (const auto& text : gemm_decode_entry().standard) {
    auto spec = parse_spec<GemmDecodeSpec>(text);
    auto kernel = gemm_decode(target, spec);
    ir::optimize(kernel);
    ir::verify(kernel);
    EXPECT_LE(spec.resident * (kernel.shared_bytes + 1024), 233472) << text;
  }
  for (int tokens : {8, 16, 32, 64})
    for (int resident : {1, 2}) {
      GemmDecodeSpec spec;
      spec.n = 6144, spec.tokens = tokens, spec.resident = resident, spec.stages = gemm_decode_stages(spec);
      EXPECT_LE(resident * (gemm_decode(target, spec).shared_bytes + 1024), 233472)
          << tokens << " " << resident;
    }
}

TEST(GemmDecode, RefusesWhatItCannotDo) {
  auto target = ir::parse_target("sm_90a");
  GemmDecodeSpec spec;
  spec.tokens = 128;
  EXPECT_THROW(gemm_decode(target, spec), KernelError);
  spec = {}, spec.cluster = 2;  // four tokens for each block
  EXPECT_THROW(gemm_decode(target, spec), KernelError);
  spec = {}, spec.tokens = 64, spec.cluster = 4, spec.blocks = 130;
  EXPECT_THROW(gemm_decode(target, spec), KernelError);
}

void check(const GemmDecodeSpec& spec, int64_t m) {
  const auto& kernel = program(test_context(), "gemm_decode", spec, gemm_decode);
  check_gemm_against_reference(spec, m, fmt::format("{} m={}", spec_text(spec), m),
                               [&](const Gemm::Operands& o) {
                                 launch_gemm_decode(test_context(), test_stream(), spec, kernel, o, m);
                               });
}

TEST(GemmDecode, MatchesTheReferenceHoweverRowsAreDealt) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  for (auto [tokens, steps, cluster] : std::vector<std::array<int, 3>>{
           {8, 1, 1}, {16, 2, 1}, {32, 4, 1}, {32, 1, 2}, {64, 1, 1}, {64, 2, 4}}) {
    GemmDecodeSpec spec;
    spec.tokens = tokens, spec.steps = steps, spec.cluster = cluster, spec.stages = 3;
    spec.resident = 1, spec.residual = steps == 1, spec.pdl = steps == 2;
    spec.n = 264, spec.k = 584;
    for (int blocks : {4, 12, 40}) {  // tiles of 64 and 8 rows, of 24, of 8
      spec.blocks = blocks;
      check(spec, tokens - (blocks == 12 ? 5 : 0));
    }
    spec.n = 1040, spec.blocks = 8;  // 136 or 128 rows a block: tiles of 48, 48 and 40
    check(spec, tokens);
  }
}

}  // namespace
}  // namespace rose::kernels
