#include "kernels/quantize/quantize.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "support.h"

namespace rose::kernels {
namespace {

void check(const QuantizeSpec& spec, int64_t rows, double range = 3) {
  std::string what = fmt::format("{} rows={} range={}", spec_text(spec), rows, range);
  int64_t count = rows * spec.width, blocks = spec.scales == "block" ? spec.width / spec.block : 1;
  bool given = spec.scales == "tensor";
  int64_t scale_count = given ? 1 : rows * blocks;
  auto x = random_values(spec.dtype, count, 1, -range, range);
  for (int64_t i = 0; i < spec.width && rows > 1 && !given; ++i)
    x[static_cast<size_t>(i)] = 0;  // a row of zeros
  std::vector<double> want(x.size()), scales(static_cast<size_t>(scale_count), 0.0078125);
  quantize_reference(spec, x.data(), want.data(), scales.data(), rows);

  auto x_device = upload(spec.dtype, x), out = poisoned(spec.out_dtype, count);
  auto scales_device = given ? upload(ir::f32, scales) : poisoned(ir::f32, scale_count);
  Quantize(test_context(), spec)(test_stream(), x_device, out, scales_device, rows);
  auto got = download(spec.out_dtype, out, count), got_scales = download(ir::f32, scales_device, scale_count);

  double unit = ir::unit_roundoff(ir::f32);
  // The scale is one division, rounded correctly; so powers of two come out exactly.
  expect_close(got_scales, scales, 0, given || spec.power_of_two ? 0 : 1.01 * unit, what + " scales");
  // What a reader gets back, q · scale, must be within half a step of x, or at the type's limit. (The numbers
  // themselves may differ from the reference where x / scale lies half way between two of them.)
  double limit = quantize_limit(spec.out_dtype);
  std::vector<double> back(got.size()), allowed_x(got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    auto r = static_cast<int64_t>(i) / spec.width,
         b = static_cast<int64_t>(i) % spec.width / (spec.width / blocks);
    double scale = scales[static_cast<size_t>(given                           ? 0
                                              : spec.transposed && blocks > 1 ? b * rows + r
                                                                              : r * blocks + b)];
    back[i] = got[i], allowed_x[i] = std::clamp(x[i] / scale, -limit, limit);
    if (spec.out_dtype == ir::s8 && given) allowed_x[i] = std::clamp(x[i] / scale, -128.0, 127.0);
  }
  double half_step = spec.out_dtype == ir::s8 ? 0.5 + 127 * 8 * unit : ir::underflow_roundoff(spec.out_dtype);
  double relative = spec.out_dtype == ir::s8 ? 0 : 1.01 * ir::unit_roundoff(spec.out_dtype);
  expect_close(back, allowed_x, half_step + 8 * unit, relative, what);
}

TEST(Quantize, EveryTypeAndKindOfScale) {
  for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
    for (ir::Type out : {ir::e4m3, ir::e5m2, ir::s8})
      for (const char* scales : {"tensor", "token", "block"}) {
        QuantizeSpec spec;
        spec.dtype = dtype, spec.out_dtype = out, spec.scales = scales, spec.width = 640;
        check(spec, 5);
      }
}

TEST(Quantize, EverySizeAndRemainder) {
  for (ir::Type out : {ir::e4m3, ir::s8})
    for (int64_t width : {1, 2, 3, 7, 8, 31, 33, 100, 257, 1000, 4096, 7168, 20000}) {
      QuantizeSpec spec;
      spec.out_dtype = out, spec.width = width;
      check(spec, width > 4096 ? 2 : 5);
      spec.scales = "tensor";
      check(spec, 2);
    }
}

TEST(Quantize, BlocksOfEverySizeInBothOrders) {
  for (int64_t block : {16, 32, 64, 128, 256, 1024})
    for (bool transposed : {false, true})
      for (ir::Type dtype : {ir::bf16, ir::f32}) {
        QuantizeSpec spec;
        spec.dtype = dtype, spec.scales = "block", spec.block = block, spec.width = 3072,
        spec.transposed = transposed;
        spec.power_of_two = transposed;
        check(spec, 7);
      }
}

TEST(Quantize, GivenScalesSaturateAndLargeValuesKeepTheirRange) {
  for (ir::Type out : {ir::e4m3, ir::e5m2, ir::s8}) {
    QuantizeSpec spec;
    spec.dtype = ir::f32, spec.out_dtype = out, spec.width = 96, spec.scales = "tensor";
    check(spec, 3, 1e6);
    spec.scales = "token";
    check(spec, 3, 1e30);
    check(spec, 3, 1e-30);
  }
}

TEST(Quantize, NanStaysNan) {
  QuantizeSpec spec;
  spec.dtype = ir::f32, spec.width = 3;
  auto x = upload(ir::f32, {1, std::nan(""), -2}), out = poisoned(ir::e4m3, 3), scales = poisoned(ir::f32, 1);
  Quantize(test_context(), spec)(test_stream(), x, out, scales, 1);
  auto got = download(ir::e4m3, out, 3);
  EXPECT_EQ(got[0], 224);
  EXPECT_TRUE(std::isnan(got[1]));
  EXPECT_EQ(got[2], -448);
}

TEST(Quantize, RefusesSpecsOutsideItsRange) {
  QuantizeSpec spec;
  spec.out_dtype = ir::u8;
  EXPECT_THROW(Quantize(test_context(), spec), KernelError);
  spec = {}, spec.scales = "channel";
  EXPECT_THROW(Quantize(test_context(), spec), KernelError);
  spec = {}, spec.scales = "block", spec.block = 48;
  EXPECT_THROW(Quantize(test_context(), spec), KernelError);
  spec.block = 128, spec.width = 4000;
  EXPECT_THROW(Quantize(test_context(), spec), KernelError);
}

}  // namespace
}  // namespace rose::kernels
