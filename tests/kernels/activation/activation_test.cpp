#include "kernels/activation/activation.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "support.h"

namespace rose::kernels {
namespace {

void check(const ActivationSpec& spec, int64_t rows, double range = 6) {
  std::string what = fmt::format("{} rows={}", spec_text(spec), rows);
  bool packed = spec.form == "packed", separate = spec.form == "separate";
  int64_t count = rows * spec.width;
  auto x = random_values(spec.dtype, packed ? 2 * count : count, 1, -range, range),
       up = random_values(spec.dtype, count, 2);
  auto x_device = upload(spec.dtype, x), up_device = upload(spec.dtype, up),
       out_device = poisoned(spec.dtype, count);

  ActivationKernel op(test_context(), spec);
  if (separate)
    op(test_stream(), x_device, up_device, out_device, rows);
  else
    op(test_stream(), x_device, out_device, rows);

  std::vector<double> want(static_cast<size_t>(count));
  activation_reference(spec, x.data(), separate ? up.data() : nullptr, want.data(), rows);
  // One rounding to dtype. In f32, e^u with |u| <= range²/2 + range·log2 e: the rounding of u alone makes |u|
  // units; a polynomial and a reciprocal of a few units; two products. Results below f32's normal numbers are
  // flushed.
  double unit = ir::unit_roundoff(ir::f32);
  double relative = 1.01 * ir::unit_roundoff(spec.dtype) + (2 * range * range + 32) * unit;
  expect_close(download(spec.dtype, out_device, count), want, ir::underflow_roundoff(spec.dtype) + 0x1p-120,
               relative, what);
}

TEST(Activation, EveryFunctionFormAndType) {
  for (const char* function : {"silu", "gelu_tanh", "gelu_erf", "relu", "tanh", "sigmoid"})
    for (const char* form : {"packed", "separate", "plain"})
      for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32}) {
        ActivationSpec spec;
        spec.function = function, spec.form = form, spec.dtype = dtype, spec.width = 328;
        check(spec, 4);
      }
}

TEST(Activation, EverySizeAndRemainder) {
  for (ir::Type dtype : {ir::bf16, ir::f32})
    for (int64_t width : {1, 2, 3, 7, 8, 31, 33, 64, 100, 257, 1000, 1536, 4096, 14336, 28672, 65536})
      for (const char* form : {"packed", "separate"}) {
        ActivationSpec spec;
        spec.dtype = dtype, spec.width = width, spec.form = form;
        check(spec, width > 4096 ? 2 : 5);
      }
}

TEST(Activation, FarFromZero) {
  for (const char* function : {"silu", "gelu_tanh", "gelu_erf", "tanh", "sigmoid"}) {
    ActivationSpec spec;
    spec.function = function, spec.form = "plain", spec.dtype = ir::f32, spec.width = 4096;
    check(spec, 2, 12);
    // Small arguments: the value is near x/2 (x for tanh), with full relative precision.
    check(spec, 1, 1e-3);
  }
}

TEST(Activation, CapsKeepValuesWithinTheirBounds) {
  for (double cap : {30.0, 50.0, 0.5}) {
    ActivationSpec spec;
    spec.function = "tanh", spec.form = "plain", spec.dtype = ir::f32, spec.width = 500, spec.cap = cap;
    check(spec, 3, 4 * cap);
  }
}

TEST(Activation, NanStaysNanAndInfinitiesReachTheirLimits) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const char* function : {"silu", "gelu_tanh", "gelu_erf", "relu", "tanh", "sigmoid"}) {
    ActivationSpec spec;
    spec.function = function, spec.form = "plain", spec.dtype = ir::f32, spec.width = 2;
    auto x = upload(ir::f32, {std::nan(""), kInfinity}), out = poisoned(ir::f32, 2);
    ActivationKernel(test_context(), spec)(test_stream(), x, out, 1);
    auto got = download(ir::f32, out, 2);
    EXPECT_TRUE(std::isnan(got[0])) << function;
    bool bounded = std::string(function) == "tanh" || std::string(function) == "sigmoid";
    EXPECT_EQ(got[1], bounded ? 1 : kInfinity) << function;
  }
}

TEST(Activation, RefusesSpecsOutsideItsRange) {
  ActivationSpec spec;
  spec.function = "swish";
  EXPECT_THROW(ActivationKernel(test_context(), spec), KernelError);
  spec = {}, spec.form = "interleaved";
  EXPECT_THROW(ActivationKernel(test_context(), spec), KernelError);
  spec = {}, spec.width = 65537;
  EXPECT_THROW(ActivationKernel(test_context(), spec), KernelError);
  spec = {}, spec.cap = -1;
  EXPECT_THROW(ActivationKernel(test_context(), spec), KernelError);
}

}  // namespace
}  // namespace rose::kernels
