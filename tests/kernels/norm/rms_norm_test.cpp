#include "kernels/norm/rms_norm.h"

#include <fmt/format.h>

#include "support.h"

namespace rose::kernels {
namespace {

void check(const RmsNormSpec& spec, int64_t rows) {
  std::string what = fmt::format("{} rows={}", spec_text(spec), rows);
  int64_t count = rows * spec.hidden;
  auto x = random_values(spec.dtype, count, 1), weight = random_values(spec.dtype, spec.hidden, 2);
  auto residual = random_values(spec.dtype, count, 3);
  auto x_device = upload(spec.dtype, x), weight_device = upload(spec.dtype, weight),
       residual_device = upload(spec.dtype, residual);
  auto out_device = poisoned(spec.dtype, count);

  RmsNorm op(test_context(), spec);
  if (spec.residual)
    op(test_stream(), x_device, residual_device, weight_device, out_device, rows);
  else
    op(test_stream(), x_device, weight_device, out_device, rows);

  // The norm sees the sum as it is stored: rounded to dtype.
  auto sum = residual;
  if (spec.residual)
    for (size_t i = 0; i < sum.size(); ++i)
      sum[i] = ir::value_of(spec.dtype, ir::bits_of(spec.dtype, x[i] + residual[i]));
  std::vector<double> want(x.size());
  rms_norm_reference(spec, spec.residual ? sum.data() : x.data(), nullptr, weight.data(), want.data(), rows);

  // One rounding of the result to dtype; in f32, a sum of `hidden` squares (its relative error grows at most
  // with the number of terms in one accumulator), a reciprocal root (2 ulp) and three products.
  double f32_error = (static_cast<double>(spec.hidden) / 16 + 16) * ir::unit_roundoff(ir::f32);
  double relative = 1.01 * ir::unit_roundoff(spec.dtype) + f32_error;
  expect_close(download(spec.dtype, out_device, count), want, ir::underflow_roundoff(spec.dtype), relative,
               what);
  if (spec.residual)
    expect_close(download(spec.dtype, residual_device, count), sum, 0, 0, what + " residual");
}

TEST(RmsNorm, MatchesTheReferenceForEverySizeAndRemainder) {
  for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
    for (int64_t hidden :
         {1, 2, 3, 7, 8, 16, 31, 33, 64, 100, 128, 257, 576, 640, 1000, 2048, 4096, 5120, 8192, 20000, 65536})
      for (bool residual : {false, true}) {
        RmsNormSpec spec;
        spec.dtype = dtype, spec.hidden = hidden, spec.residual = residual;
        check(spec, hidden > 4096 ? 2 : 5);
      }
}

TEST(RmsNorm, AddsOneToTheWeightWhenAsked) {
  RmsNormSpec spec;
  spec.hidden = 640, spec.weight_plus_one = true;
  check(spec, 3);
}

TEST(RmsNorm, ManyRows) {
  RmsNormSpec spec;
  spec.hidden = 96;
  check(spec, 1000);
}

TEST(RmsNorm, RefusesSpecsOutsideItsRange) {
  RmsNormSpec spec;
  spec.hidden = 0;
  EXPECT_THROW(RmsNorm(test_context(), spec), KernelError);
  spec.hidden = 1 << 20;
  EXPECT_THROW(RmsNorm(test_context(), spec), KernelError);
  spec.hidden = 64, spec.dtype = ir::s8;
  EXPECT_THROW(RmsNorm(test_context(), spec), KernelError);
}

}  // namespace
}  // namespace rose::kernels
