// Runs on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0); elsewhere kernels are recorded, verified and printed.
#include "kernels/gemm/sm90.h"

#include <fmt/format.h>

#include <cmath>

#include "gemm_support.h"

namespace rose::kernels {
namespace {

void check(GemmSm90Spec spec, int64_t m) {
  const auto& kernel = program(test_context(), "gemm_sm90", spec, gemm_sm90);
  check_gemm_against_reference(
      spec, m, fmt::format("{} m={}", spec_text(spec), m),
      [&](const Gemm::Operands& o) { launch_gemm_sm90(test_context(), test_stream(), spec, kernel, o, m); });
}

TEST(GemmSm90, MatchesTheReferenceAtAllRemainders) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  for (int cluster : {1, 2})
    for (int tile_n : {64, 128, 192, 256}) {
      GemmSm90Spec spec;
      spec.cluster = cluster, spec.tile_n = tile_n, spec.n = 256, spec.k = 256;
      for (int64_t m : {1, 63, 128, 129, 300}) check(spec, m);
      spec.n = 200, spec.k = 72;
      for (int64_t m : {5, 127, 257}) check(spec, m);
      spec.n = 8, spec.k = 8;
      check(spec, 64);
    }
  GemmSm90Spec spec;
  spec.n = 1032, spec.k = 1000, spec.dtype = spec.out_dtype = ir::f16;
  check(spec, 777);
  spec.n = 2560, spec.k = 192, spec.group = 3;
  check(spec, 5000);
}

TEST(GemmSm90, Epilogues) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  bool pdl = false;
  for (int tile_n : {128, 192, 256})
    for (const GemmSpec& product : gemm_epilogues()) {
      if (product.gated && tile_n % 128) continue;
      GemmSm90Spec spec;
      static_cast<GemmSpec&>(spec) = product;
      spec.tile_n = tile_n, spec.pdl = pdl = !pdl;
      for (int64_t m : {1, 130, 300}) check(spec, m);
    }
}

TEST(GemmSm90, IsRecordedAndVerifiedWithoutAGpu) {
  auto target = ir::parse_target("sm_90a");
  for (const auto& text : gemm_sm90_entry().standard) {
    auto kernel = gemm_sm90(target, parse_spec<GemmSm90Spec>(text));
    ir::optimize(kernel);
    ir::verify(kernel);
    EXPECT_LE(kernel.shared_bytes, 232448) << text;
  }
}

TEST(GemmSm90, RefusesWhatItCannotDo) {
  auto target = ir::parse_target("sm_90a");
  GemmSm90Spec spec;
  spec.k = 100;
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {}, spec.dtype = ir::f32;
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {}, spec.out_dtype = ir::f16;
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {}, spec.tile_n = 250;
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {}, spec.gated = true, spec.tile_n = 192;
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {}, spec.activation = "swish";
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {};
  EXPECT_THROW(gemm_sm90(ir::parse_target("sm_100a"), spec), KernelError);
}

}  // namespace
}  // namespace rose::kernels
