// The types of register values: a scalar kind and a number of lanes. Pure values, printed as "f32" or
// "bf16x2".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rose::ir {

enum class Scalar : uint8_t {
  kPred,
  kU8,
  kS8,
  kU16,
  kS16,
  kU32,
  kS32,
  kU64,
  kS64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kE4M3,
  kE5M2,
  kE2M1,
  kB128,
  kNone
};

// On PTX, `lanes` counts the values packed into one register (bf16x2). On x86, it is the width of a vector
// register value (f32x16). A scalar has one lane.
struct Type {
  Scalar scalar = Scalar::kNone;
  uint16_t lanes = 1;

  constexpr bool operator==(const Type&) const = default;
  constexpr Type with_lanes(int n) const { return {scalar, static_cast<uint16_t>(n)}; }
  constexpr Type element() const { return {scalar, 1}; }

  int scalar_bits() const;  // 1 for predicates, 4 for e2m1
  int bits() const { return scalar_bits() * lanes; }
  bool is_float() const;    // f16, bf16, f32, f64 and the small floating-point kinds
  bool is_integer() const;  // u8 … s64
  bool is_signed() const;   // s8 … s64
  bool is_pred() const { return scalar == Scalar::kPred; }
  bool none() const { return scalar == Scalar::kNone; }
};

std::string to_string(Type type);        // "f32", "bf16x2", "pred"
Type parse_type(std::string_view text);  // the inverse; throws IrError

inline constexpr Type pred{Scalar::kPred}, u8{Scalar::kU8}, s8{Scalar::kS8}, u16{Scalar::kU16},
    s16{Scalar::kS16}, u32{Scalar::kU32}, s32{Scalar::kS32}, u64{Scalar::kU64}, s64{Scalar::kS64},
    f16{Scalar::kF16}, bf16{Scalar::kBF16}, f32{Scalar::kF32}, f64{Scalar::kF64}, e4m3{Scalar::kE4M3},
    e5m2{Scalar::kE5M2}, e2m1{Scalar::kE2M1}, b128{Scalar::kB128};

}  // namespace rose::ir
