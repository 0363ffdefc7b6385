// Registers hold 64 bits a lane; these read and write them as C++ values. Private to the emulator.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "emulator/warp.h"
#include "ir/small_float.h"

namespace rose::emulator {

template <class T>
T value_of(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T>
uint64_t bits_of(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

inline uint64_t low_bits(uint64_t bits, int count) {
  return count >= 64 ? bits : bits & ((uint64_t{1} << count) - 1);
}

/// f(T{}) for the C++ type of a one-lane integer, f32 or f64 type; false for others.
template <class F>
bool with_type(ir::Type type, const F& f) {
  if (type.lanes != 1) return false;
  switch (type.scalar) {
    case ir::Scalar::kU8:
      return f(uint8_t{}), true;
    case ir::Scalar::kS8:
      return f(int8_t{}), true;
    case ir::Scalar::kU16:
      return f(uint16_t{}), true;
    case ir::Scalar::kS16:
      return f(int16_t{}), true;
    case ir::Scalar::kU32:
      return f(uint32_t{}), true;
    case ir::Scalar::kS32:
      return f(int32_t{}), true;
    case ir::Scalar::kU64:
      return f(uint64_t{}), true;
    case ir::Scalar::kS64:
      return f(int64_t{}), true;
    case ir::Scalar::kF32:
      return f(float{}), true;
    case ir::Scalar::kF64:
      return f(double{}), true;
    default:
      return false;
  }
}

/// Lane `i` of a packed value of small floats, as a double, and back.
inline double small_lane(ir::Type type, uint64_t bits, int i) {
  const int width = type.scalar_bits();
  return ir::value_of(type.element(), low_bits(bits >> (i * width), width));
}
inline uint64_t small_lane_bits(ir::Type type, double value, int i) {
  return ir::bits_of(type.element(), value) << (i * type.scalar_bits());
}

inline float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
inline float f16_to_float(uint16_t bits) { return static_cast<float>(ir::f16_value(bits)); }

}  // namespace rose::emulator
