// Exact conversions between float and the narrow floating-point types that weights are stored in.
//
// Every encoder rounds to nearest, ties to even, and keeps the sign of zero. What happens beyond the largest
// finite value is said at each one. Formats: IEEE 754 binary16; bfloat16 = upper half of binary32; FP8 as in
// Micikevicius et al., "FP8 Formats for Deep Learning" (2022) and the OCP 8-bit Floating Point
// Specification 1.0; E2M1 and E8M0 as in the OCP Microscaling Formats Specification 1.0.
#pragma once

#include <bit>
#include <cstdint>

namespace rose::weights {

// What an encoder does with finite values that round beyond the largest finite code, and with infinities.
enum class Overflow {
  kSaturate,  // the largest finite value, sign kept (NVIDIA's cvt.satfinite does the same)
  kSpecial,   // infinity where the format has one, else NaN (PyTorch's casts do the same)
};

// Shape of a small binary float: 1 sign bit, then exponent, then mantissa.
struct MiniFloat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  uint32_t largest_finite;  // code of the largest finite magnitude, without sign
};

inline constexpr MiniFloat kHalf{5, 10, 15, 0x7bff};  // 65504
inline constexpr MiniFloat kE5M2{5, 2, 15, 0x7b};     // 57344
inline constexpr MiniFloat kE4M3{4, 3, 7, 0x7e};      // 448; no infinities, only 0x7f is NaN
inline constexpr MiniFloat kE2M1{2, 1, 1, 0x7};       // 6; no infinities, no NaN

// Value of a finite magnitude code (no sign bit).
inline float decode_magnitude(const MiniFloat& format, uint32_t code) {
  const uint32_t exponent = code >> format.mantissa_bits;
  const uint32_t mantissa = code & ((1u << format.mantissa_bits) - 1);
  if (exponent ==
      0) {  // subnormal: mantissa × 2^(1 - bias - mantissa_bits); both factors and the product are exact
    const int power = 1 - format.bias - format.mantissa_bits;
    return static_cast<float>(mantissa) * std::bit_cast<float>(static_cast<uint32_t>(power + 127) << 23);
  }
  return std::bit_cast<float>((exponent - format.bias + 127) << 23 | mantissa << (23 - format.mantissa_bits));
}

// Magnitude code nearest to |value|, ties to even, for a value that is not NaN. May exceed largest_finite by
// any amount: the caller applies its rule for overflow.
inline uint32_t encode_magnitude(const MiniFloat& format, float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value) & 0x7fffffffu;
  if (bits < 0x00800000u) return 0;  // zero, or a float subnormal: far below half of any smallest code here
  const int exponent = static_cast<int>(bits >> 23) - 127;
  const uint32_t significand = (bits & 0x007fffffu) | 0x00800000u;  // value = significand × 2^(exponent - 23)
  const int smallest_normal = 1 - format.bias;
  const bool subnormal = exponent < smallest_normal;
  // The bits of the significand below the target's last place.
  const int dropped = 23 - format.mantissa_bits + (subnormal ? smallest_normal - exponent : 0);
  if (dropped > 25) return 0;
  const uint32_t half = 1u << (dropped - 1);
  uint32_t rounded = significand >> dropped;
  const uint32_t rest = significand & ((half << 1) - 1);
  if (rest > half || (rest == half && (rounded & 1))) ++rounded;
  // A carry out of the mantissa lands in the exponent field, which is just what rounding up to 2^k means.
  if (subnormal) return rounded;
  return (static_cast<uint32_t>(exponent - smallest_normal) << format.mantissa_bits) + rounded;
}

inline bool is_nan_bits(float value) { return (std::bit_cast<uint32_t>(value) & 0x7fffffffu) > 0x7f800000u; }
inline uint32_t sign_bit(float value) { return std::bit_cast<uint32_t>(value) >> 31; }
inline float with_sign(float magnitude, bool negative) { return negative ? -magnitude : magnitude; }

// binary16. Overflow gives infinity, as IEEE 754 asks; NaN gives a quiet NaN.
inline float half_to_float(uint16_t code) {
  const uint32_t magnitude = code & 0x7fffu;
  const uint32_t sign = static_cast<uint32_t>(code & 0x8000u) << 16;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(decode_magnitude(kHalf, magnitude)));
}

inline uint16_t float_to_half(float value) {
  const uint32_t sign = sign_bit(value) << 15;
  if (is_nan_bits(value)) return static_cast<uint16_t>(sign | 0x7e00u);
  const uint32_t code = encode_magnitude(kHalf, value);
  return static_cast<uint16_t>(sign | (code > kHalf.largest_finite ? 0x7c00u : code));
}

// bfloat16. Overflow gives infinity; NaN stays NaN (quiet), never infinity.
inline float bfloat16_to_float(uint16_t code) {
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 16);
}

inline uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (is_nan_bits(value)) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// FP8 E4M3 (the "FN" kind: no infinities, 0x7f and 0xff are NaN, largest 448).
float e4m3_to_float(uint8_t code);
uint8_t float_to_e4m3(float value, Overflow overflow = Overflow::kSaturate);

// FP8 E5M2 (infinity 0x7c, NaN above, largest 57344).
float e5m2_to_float(uint8_t code);
uint8_t float_to_e5m2(float value, Overflow overflow = Overflow::kSaturate);

// FP4 E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives; `code` is the low nibble. The format has neither
// infinity nor NaN, so everything beyond 6 saturates and NaN gives +6, as in NVIDIA's
// cvt.rn.satfinite.e2m1x2.
float e2m1_to_float(uint8_t code);
uint8_t float_to_e2m1(float value);

// Scale E8M0: 2^(code - 127), 0xff is NaN; there is no zero and no sign. Encoding rounds the exponent to
// nearest (a value at or above 1.5 × 2^k counts as 2^(k+1)), clamps to 2^-127 … 2^127 and turns NaN and
// negative values into NaN; zero gives 2^-127.
float e8m0_to_float(uint8_t code);
uint8_t float_to_e8m0(float value);

}  // namespace rose::weights
