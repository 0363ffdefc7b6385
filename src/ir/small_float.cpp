#include "ir/small_float.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ir/error.h"

namespace rose::ir {
namespace {

// A binary format: sign, exponent, mantissa. `finite`: no infinities, and the largest pattern alone is NaN
// (e4m3).
struct Format {
  int exponent_bits, mantissa_bits;
  bool finite, saturates;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  uint32_t all_ones() const { return (1u << exponent_bits) - 1; }
  uint32_t sign_bit() const { return 1u << (exponent_bits + mantissa_bits); }
  uint32_t infinity() const { return all_ones() << mantissa_bits; }  // of finite formats: an ordinary number
  uint32_t nan() const { return finite ? sign_bit() - 1 : infinity() | (1u << (mantissa_bits - 1)); }
  uint32_t largest() const { return finite ? sign_bit() - 2 : infinity() - 1; }
};
constexpr Format kF16{5, 10, false, false}, kBF16{8, 7, false, false}, kE4M3{4, 3, true, true},
    kE5M2{5, 2, false, true};

uint32_t encode(const Format& f, double value) {
  uint32_t sign = std::signbit(value) ? f.sign_bit() : 0;
  if (std::isnan(value)) return sign | f.nan();
  double magnitude = std::abs(value);
  uint32_t over = f.saturates ? f.largest() : f.infinity();
  if (std::isinf(magnitude)) return sign | over;
  if (magnitude == 0) return sign;
  int exponent = std::max(std::ilogb(magnitude), 1 - f.bias());
  if (exponent > f.bias() + 1) return sign | over;
  // A whole number of steps of the last place; std::nearbyint rounds to even.
  double steps = std::nearbyint(std::scalbn(magnitude, f.mantissa_bits - exponent));
  uint32_t whole =
      static_cast<uint32_t>(steps) + (static_cast<uint32_t>(exponent + f.bias() - 1) << f.mantissa_bits);
  return sign | (whole > f.largest() ? over : whole);
}

double decode(const Format& f, uint32_t bits) {
  uint32_t magnitude = bits & (f.sign_bit() - 1);
  auto exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  auto mantissa = static_cast<int>(magnitude & ((1u << f.mantissa_bits) - 1));
  double sign = bits & f.sign_bit() ? -1 : 1;
  if (f.finite ? magnitude == f.nan() : exponent == static_cast<int>(f.all_ones()) && mantissa)
    return std::nan("");
  if (!f.finite && exponent == static_cast<int>(f.all_ones())) return sign * INFINITY;
  if (exponent == 0) return sign * std::scalbn(mantissa, 1 - f.bias() - f.mantissa_bits);
  return sign * std::scalbn((1 << f.mantissa_bits) + mantissa, exponent - f.bias() - f.mantissa_bits);
}

}  // namespace

uint16_t f16_bits(double value) { return static_cast<uint16_t>(encode(kF16, value)); }
uint16_t bf16_bits(double value) { return static_cast<uint16_t>(encode(kBF16, value)); }
uint8_t e4m3_bits(double value) { return static_cast<uint8_t>(encode(kE4M3, value)); }
uint8_t e5m2_bits(double value) { return static_cast<uint8_t>(encode(kE5M2, value)); }
double f16_value(uint16_t bits) { return decode(kF16, bits); }
double bf16_value(uint16_t bits) { return decode(kBF16, bits); }
double e4m3_value(uint8_t bits) { return decode(kE4M3, bits); }
double e5m2_value(uint8_t bits) { return decode(kE5M2, bits); }

uint64_t bits_of(Type type, double value) {
  switch (type.scalar) {
    case Scalar::kF64:
      return std::bit_cast<uint64_t>(value);
    case Scalar::kF32:
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    case Scalar::kF16:
      return f16_bits(value);
    case Scalar::kBF16:
      return bf16_bits(value);
    case Scalar::kE4M3:
      return e4m3_bits(value);
    case Scalar::kE5M2:
      return e5m2_bits(value);
    default:
      break;
  }
  if (!type.is_integer()) throw IrError("no bit pattern for a value of type " + to_string(type));
  int bits = type.scalar_bits();
  double low = type.is_signed() ? -std::ldexp(1, bits - 1) : 0,
         high = std::ldexp(1, type.is_signed() ? bits - 1 : bits) - 1;
  double whole = std::clamp(std::nearbyint(value), low, high);
  uint64_t pattern =
      whole < 0 ? static_cast<uint64_t>(static_cast<int64_t>(whole)) : static_cast<uint64_t>(whole);
  return bits == 64 ? pattern : pattern & ((uint64_t{1} << bits) - 1);
}

double value_of(Type type, uint64_t bits) {
  switch (type.scalar) {
    case Scalar::kF64:
      return std::bit_cast<double>(bits);
    case Scalar::kF32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case Scalar::kF16:
      return f16_value(static_cast<uint16_t>(bits));
    case Scalar::kBF16:
      return bf16_value(static_cast<uint16_t>(bits));
    case Scalar::kE4M3:
      return e4m3_value(static_cast<uint8_t>(bits));
    case Scalar::kE5M2:
      return e5m2_value(static_cast<uint8_t>(bits));
    default:
      break;
  }
  if (!type.is_integer()) throw IrError("no value of type " + to_string(type));
  if (!type.is_signed()) return static_cast<double>(bits);
  int shift = 64 - type.scalar_bits();
  return static_cast<double>(static_cast<int64_t>(bits << shift) >> shift);
}

double unit_roundoff(Type type) {
  switch (type.scalar) {
    case Scalar::kF64:
      return std::ldexp(1, -53);
    case Scalar::kF32:
      return std::ldexp(1, -24);
    case Scalar::kF16:
      return std::ldexp(1, -11);
    case Scalar::kBF16:
      return std::ldexp(1, -8);
    case Scalar::kE4M3:
      return std::ldexp(1, -4);
    case Scalar::kE5M2:
      return std::ldexp(1, -3);
    default:
      throw IrError("no roundoff for " + to_string(type));
  }
}

double underflow_roundoff(Type type) {
  switch (type.scalar) {
    case Scalar::kF16:
      return std::ldexp(1, -25);
    case Scalar::kE4M3:
      return std::ldexp(1, -10);
    case Scalar::kE5M2:
      return std::ldexp(1, -17);
    default:
      return 1e-37;  // f32 and bf16: kernels may flush subnormal numbers to zero
  }
}

}  // namespace rose::ir
