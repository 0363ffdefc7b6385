#include "kernels/rope/frequencies.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/spec.h"

namespace rose::kernels {
namespace {

TEST(RopeFrequencies, PlainAndLinear) {
  RopeParameters p{.rotary_dim = 8, .base = 10000};
  auto f = rope_frequencies(p);
  ASSERT_EQ(f.size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(f[static_cast<size_t>(i)], std::pow(10.0, -i), 1e-15);
  p.scaling = RopeScaling::kLinear, p.factor = 4;
  auto scaled = rope_frequencies(p);
  for (size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(scaled[i], f[i] / 4);
}

// Llama 3.1's configuration: factor 8, low 1, high 4, original 8192, base 500000, 128 dimensions.
TEST(RopeFrequencies, Llama3KeepsShortWavesStretchesLongOnesAndBlendsBetween) {
  RopeParameters p{.rotary_dim = 128,
                   .base = 500000,
                   .scaling = RopeScaling::kLlama3,
                   .factor = 8,
                   .original_positions = 8192};
  RopeParameters plain{.rotary_dim = 128, .base = 500000};
  auto f = rope_frequencies(p), g = rope_frequencies(plain);
  for (size_t i = 0; i < f.size(); ++i) {
    double wave = 2 * M_PI / g[i];
    if (wave < 2048)
      EXPECT_DOUBLE_EQ(f[i], g[i]) << i;
    else if (wave > 8192)
      EXPECT_DOUBLE_EQ(f[i], g[i] / 8) << i;
    else
      EXPECT_TRUE(f[i] < g[i] && f[i] > g[i] / 8) << i;
  }
  EXPECT_DOUBLE_EQ(f[0], 1.0);
  // The blend by hand for pair 30: wave = 2π·500000^(60/128) = 2948.6…, smooth = (8192 / wave - 1) / 3.
  double smooth = (8192 / (2 * M_PI / g[30]) - 1) / 3;
  EXPECT_TRUE(smooth > 0 && smooth < 1);
  EXPECT_NEAR(f[30], g[30] * (smooth + (1 - smooth) / 8), 1e-15);
}

TEST(RopeFrequencies, YarnRampsOverDimensions) {
  RopeParameters p{.rotary_dim = 64,
                   .base = 10000,
                   .scaling = RopeScaling::kYarn,
                   .factor = 40,
                   .original_positions = 4096};
  auto f = rope_frequencies(p), g = rope_frequencies({.rotary_dim = 64, .base = 10000});
  // Turns within 4096 positions: 32 at pair 10.47 → 10, 1 at pair 22.51 → 23 (64 ln(4096 / 2πβ) / (2 ln
  // 10000)).
  for (size_t i = 0; i <= 10; ++i) EXPECT_DOUBLE_EQ(f[i], g[i]) << i;
  for (size_t i = 23; i < 32; ++i) EXPECT_DOUBLE_EQ(f[i], g[i] / 40) << i;
  double ramp = (16.0 - 10) / (23 - 10);
  EXPECT_NEAR(f[16], g[16] * (1 - ramp) + g[16] / 40 * ramp, 1e-15);
  EXPECT_DOUBLE_EQ(rope_attention_factor(p), 0.1 * std::log(40.0) + 1);
  p.mscale = 1, p.mscale_all_dim = 1;
  EXPECT_DOUBLE_EQ(rope_attention_factor(p), 1);
  p.attention_factor = 1.25;
  EXPECT_DOUBLE_EQ(rope_attention_factor(p), 1.25);
}

TEST(RopeFrequencies, DivisorsOfTheirOwnAndAFactor) {
  RopeParameters p{.rotary_dim = 6, .base = 100};
  auto plain = rope_frequencies(p);
  p.divisors = {1, 2, 8}, p.attention_factor = 1.5;
  auto f = rope_frequencies(p);
  for (size_t i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(f[i], plain[i] / p.divisors[i]);
  EXPECT_FLOAT_EQ(rope_table(p, 3)[2 * 6 + 1], static_cast<float>(1.5 * std::cos(2 * f[1])));
  p.divisors = {1, 2};
  EXPECT_THROW(rope_frequencies(p), KernelError);
  p.divisors = {1, 2, 0};
  EXPECT_THROW(rope_frequencies(p), KernelError);
}

TEST(RopeFrequencies, TableHoldsCosinesThenSines) {
  RopeParameters p{.rotary_dim = 6, .base = 100};
  auto table = rope_table(p, 5);
  ASSERT_EQ(table.size(), 30u);
  auto f = rope_frequencies(p);
  for (size_t at = 0; at < 5; ++at)
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_FLOAT_EQ(table[at * 6 + i], static_cast<float>(std::cos(static_cast<double>(at) * f[i])));
      EXPECT_FLOAT_EQ(table[at * 6 + 3 + i], static_cast<float>(std::sin(static_cast<double>(at) * f[i])));
    }
}

TEST(RopeFrequencies, RefusesParametersOutsideTheirRange) {
  EXPECT_THROW(rope_frequencies({.rotary_dim = 7}), KernelError);
  EXPECT_THROW(rope_frequencies({.rotary_dim = 8, .base = 0}), KernelError);
  EXPECT_THROW(rope_frequencies({.rotary_dim = 8, .scaling = RopeScaling::kLinear, .factor = -1}),
               KernelError);
  EXPECT_THROW(
      rope_frequencies(
          {.rotary_dim = 8, .scaling = RopeScaling::kLlama3, .factor = 8, .low_frequency_factor = 4}),
      KernelError);
  EXPECT_THROW(rope_table({.rotary_dim = 8}, 0), KernelError);
}

}  // namespace
}  // namespace rose::kernels
