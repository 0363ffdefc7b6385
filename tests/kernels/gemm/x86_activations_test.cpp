#include "kernels/gemm/x86_activations.h"

#include <cmath>
#include <cstring>

#include "support.h"

namespace rose::kernels {
namespace {

class X86ActivationsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (on_gpu()) GTEST_SKIP() << "an x86 kernel";
  }

  // The records of x, [rows, k].
  std::vector<uint8_t> records(const X86ActivationsSpec& spec, const std::vector<double>& x, int64_t rows) {
    int64_t bytes = rows * x86_record_bytes(x86_form(spec.form), spec.k);
    auto device = upload(spec.dtype, x), out = poisoned(ir::u8, bytes);
    X86Activations(test_context(), spec)(test_stream(), device, out, rows);
    std::vector<uint8_t> result(static_cast<size_t>(bytes));
    test_stream().download(result.data(), out, result.size());
    return result;
  }
};

// q is the whole number next to x / scale; near the middle between two, f32 division may choose either.
void expect_nearest(double x, double scale, int q, const char* what) {
  if (scale == 0) {
    EXPECT_EQ(q, 0) << what;
    return;
  }
  EXPECT_LE(std::abs(x / scale - q), 0.5 + 1e-4) << what << ": " << x << " / " << scale << " became " << q;
  EXPECT_LE(std::abs(q), 127) << what;
}

TEST_F(X86ActivationsTest, Groups) {
  for (ir::Type dtype : {ir::f32, ir::bf16, ir::f16}) {
    X86ActivationsSpec spec{.dtype = dtype, .form = "blocks", .k = 96};
    constexpr int64_t kRows = 7;
    auto x = random_values(dtype, kRows * spec.k, 1, -3, 3);
    for (size_t i = 32; i < 64; ++i) x[i] = 0;  // a group of zeros
    auto bytes = records(spec, x, kRows);
    for (size_t i = 0; i < x.size() / 32; ++i) {
      X86Group g;
      std::memcpy(&g, &bytes[i * sizeof g], sizeof g);
      double largest = 0;
      int sums[2] = {0, 0};
      for (size_t e = 0; e < 32; ++e) {
        largest = std::max(largest, std::abs(x[32 * i + e]));
        sums[e / 16] += g.q[e];
        expect_nearest(x[32 * i + e], static_cast<double>(g.scale), g.q[e], "group");
      }
      EXPECT_NEAR(g.scale, largest / 127, 1e-6 * largest);
      int sum = sums[0] + sums[1];
      EXPECT_EQ(g.sums[0], -8 * sum);
      EXPECT_EQ(g.sums[1], -16 * sum);
      EXPECT_EQ(g.sums[2], -128 * sum);
      EXPECT_EQ(g.half_sums[0], -32 * sums[0]);
      EXPECT_EQ(g.half_sums[1], -32 * sums[1]);
      EXPECT_FLOAT_EQ(g.scaled_sum, g.scale * static_cast<float>(sum));
    }
  }
}

TEST_F(X86ActivationsTest, BytesWithOneScaleARow) {
  for (int64_t k : {1, 5, 64, 133}) {
    X86ActivationsSpec spec{.dtype = ir::f32, .form = "bytes", .k = k};
    constexpr int64_t kRows = 3;
    auto x = random_values(ir::f32, kRows * k, 2, -5, 5);
    for (int64_t i = 0; i < k; ++i) x[static_cast<size_t>(k + i)] = 0;  // a row of zeros
    auto bytes = records(spec, x, kRows);
    for (int64_t r = 0; r < kRows; ++r) {
      const uint8_t* record = &bytes[static_cast<size_t>(r * x86_record_bytes(X86Form::kBytes, k))];
      float scale = 0;
      std::memcpy(&scale, record + x86_scale_offset(k), 4);
      for (int64_t i = 0; i < k; ++i)
        expect_nearest(x[static_cast<size_t>(r * k + i)], static_cast<double>(scale), record[i] - 128, "row");
    }
  }
}

TEST_F(X86ActivationsTest, RoundsToBf16) {
  X86ActivationsSpec spec{.dtype = ir::f32, .form = "bf16", .k = 45};
  auto x = random_values(ir::f32, 2 * spec.k, 3);
  auto bytes = records(spec, x, 2);
  for (int64_t i = 0; i < 2 * spec.k; ++i) {
    uint16_t bits = 0;
    std::memcpy(
        &bits,
        &bytes[static_cast<size_t>(i / spec.k * x86_record_bytes(X86Form::kBf16, spec.k) + i % spec.k * 2)],
        2);
    EXPECT_EQ(bits, ir::bf16_bits(x[static_cast<size_t>(i)])) << i;
  }
}

TEST_F(X86ActivationsTest, RefusesSpecsOutsideItsRange) {
  EXPECT_THROW(X86Activations(test_context(), {.form = "blocks", .k = 33}), KernelError);
  EXPECT_THROW(X86Activations(test_context(), {.form = "words"}), KernelError);
  EXPECT_THROW(X86Activations(test_context(), {.dtype = ir::s8}), KernelError);
}

}  // namespace
}  // namespace rose::kernels
