#include "kernels/rope/qk_rope_cache.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/rope/frequencies.h"
#include "rope/rope_support.h"

namespace rose::kernels {
namespace {

void check(const QkRopeCacheSpec& spec, int64_t tokens) {
  std::string what = fmt::format("{} tokens={}", spec_text(spec), tokens);
  constexpr int64_t kRows = 50, kBlockSize = 16;
  int64_t heads = spec.q_heads + 2 * spec.kv_heads, dim = spec.head_dim, count = tokens * heads * dim;
  int64_t blocks = tokens / kBlockSize + 2, slot_count = blocks * kBlockSize,
          cached = slot_count * spec.kv_heads * dim;
  auto qkv = random_values(spec.dtype, count, 1, -2, 2), q_weight = random_values(spec.dtype, dim, 2),
       k_weight = random_values(spec.dtype, dim, 3);
  auto positions = test_positions(tokens, kRows);
  auto table = spec.rotary_dim ? rope_table({.rotary_dim = spec.rotary_dim, .base = 100}, kRows)
                               : std::vector<float>(4);
  std::vector<int64_t> slots;  // scattered; every fifth token is not cached
  for (int64_t t = 0; t < tokens; ++t) slots.push_back(t % 5 == 4 ? -1 : slot_count - 1 - t);
  std::vector<int32_t> narrow(slots.begin(), slots.end());
  std::vector<float> scales{0.5f, 0.03125f};

  auto qkv_device = upload(spec.dtype, qkv), q_weight_device = upload(spec.dtype, q_weight),
       k_weight_device = upload(spec.dtype, k_weight);
  auto positions_device = upload_raw(positions), table_device = upload_raw(table),
       scales_device = upload_raw(scales);
  auto slots_device = spec.slot_dtype == ir::s64 ? upload_raw(slots) : upload_raw(narrow);
  std::vector<double> before(static_cast<size_t>(cached), 1.0);
  auto k_device = upload(spec.kv_dtype, before), v_device = upload(spec.kv_dtype, before);
  auto q_device = poisoned(spec.dtype, tokens * spec.q_heads * dim);

  QkRopeCache op(test_context(), spec);
  op(test_stream(), {.qkv = qkv_device,
                     .q_weight = q_weight_device,
                     .k_weight = k_weight_device,
                     .positions = positions_device,
                     .table = table_device,
                     .slots = slots_device,
                     .k_cache = k_device,
                     .v_cache = v_device,
                     .kv_scales = scales_device,
                     .q_out = q_device,
                     .tokens = tokens,
                     .table_rows = kRows});

  auto want = qkv;
  qk_rope_cache_reference(spec, want.data(), spec.norm ? q_weight.data() : nullptr,
                          spec.norm ? k_weight.data() : nullptr, positions.data(), table.data(), tokens,
                          kRows);

  // In f32: the norm as in rms_norm's test, a rotation of values up to `size`, and for e4m3 a division. Then
  // one rounding.
  double size = spec.norm ? 2 * std::sqrt(3.0) * (spec.weight_plus_one ? 2 : 1) * 2 : 2.0 * 1.5,
         unit = ir::unit_roundoff(ir::f32);
  double f32_absolute = (static_cast<double>(dim) / 16 + 24) * unit * size;
  auto packed = download(spec.dtype, qkv_device, count);
  std::vector<double> want_qkv = qkv, want_q, want_k = before, want_v = before;
  for (int64_t t = 0; t < tokens; ++t) {
    auto head = [&](std::vector<double>& values, int64_t h) {
      return values.begin() + (t * heads + h) * dim;
    };
    for (int64_t h = 0; h < spec.q_heads; ++h) {
      want_q.insert(want_q.end(), head(want, h), head(want, h) + dim);
      if (!spec.q_out) std::copy(head(want, h), head(want, h) + dim, head(want_qkv, h));
    }
    int64_t slot = slots[static_cast<size_t>(t)];
    if (slot < 0) continue;
    bool scaled = spec.kv_dtype == ir::e4m3;
    for (int64_t h = 0; h < spec.kv_heads; ++h)
      for (int64_t i = 0; i < dim; ++i) {
        auto at = static_cast<size_t>((slot * spec.kv_heads + h) * dim + i);
        want_k[at] = head(want, spec.q_heads + h)[i] / (scaled ? scales[0] : 1);
        want_v[at] = head(want, spec.q_heads + spec.kv_heads + h)[i] / (scaled ? scales[1] : 1);
      }
  }
  double q_relative = 1.01 * ir::unit_roundoff(spec.dtype),
         q_absolute = f32_absolute + ir::underflow_roundoff(spec.dtype);
  expect_close(packed, want_qkv, q_absolute, q_relative, what + " qkv");
  if (spec.q_out)
    expect_close(download(spec.dtype, q_device, tokens * spec.q_heads * dim), want_q, q_absolute, q_relative,
                 what + " q");
  double kv_relative = 1.01 * ir::unit_roundoff(spec.kv_dtype),
         kv_absolute = 2 * f32_absolute + ir::underflow_roundoff(spec.kv_dtype);
  expect_close(download(spec.kv_dtype, k_device, cached), want_k, kv_absolute, kv_relative, what + " k");
  expect_close(download(spec.kv_dtype, v_device, cached), want_v, kv_absolute, kv_relative, what + " v");
}

TEST(QkRopeCache, MatchesTheReferenceForEveryShapeAndType) {
  struct Head {
    int64_t dim, rotary;
  };
  for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
    for (Head head :
         {Head{128, 128}, Head{64, 64}, Head{128, 64}, Head{96, 32}, Head{80, 80}, Head{64, 0}, Head{20, 10}})
      for (const char* style : {"half", "interleaved"})
        for (bool norm : {false, true}) {
          QkRopeCacheSpec spec;
          spec.dtype = spec.kv_dtype = dtype, spec.q_heads = 5, spec.kv_heads = 2, spec.head_dim = head.dim,
          spec.rotary_dim = head.rotary;
          spec.style = style, spec.norm = norm, spec.weight_plus_one = head.dim == 96,
          spec.q_out = head.dim == 128;
          check(spec, 6);
        }
}

TEST(QkRopeCache, CachesOfAnotherTypeAndSlotsOf32Bits) {
  for (ir::Type kv_dtype : {ir::e4m3, ir::bf16, ir::f16, ir::f32})
    for (int64_t rotary : {64, 24}) {
      QkRopeCacheSpec spec;
      spec.kv_dtype = kv_dtype, spec.q_heads = 4, spec.kv_heads = 1, spec.head_dim = 64,
      spec.rotary_dim = rotary;
      spec.norm = true, spec.slot_dtype = ir::s32;
      check(spec, 40);
    }
  QkRopeCacheSpec odd;  // single bytes
  odd.kv_dtype = ir::e4m3, odd.q_heads = 2, odd.kv_heads = 1, odd.head_dim = 27, odd.rotary_dim = 10;
  check(odd, 5);
}

TEST(QkRopeCache, RefusesWhatItCannotDo) {
  QkRopeCacheSpec spec;
  spec.rotary_dim = 129;
  EXPECT_THROW(QkRopeCache(test_context(), spec), KernelError);
  spec = {}, spec.kv_dtype = ir::s8;
  EXPECT_THROW(QkRopeCache(test_context(), spec), KernelError);
  spec = {}, spec.slot_dtype = ir::u8;
  EXPECT_THROW(QkRopeCache(test_context(), spec), KernelError);
  spec = {}, spec.kv_dtype = ir::e4m3;
  QkRopeCache op(test_context(), spec);
  auto x = poisoned(ir::bf16, 8192);
  EXPECT_THROW(op(test_stream(), {.qkv = x,
                                  .positions = x,
                                  .table = x,
                                  .slots = x,
                                  .k_cache = x,
                                  .v_cache = x,
                                  .tokens = 1,
                                  .table_rows = 1}),
               KernelError);  // no scales
}

}  // namespace
}  // namespace rose::kernels
