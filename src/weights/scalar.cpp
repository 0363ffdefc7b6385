#include "weights/scalar.h"

#include <cmath>
#include <limits>

namespace rose::weights {

float e4m3_to_float(uint8_t code) {
  const uint32_t magnitude = code & 0x7fu;
  if (magnitude == 0x7f) return with_sign(std::numeric_limits<float>::quiet_NaN(), code & 0x80);
  return with_sign(decode_magnitude(kE4M3, magnitude), code & 0x80);
}

uint8_t float_to_e4m3(float value, Overflow overflow) {
  const uint32_t sign = sign_bit(value) << 7;
  if (is_nan_bits(value)) return static_cast<uint8_t>(sign | 0x7f);
  uint32_t code = encode_magnitude(kE4M3, value);
  if (code > kE4M3.largest_finite) code = overflow == Overflow::kSaturate ? kE4M3.largest_finite : 0x7f;
  return static_cast<uint8_t>(sign | code);
}

float e5m2_to_float(uint8_t code) {
  return half_to_float(static_cast<uint16_t>(code << 8));  // E5M2 is the upper byte of binary16
}

uint8_t float_to_e5m2(float value, Overflow overflow) {
  const uint32_t sign = sign_bit(value) << 7;
  if (is_nan_bits(value)) return static_cast<uint8_t>(sign | 0x7e);
  uint32_t code = encode_magnitude(kE5M2, value);
  if (code > kE5M2.largest_finite) code = overflow == Overflow::kSaturate ? kE5M2.largest_finite : 0x7c;
  return static_cast<uint8_t>(sign | code);
}

float e2m1_to_float(uint8_t code) { return with_sign(decode_magnitude(kE2M1, code & 7u), code & 8); }

uint8_t float_to_e2m1(float value) {
  if (is_nan_bits(value)) return 7;
  const uint32_t code = encode_magnitude(kE2M1, value);
  return static_cast<uint8_t>(sign_bit(value) << 3 |
                              (code > kE2M1.largest_finite ? kE2M1.largest_finite : code));
}

float e8m0_to_float(uint8_t code) {
  if (code == 0xff) return std::numeric_limits<float>::quiet_NaN();
  if (code == 0) return std::bit_cast<float>(0x00400000u);  // 2^-127 is subnormal in binary32
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}

uint8_t float_to_e8m0(float value) {
  if (is_nan_bits(value) || value < 0) return 0xff;
  const uint32_t bits = std::bit_cast<uint32_t>(value) & 0x7fffffffu;
  if (bits < 0x00800000u) {  // subnormal or zero: 2^-127 up to 1.5 × 2^-127, above that 2^-126
    return bits >= 0x00600000u ? 1 : 0;
  }
  const uint32_t rounded = (bits + 0x00400000u) >> 23;
  return static_cast<uint8_t>(rounded > 0xfe ? 0xfe : rounded);
}

}  // namespace rose::weights
