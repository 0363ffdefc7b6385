#include "number.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace rose::codegen::x86::testing {

using ir::Scalar;

namespace {

struct Format {
  int exponent_bits, mantissa_bits;
  bool has_infinity, saturates;
};

Format format_of(Scalar scalar) {
  switch (scalar) {
    case Scalar::kF16:
      return {5, 10, true, false};
    case Scalar::kBF16:
      return {8, 7, true, false};
    case Scalar::kF32:
      return {8, 23, true, false};
    case Scalar::kF64:
      return {11, 52, true, false};
    case Scalar::kE5M2:
      return {5, 2, true, true};
    case Scalar::kE4M3:
      return {4, 3, false, true};
    default:
      return {2, 1, false, true};  // e2m1
  }
}

bool is_nan_code(Scalar scalar, uint64_t magnitude) {
  auto f = format_of(scalar);
  if (scalar == Scalar::kE2M1) return false;
  if (scalar == Scalar::kE4M3) return magnitude == 0x7f;
  return magnitude > ((uint64_t{1} << f.exponent_bits) - 1) << f.mantissa_bits;
}

long double decode_float(Scalar scalar, uint64_t bits) {
  auto f = format_of(scalar);
  int width = 1 + f.exponent_bits + f.mantissa_bits;
  long double sign = (bits >> (width - 1)) & 1 ? -1 : 1;
  uint64_t magnitude = bits & ((uint64_t{1} << (width - 1)) - 1);
  if (is_nan_code(scalar, magnitude)) return std::nanl("");
  auto exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  uint64_t mantissa = magnitude & ((uint64_t{1} << f.mantissa_bits) - 1);
  if (f.has_infinity && exponent == (1 << f.exponent_bits) - 1) return sign * INFINITY;
  int bias = (1 << (f.exponent_bits - 1)) - 1;
  if (exponent == 0) return sign * std::ldexp(static_cast<long double>(mantissa), 1 - bias - f.mantissa_bits);
  return sign * std::ldexp(static_cast<long double>(mantissa + (uint64_t{1} << f.mantissa_bits)),
                           exponent - bias - f.mantissa_bits);
}

// All finite values that are not negative; the index is the code.
const std::vector<long double>& values(Scalar scalar) {
  static std::vector<long double> tables[static_cast<int>(Scalar::kNone)];
  auto& table = tables[static_cast<int>(scalar)];
  for (uint64_t code = table.size();; ++code) {
    if (!table.empty() && code >> (format_of(scalar).exponent_bits + format_of(scalar).mantissa_bits)) break;
    auto value = decode_float(scalar, code);
    if (!std::isfinite(value)) break;
    table.push_back(value);
  }
  return table;
}

}  // namespace

long double decode(ir::Type type, uint64_t bits) {
  if (type.is_float()) return decode_float(type.scalar, bits);
  if (type.is_signed()) {
    int shift = 64 - type.scalar_bits();
    return static_cast<int64_t>(bits << shift) >> shift;
  }
  return bits;
}

uint64_t encode(ir::Type type, long double value) {
  if (!type.is_float()) {
    int bits = type.scalar_bits();
    long double low = type.is_signed() ? -std::ldexp(1.0L, bits - 1) : 0;
    long double high = std::ldexp(1.0L, type.is_signed() ? bits - 1 : bits) - 1;
    value = std::isnan(value) ? 0 : std::clamp(std::trunc(value), low, high);
    uint64_t whole =
        value < 0 ? static_cast<uint64_t>(static_cast<int64_t>(value)) : static_cast<uint64_t>(value);
    return bits == 64 ? whole : whole & ((uint64_t{1} << bits) - 1);
  }
  if (type.scalar == Scalar::kF32) return std::bit_cast<uint32_t>(static_cast<float>(value));
  if (type.scalar == Scalar::kF64) return std::bit_cast<uint64_t>(static_cast<double>(value));
  auto f = format_of(type.scalar);
  int width = 1 + f.exponent_bits + f.mantissa_bits;
  uint64_t sign = std::signbit(value) ? uint64_t{1} << (width - 1) : 0;
  if (std::isnan(value)) {
    if (type.scalar == Scalar::kE2M1) return 7;
    return type.scalar == Scalar::kE4M3 || type.scalar == Scalar::kE5M2
               ? 0x7f
               : (((uint64_t{2} << f.exponent_bits) - 1) << (f.mantissa_bits - 1));
  }
  const auto& table = values(type.scalar);
  long double magnitude = std::abs(value);
  auto above = std::lower_bound(table.begin(), table.end(), magnitude);
  auto code = static_cast<uint64_t>(above - table.begin());
  if (above == table.end()) {
    long double step = table[table.size() - 1] - table[table.size() - 2];
    bool overflows = !f.saturates && magnitude >= table.back() + step / 2;
    return sign | (overflows ? code : code - 1);  // the code after the largest number is infinity
  }
  if (*above != magnitude) {
    long double down = magnitude - *(above - 1), up = *above - magnitude;
    if (down < up || (down == up && code % 2 == 1)) --code;
  }
  return sign | code;
}

long double unit_in_last_place(ir::Type type, long double value) {
  auto f = format_of(type.scalar);
  int lowest = 2 - (1 << (f.exponent_bits - 1));
  int exponent = value == 0 || !std::isfinite(value) ? lowest : std::max(lowest, std::ilogb(value));
  return std::ldexp(1.0L, exponent - f.mantissa_bits);
}

long double smallest_normal(ir::Type type) {
  return std::ldexp(1.0L, 2 - (1 << (format_of(type.scalar).exponent_bits - 1)));
}

}  // namespace rose::codegen::x86::testing
