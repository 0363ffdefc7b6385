#include "kernels/softmax/softmax.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "support.h"

namespace rose::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

runtime::Buffer upload_ints(const std::vector<int32_t>& values) {
  auto buffer = test_context().device().allocate(values.size() * 4);
  test_stream().upload(buffer, values.data(), values.size() * 4);
  test_stream().synchronize();
  return buffer;
}

void check(const SoftmaxSpec& spec, int64_t rows, double range = 8, float scale = 0.75f) {
  std::string what = fmt::format("{} rows={} range={}", spec_text(spec), rows, range);
  int64_t count = rows * spec.width, rows_per_mask = 3, masks = (rows + 2) / 3;
  auto x = random_values(spec.dtype, count, 1, -range, range),
       mask = random_values(spec.dtype, masks * spec.width, 2, -2, 2);
  std::vector<int32_t> lengths;
  for (int64_t r = 0; r < rows; ++r) lengths.push_back(static_cast<int32_t>(spec.width * (r + 1) / rows));
  auto x_device = upload(spec.dtype, x), mask_device = upload(spec.dtype, mask),
       lengths_device = upload_ints(lengths);
  auto out = poisoned(spec.out_dtype, count);

  Softmax op(test_context(), spec);
  op(test_stream(), {.x = x_device,
                     .out = out,
                     .mask = mask_device,
                     .lengths = lengths_device,
                     .rows = rows,
                     .rows_per_mask = rows_per_mask,
                     .scale = scale});

  std::vector<double> want(x.size());
  softmax_reference(spec, x.data(), spec.mask ? mask.data() : nullptr,
                    spec.lengths ? lengths.data() : nullptr, want.data(), rows, rows_per_mask, scale);
  // The exponent, up to `size` in units of log2 e, is rounded a few times; the sum as in the norms; one
  // rounding to out.
  double unit = ir::unit_roundoff(ir::f32), size = 1.5 * (range * scale + 2),
         terms = static_cast<double>(spec.width) / 16 + 16;
  double f32_error = (4 * size + terms) * unit, absolute = ir::underflow_roundoff(spec.out_dtype) + 0x1p-120;
  double relative = 1.01 * ir::unit_roundoff(spec.out_dtype);
  if (spec.log)
    absolute += f32_error;
  else
    relative += f32_error;
  auto got = download(spec.out_dtype, out, count);
  for (size_t i = 0; i < got.size(); ++i)  // differences of equal infinities are NaN
    if (want[i] == -kInfinity && got[i] == -kInfinity) want[i] = got[i] = 0;
  expect_close(got, want, absolute, relative, what);
}

TEST(Softmax, MatchesTheReferenceForEverySizeAndRemainder) {
  for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
    for (int64_t width : {1, 2, 3, 7, 8, 31, 33, 64, 100, 257, 1000, 4096, 20000})
      for (bool log : {false, true}) {
        SoftmaxSpec spec;
        spec.dtype = dtype, spec.out_dtype = dtype == ir::f16 ? ir::f32 : dtype, spec.width = width,
        spec.log = log;
        check(spec, width > 4096 ? 2 : 5);
      }
}

TEST(Softmax, MaskAndLengths) {
  for (bool mask : {false, true})
    for (bool lengths : {false, true})
      for (int64_t width : {1, 5, 40, 129, 777, 2048}) {
        SoftmaxSpec spec;
        spec.width = width, spec.mask = mask, spec.lengths = lengths, spec.out_dtype = ir::f32;
        check(spec, 7);
        spec.log = true;
        check(spec, 7);
      }
}

TEST(Softmax, LargeValuesDoNotOverflow) {
  SoftmaxSpec spec;
  spec.dtype = spec.out_dtype = ir::f32, spec.width = 300;
  check(spec, 3, 1e4, 1);
}

TEST(Softmax, RowsWithoutElementsAndWithNan) {
  SoftmaxSpec spec;
  spec.dtype = spec.out_dtype = ir::f32, spec.width = 5, spec.lengths = true;
  auto x = upload(ir::f32, {1, 2, 3, 4, 5, 1, 2, std::nan(""), 4, 5, -kInfinity, -kInfinity, -kInfinity,
                            -kInfinity, -kInfinity});
  auto lengths = upload_ints({0, 5, 5});
  for (bool log : {false, true}) {
    auto out = poisoned(ir::f32, 15);
    spec.log = log;
    Softmax(test_context(), spec)(test_stream(), {.x = x, .out = out, .lengths = lengths, .rows = 3});
    auto got = download(ir::f32, out, 15);
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(got[i], log ? -kInfinity : 0);
      EXPECT_TRUE(std::isnan(got[5 + i])) << i;
      EXPECT_EQ(got[10 + i], log ? -kInfinity : 0);
    }
  }
}

TEST(Softmax, RefusesWhatItCannotDo) {
  SoftmaxSpec spec;
  spec.out_dtype = ir::s32;
  EXPECT_THROW(Softmax(test_context(), spec), KernelError);
  spec = {}, spec.mask = true;
  auto x = poisoned(ir::bf16, spec.width);
  Softmax op(test_context(), spec);
  EXPECT_THROW(op(test_stream(), {.x = x, .out = x, .rows = 1}), KernelError);
  EXPECT_THROW(op(test_stream(), {.x = x, .out = x, .mask = x, .rows = 1, .rows_per_mask = 0}), KernelError);
}

}  // namespace
}  // namespace rose::kernels
