#include "kernels/norm/layer_norm.h"

#include <fmt/format.h>

#include "support.h"

namespace rose::kernels {
namespace {

void check(const LayerNormSpec& spec, int64_t rows, double offset = 0) {
  std::string what = fmt::format("{} rows={} offset={}", spec_text(spec), rows, offset);
  int64_t count = rows * spec.hidden;
  auto x = random_values(spec.dtype, count, 1, offset - 1, offset + 1),
       weight = random_values(spec.dtype, spec.hidden, 2);
  auto bias = random_values(spec.dtype, spec.hidden, 4), residual = random_values(spec.dtype, count, 3);
  auto x_device = upload(spec.dtype, x), weight_device = upload(spec.dtype, weight),
       bias_device = upload(spec.dtype, bias);
  auto residual_device = upload(spec.dtype, residual), out_device = poisoned(spec.dtype, count);

  LayerNorm op(test_context(), spec);
  op(test_stream(), {.x = x_device,
                     .residual = residual_device,
                     .weight = weight_device,
                     .bias = bias_device,
                     .out = out_device,
                     .rows = rows});

  auto sum = residual;  // the norm sees the sum as it is stored: rounded to dtype
  if (spec.residual)
    for (size_t i = 0; i < sum.size(); ++i)
      sum[i] = ir::value_of(spec.dtype, ir::bits_of(spec.dtype, x[i] + residual[i]));
  std::vector<double> want(x.size());
  layer_norm_reference(spec, spec.residual ? sum.data() : x.data(), nullptr,
                       spec.weight ? weight.data() : nullptr, spec.bias ? bias.data() : nullptr, want.data(),
                       rows);

  // In f32: a mean whose error grows at most with the terms of one accumulator, relative to the values' size;
  // that error, times the scale of at most 1/sqrt(epsilon) and usually 1/deviation, is absolute. Then the
  // variance (likewise), a reciprocal root and products. One rounding of the result to dtype.
  double unit = ir::unit_roundoff(ir::f32), terms = static_cast<double>(spec.hidden) / 16 + 16;
  double size = std::abs(offset) + 2, deviation = spec.hidden > 16 ? 0.4 : std::sqrt(spec.epsilon);
  double absolute = ir::underflow_roundoff(spec.dtype) + 2 * terms * unit * size / deviation +
                    2 * ir::unit_roundoff(spec.dtype) * unit;
  double relative = 1.01 * ir::unit_roundoff(spec.dtype) + 4 * terms * unit;
  if (spec.bias) absolute += ir::unit_roundoff(ir::f32) * 8;
  expect_close(download(spec.dtype, out_device, count), want, absolute, relative, what);
  if (spec.residual)
    expect_close(download(spec.dtype, residual_device, count), sum, 0, 0, what + " residual");
}

TEST(LayerNorm, MatchesTheReferenceForEverySizeAndRemainder) {
  for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
    for (int64_t hidden :
         {1, 2, 3, 7, 8, 31, 33, 64, 100, 257, 384, 640, 768, 1000, 2048, 4096, 5120, 20000, 65536})
      for (bool residual : {false, true}) {
        LayerNormSpec spec;
        spec.dtype = dtype, spec.hidden = hidden, spec.residual = residual;
        check(spec, hidden > 4096 ? 2 : 5);
      }
}

TEST(LayerNorm, WithoutBiasAndWithoutWeight) {
  LayerNormSpec spec;
  spec.hidden = 640, spec.dtype = ir::f32, spec.bias = false;
  check(spec, 3);
  spec.weight = false;
  check(spec, 3);
}

// A one-pass variance, E[x²] - E[x]², would lose all its digits here: 1000² is 10^7 times the variance.
TEST(LayerNorm, KeepsItsPrecisionWhenTheMeanIsLarge) {
  LayerNormSpec spec;
  spec.hidden = 1024, spec.dtype = ir::f32;
  check(spec, 4, 1000);
}

TEST(LayerNorm, ManyRows) {
  LayerNormSpec spec;
  spec.hidden = 96;
  check(spec, 1000);
}

TEST(LayerNorm, RefusesSpecsAndArgumentsOutsideItsRange) {
  LayerNormSpec spec;
  spec.hidden = 0;
  EXPECT_THROW(LayerNorm(test_context(), spec), KernelError);
  spec.hidden = 64, spec.weight = false;
  EXPECT_THROW(LayerNorm(test_context(), spec), KernelError);
  spec.weight = true;
  auto x = poisoned(ir::bf16, 64);
  LayerNorm op(test_context(), spec);
  EXPECT_THROW(op(test_stream(), {.x = x, .weight = x, .out = x, .rows = 1}), KernelError);  // no bias
}

}  // namespace
}  // namespace rose::kernels
