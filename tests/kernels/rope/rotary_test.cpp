#include "kernels/rope/rotary.h"

#include <fmt/format.h>

#include "kernels/rope/frequencies.h"
#include "rope/rope_support.h"

namespace rose::kernels {
namespace {

void check(const RotarySpec& spec, int64_t tokens, int64_t gap = 0) {
  std::string what = fmt::format("{} tokens={} gap={}", spec_text(spec), tokens, gap);
  constexpr int64_t kRows = 50;
  int64_t width = spec.heads * spec.head_dim, stride = width + gap, count = tokens * stride;
  auto x = random_values(spec.dtype, count, 1);
  auto positions = test_positions(tokens, kRows);
  auto table = rope_table({.rotary_dim = spec.rotary_dim, .base = 100}, kRows);
  auto x_device = upload(spec.dtype, x), positions_device = upload_raw(positions),
       table_device = upload_raw(table);
  auto out_device = poisoned(spec.dtype, tokens * width);

  Rotary op(test_context(), spec);
  op(test_stream(), {.x = x_device,
                     .out = out_device,
                     .positions = positions_device,
                     .table = table_device,
                     .tokens = tokens,
                     .table_rows = kRows,
                     .x_stride = stride});

  std::vector<double> want;
  for (int64_t t = 0; t < tokens; ++t)
    want.insert(want.end(), x.begin() + t * stride, x.begin() + t * stride + width);
  rotary_reference(spec, want.data(), positions.data(), table.data(), tokens, kRows);
  // Two products and a sum of values up to one, rounded in f32; one rounding to dtype.
  double absolute = 3 * ir::unit_roundoff(ir::f32) + ir::underflow_roundoff(spec.dtype),
         relative = 1.01 * ir::unit_roundoff(spec.dtype);
  if (!spec.in_place)
    return expect_close(download(spec.dtype, out_device, tokens * width), want, absolute, relative, what);
  auto got = download(spec.dtype, x_device, count);
  for (int64_t t = 0; t < tokens; ++t)  // the gaps between tokens stay as they were
    want.insert(want.begin() + t * stride + width, x.begin() + t * stride + width,
                x.begin() + (t + 1) * stride);
  expect_close(got, want, absolute, relative, what);
}

TEST(Rotary, MatchesTheReferenceForEveryShapeStyleAndType) {
  struct Head {
    int64_t dim, rotary, offset;
  };
  for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
    for (Head head : {Head{128, 128, 0}, Head{64, 64, 0}, Head{256, 64, 0}, Head{192, 64, 128},
                      Head{80, 32, 0}, Head{96, 96, 0}, Head{20, 10, 4}, Head{2, 2, 0}, Head{160, 160, 0},
                      Head{576, 64, 512}, Head{128, 60, 4}})
      for (const char* style : {"half", "interleaved"})
        for (bool in_place : {true, false}) {
          RotarySpec spec;
          spec.dtype = dtype, spec.heads = 3, spec.head_dim = head.dim, spec.rotary_dim = head.rotary,
          spec.rotary_offset = head.offset;
          spec.style = style, spec.in_place = in_place;
          check(spec, 7);
        }
}

TEST(Rotary, OddHeadsAndTokensApart) {
  RotarySpec spec;
  spec.head_dim = 81, spec.rotary_dim = 10, spec.heads = 5;
  check(spec, 4);
  spec.head_dim = 64, spec.rotary_dim = 64;
  check(spec, 9, 128);
  check(spec, 1000);
  check(spec, 0);
}

TEST(Rotary, RefusesWhatItCannotDo) {
  RotarySpec spec;
  spec.rotary_dim = 130;
  EXPECT_THROW(Rotary(test_context(), spec), KernelError);
  spec.rotary_dim = 64, spec.rotary_offset = 65;
  EXPECT_THROW(Rotary(test_context(), spec), KernelError);
  spec = {}, spec.style = "neox";
  EXPECT_THROW(Rotary(test_context(), spec), KernelError);
  spec = {}, spec.head_dim = 81, spec.rotary_dim = 10, spec.style = "interleaved";
  EXPECT_THROW(Rotary(test_context(), spec), KernelError);
  Rotary op(test_context(), {});
  auto x = poisoned(ir::bf16, 4096);
  EXPECT_THROW(op(test_stream(), {.x = x, .positions = x, .table = x, .tokens = 1, .table_rows = 0}),
               KernelError);
}

}  // namespace
}  // namespace rose::kernels
