// Runs on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0); elsewhere the kernel is recorded, verified and
// printed.
#include "kernels/gemm/sm90.h"

#include <fmt/format.h>

#include <cmath>

#include "support.h"

namespace rose::kernels {
namespace {

void check(GemmSm90Spec spec, int64_t m) {
  std::string what = fmt::format("{} m={}", spec_text(spec), m);
  auto a = random_values(spec.dtype, m * spec.k, 1), b = random_values(spec.dtype, spec.n * spec.k, 2);
  auto a_device = upload(spec.dtype, a), b_device = upload(spec.dtype, b),
       out = poisoned(spec.dtype, m * spec.n + 64);
  GemmSm90 gemm(test_context(), spec);
  gemm(test_stream(), a_device, b_device, out, m);
  auto got = download(spec.dtype, out, m * spec.n);
  auto guard = download(spec.dtype, out.pointer() + m * spec.n * 2, 64);
  for (double g : guard) ASSERT_TRUE(std::isnan(g)) << what << ": wrote beyond the output";

  // A sample of rows, each with all its columns. Errors: one rounding to dtype, and K products summed in f32.
  std::vector<double> sample, want;
  double largest = 0;
  for (int64_t row = 0; row < m; row += std::max<int64_t>(1, m / 37)) {
    for (int64_t n = 0; n < spec.n; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < spec.k; ++k)
        sum += a[static_cast<size_t>(row * spec.k + k)] * b[static_cast<size_t>(n * spec.k + k)];
      want.push_back(sum), sample.push_back(got[static_cast<size_t>(row * spec.n + n)]);
      largest = std::max(largest, std::abs(sum));
    }
  }
  double f32_error = static_cast<double>(spec.k) * ir::unit_roundoff(ir::f32);
  expect_close(sample, want, f32_error * 4, 1.01 * ir::unit_roundoff(spec.dtype), what);
}

TEST(GemmSm90, MatchesTheReferenceAtAllRemainders) {
  if (!on_gpu() || test_context().properties().capability != 90)
    GTEST_SKIP() << "needs a Hopper GPU: ROSE_TEST_DEVICE=cuda:0";
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
  spec.n = 1032, spec.k = 1000, spec.dtype = ir::f16;
  check(spec, 777);
  spec.n = 2560, spec.k = 192, spec.group = 3;
  check(spec, 5000);
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
  spec = {}, spec.tile_n = 250;
  EXPECT_THROW(gemm_sm90(target, spec), KernelError);
  spec = {};
  EXPECT_THROW(gemm_sm90(ir::parse_target("sm_100a"), spec), KernelError);
}

}  // namespace
}  // namespace rose::kernels
