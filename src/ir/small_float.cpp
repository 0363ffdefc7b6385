#include "ir/small_float.h"

#include <bit>
#include <cmath>

namespace rose::ir {
namespace {

// IEEE-like binary float of 1 + `exponent_bits` + `mantissa_bits` = 16 bits from a double, nearest even, with
// subnormals and infinities.
uint16_t encode(double value, int exponent_bits, int mantissa_bits) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  int bias = (1 << (exponent_bits - 1)) - 1;
  uint16_t infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  if (std::isnan(value)) return sign | infinity | (1u << (mantissa_bits - 1));
  double magnitude = std::abs(value);
  if (std::isinf(magnitude)) return sign | infinity;
  if (magnitude == 0) return sign;
  int exponent = std::max(std::ilogb(magnitude), 1 - bias);
  // An integer number of steps of the last place; std::nearbyint rounds to even.
  double steps = std::nearbyint(std::scalbn(magnitude, mantissa_bits - exponent));
  auto whole = static_cast<uint32_t>(steps) + (static_cast<uint32_t>(exponent + bias - 1) << mantissa_bits);
  return sign | static_cast<uint16_t>(whole >= infinity ? infinity : whole);
}

double decode(uint16_t bits, int exponent_bits, int mantissa_bits) {
  int bias = (1 << (exponent_bits - 1)) - 1, all_ones = (1 << exponent_bits) - 1;
  int exponent = (bits >> mantissa_bits) & all_ones, mantissa = bits & ((1 << mantissa_bits) - 1);
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == all_ones) return mantissa ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::scalbn(mantissa, 1 - bias - mantissa_bits);
  return sign * std::scalbn((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

}  // namespace

uint16_t f16_bits(double value) { return encode(value, 5, 10); }
uint16_t bf16_bits(double value) { return encode(value, 8, 7); }
double f16_value(uint16_t bits) { return decode(bits, 5, 10); }
double bf16_value(uint16_t bits) { return decode(bits, 8, 7); }

}  // namespace rose::ir
