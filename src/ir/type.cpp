#include "ir/type.h"

#include <charconv>

#include "ir/error.h"

namespace rose::ir {
namespace {

struct ScalarInfo {
  std::string_view name;
  int bits;
};
// Indexed by Scalar.
constexpr ScalarInfo kScalars[] = {{"pred", 1},  {"u8", 8},     {"s8", 8},   {"u16", 16}, {"s16", 16},
                                   {"u32", 32},  {"s32", 32},   {"u64", 64}, {"s64", 64}, {"f16", 16},
                                   {"bf16", 16}, {"f32", 32},   {"f64", 64}, {"e4m3", 8}, {"e5m2", 8},
                                   {"e2m1", 4},  {"b128", 128}, {"none", 0}};

}  // namespace

int Type::scalar_bits() const { return kScalars[static_cast<int>(scalar)].bits; }

bool Type::is_float() const {
  switch (scalar) {
    case Scalar::kF16:
    case Scalar::kBF16:
    case Scalar::kF32:
    case Scalar::kF64:
    case Scalar::kE4M3:
    case Scalar::kE5M2:
    case Scalar::kE2M1:
      return true;
    default:
      return false;
  }
}

bool Type::is_integer() const { return scalar >= Scalar::kU8 && scalar <= Scalar::kS64; }

bool Type::is_signed() const {
  return scalar == Scalar::kS8 || scalar == Scalar::kS16 || scalar == Scalar::kS32 || scalar == Scalar::kS64;
}

std::string to_string(Type type) {
  std::string text(kScalars[static_cast<int>(type.scalar)].name);
  if (type.lanes != 1) text += "x" + std::to_string(type.lanes);
  return text;
}

Type parse_type(std::string_view text) {
  for (int i = 0; i < static_cast<int>(std::size(kScalars)); ++i) {
    auto name = kScalars[i].name;
    if (!text.starts_with(name)) continue;
    auto rest = text.substr(name.size());
    if (rest.empty()) return Type{static_cast<Scalar>(i)};
    int lanes = 0;
    auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), lanes);
    if (rest[0] == 'x' && error == std::errc() && end == rest.data() + rest.size() && lanes >= 1 &&
        lanes <= 4096)
      return Type{static_cast<Scalar>(i), static_cast<uint16_t>(lanes)};
  }
  throw IrError("unknown type '" + std::string(text) +
                "'; types are f32, bf16, f16, e4m3, s8, u32, … and f32x16");
}

}  // namespace rose::ir
