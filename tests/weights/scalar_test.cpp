#include "weights/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "helpers.h"

namespace rose::weights {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Kind {
  const char* name;
  uint32_t largest_finite, sign;
  std::function<float(uint32_t)> decode;
  std::function<uint32_t(float)> encode;
};

const Kind kKinds[] = {
    {"half", 0x7bff, 0x8000, [](uint32_t c) { return half_to_float(static_cast<uint16_t>(c)); },
     float_to_half},
    {"bfloat16", 0x7f7f, 0x8000, [](uint32_t c) { return bfloat16_to_float(static_cast<uint16_t>(c)); },
     float_to_bfloat16},
    {"e4m3", 0x7e, 0x80, [](uint32_t c) { return e4m3_to_float(static_cast<uint8_t>(c)); },
     [](float v) { return float_to_e4m3(v); }},
    {"e5m2", 0x7b, 0x80, [](uint32_t c) { return e5m2_to_float(static_cast<uint8_t>(c)); },
     [](float v) { return float_to_e5m2(v); }},
    {"e2m1", 0x7, 0x8, [](uint32_t c) { return e2m1_to_float(static_cast<uint8_t>(c)); }, float_to_e2m1},
};

// Together these are a proof: codes are strictly increasing, every code encodes to itself, and between every
// two neighbours exactly the floats below, at and above the midpoint go where "nearest, ties to even" sends
// them.
TEST(Scalar, RoundsToNearestEvenBetweenAllNeighbours) {
  for (const Kind& kind : kKinds) {
    for (uint32_t code = 0; code <= kind.largest_finite; ++code) {
      const float value = kind.decode(code);
      ASSERT_EQ(kind.encode(value), code) << kind.name;
      ASSERT_EQ(kind.encode(-value), code | kind.sign) << kind.name;
      ASSERT_EQ(kind.decode(code | kind.sign), -value) << kind.name;
      if (code == kind.largest_finite) break;
      const float next = kind.decode(code + 1);
      ASSERT_LT(value, next) << kind.name << " " << code;
      const float middle = value + (next - value) / 2;  // exact: float has bits to spare (bfloat16 has 16)
      const uint32_t even = code % 2 == 0 ? code : code + 1;
      ASSERT_EQ(kind.encode(middle), even) << kind.name << " " << code;
      ASSERT_EQ(kind.encode(std::nextafter(middle, 0.0f)), code) << kind.name << " " << code;
      ASSERT_EQ(kind.encode(std::nextafter(middle, kInfinity)), code + 1) << kind.name << " " << code;
      ASSERT_EQ(kind.encode(-middle), even | kind.sign) << kind.name << " " << code;
    }
  }
}

TEST(Scalar, KnownValues) {
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
  EXPECT_EQ(e4m3_to_float(0x7e), 448.0f);
  EXPECT_EQ(e4m3_to_float(0x01), std::ldexp(1.0f, -9));
  EXPECT_EQ(e5m2_to_float(0x7b), 57344.0f);
  EXPECT_EQ(e5m2_to_float(0x01), std::ldexp(1.0f, -16));
  const float e2m1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (uint8_t code = 0; code < 8; ++code) EXPECT_EQ(e2m1_to_float(code), e2m1[code]);
}

#ifdef __FLT16_MANT_DIG__
// The compiler's own half precision type, over floats of every exponent and sign.
TEST(Scalar, HalfAgreesWithTheCompiler) {
  Lcg lcg{5};
  for (int i = 0; i < 2'000'000; ++i) {
    const float value = std::bit_cast<float>(lcg.next());
    if (std::isnan(value)) continue;
    ASSERT_EQ(float_to_half(value), std::bit_cast<uint16_t>(static_cast<_Float16>(value))) << value;
  }
}
#endif

TEST(Scalar, OverflowFollowsTheStatedRule) {
  EXPECT_EQ(float_to_half(65519.99f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);  // the midpoint to 65536 ties to even, which is infinity
  EXPECT_EQ(float_to_half(-kInfinity), 0xfc00);
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(float_to_bfloat16(-kInfinity), 0xff80);

  EXPECT_EQ(float_to_e4m3(463.9f), 0x7e);
  EXPECT_EQ(float_to_e4m3(1e9f), 0x7e);
  EXPECT_EQ(float_to_e4m3(-kInfinity), 0xfe);
  EXPECT_EQ(float_to_e4m3(464.0f, Overflow::kSpecial), 0x7e);  // ties to 448, which is even
  EXPECT_EQ(float_to_e4m3(464.1f, Overflow::kSpecial), 0x7f);
  EXPECT_EQ(float_to_e5m2(kInfinity), 0x7b);
  EXPECT_EQ(float_to_e5m2(kInfinity, Overflow::kSpecial), 0x7c);
  EXPECT_EQ(float_to_e5m2(-61440.0f, Overflow::kSpecial), 0xfc);
  EXPECT_EQ(float_to_e2m1(100.0f), 7);
  EXPECT_EQ(float_to_e2m1(-kInfinity), 15);
}

TEST(Scalar, NaNStaysNaN) {
  const float nans[] = {kNaN, -kNaN, std::bit_cast<float>(0x7f800001u), std::bit_cast<float>(0xffffffffu)};
  for (float nan : nans) {
    EXPECT_TRUE(std::isnan(half_to_float(float_to_half(nan))));
    EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(nan))));
    EXPECT_TRUE(std::isnan(e4m3_to_float(float_to_e4m3(nan))));
    EXPECT_TRUE(std::isnan(e5m2_to_float(float_to_e5m2(nan))));
    EXPECT_EQ(float_to_e8m0(nan), 0xff);
    EXPECT_EQ(float_to_e2m1(nan), 7);
  }
  EXPECT_TRUE(std::isnan(e8m0_to_float(0xff)));
  EXPECT_TRUE(std::isnan(half_to_float(0x7c01)));
  EXPECT_TRUE(std::isinf(half_to_float(0x7c00)));
}

TEST(Scalar, E8M0IsAPowerOfTwo) {
  for (int code = 0; code < 255; ++code) {
    const float value = e8m0_to_float(static_cast<uint8_t>(code));
    ASSERT_EQ(value, std::ldexp(1.0f, code - 127));
    ASSERT_EQ(float_to_e8m0(value), code);
    if (code == 254) break;
    ASSERT_EQ(float_to_e8m0(value * 1.5f), code + 1);
    ASSERT_EQ(float_to_e8m0(std::nextafter(value * 1.5f, 0.0f)), code);
  }
  EXPECT_EQ(float_to_e8m0(0.0f), 0);
  EXPECT_EQ(float_to_e8m0(kInfinity), 254);
  EXPECT_EQ(float_to_e8m0(-1.0f), 255);
}

}  // namespace
}  // namespace rose::weights
