#include "row_reference.h"

#include <algorithm>
#include <cmath>

#include "number.h"

namespace rose::codegen::x86::testing {

using namespace ir;
using Wide = __int128;

uint64_t mask(Type type) {
  return type.scalar_bits() == 64 ? ~uint64_t{0} : (uint64_t{1} << type.scalar_bits()) - 1;
}

Wide whole(Type type, uint64_t bits) {
  if (!type.is_signed()) return bits;
  int shift = 64 - type.scalar_bits();
  return static_cast<int64_t>(bits << shift) >> shift;
}

LaneFunction integer_function(Semantic semantic, Type t) {
  return [=](const Lanes& v) -> uint64_t {
    Wide a = whole(t, v[0]), b = v.size() > 1 ? whole(t, v[1]) : 0;
    int bits = t.scalar_bits();
    uint64_t count = v.size() > 1 ? v[1] & 0xffffffff : 0;
    Wide r = 0;
    switch (semantic) {
      case Semantic::kAdd:
        r = a + b;
        break;
      case Semantic::kSub:
        r = a - b;
        break;
      case Semantic::kMul:
        r = static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
        break;
      case Semantic::kMulWide:
        return static_cast<uint64_t>(a * b);
      case Semantic::kMulHigh:
        r = t.is_signed()
                ? (a * b) >> bits
                : static_cast<Wide>((static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)) >>
                                    bits);
        break;
      case Semantic::kDiv:
        r = a / b;
        break;
      case Semantic::kRem:
        r = a % b;
        break;
      case Semantic::kMin:
        r = std::min(a, b);
        break;
      case Semantic::kMax:
        r = std::max(a, b);
        break;
      case Semantic::kFma:
        r = static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)) +
            whole(t, v[2]);
        break;
      case Semantic::kNeg:
        r = -a;
        break;
      case Semantic::kAbs:
        r = a < 0 ? -a : a;
        break;
      case Semantic::kNot:
        r = ~a;
        break;
      case Semantic::kAnd:
        r = a & b;
        break;
      case Semantic::kOr:
        r = a | b;
        break;
      case Semantic::kXor:
        r = a ^ b;
        break;
      case Semantic::kShl:
        r = count >= static_cast<uint64_t>(bits) ? 0 : static_cast<Wide>(v[0] << count);
        break;
      case Semantic::kShr:
        r = count >= static_cast<uint64_t>(bits) ? (a < 0 ? -1 : 0) : a >> count;
        break;
      default:
        r = a;
    }
    return static_cast<uint64_t>(r) & mask(t);
  };
}

namespace {

long double float_function(Semantic semantic, long double a, long double b, long double c) {
  switch (semantic) {
    case Semantic::kAdd:
      return a + b;
    case Semantic::kSub:
      return a - b;
    case Semantic::kMul:
      return a * b;
    case Semantic::kDiv:
      return a / b;
    case Semantic::kMin:
      return std::fmin(a, b);
    case Semantic::kMax:
      return std::fmax(a, b);
    case Semantic::kFma:
      return std::fma(a, b, c);
    case Semantic::kNeg:
      return -a;
    case Semantic::kAbs:
      return std::abs(a);
    case Semantic::kSqrt:
      return std::sqrt(a);
    case Semantic::kRcp:
      return 1 / a;
    case Semantic::kRsqrt:
      return 1 / std::sqrt(a);
    case Semantic::kExp2:
      return std::exp2(a);
    case Semantic::kLog2:
      return std::abs(a) < 0x1p-126L ? -INFINITY : std::log2(a);  // no subnormal numbers
    case Semantic::kTanh:
      return std::tanh(a);
    case Semantic::kSin:
      return std::sin(a);
    case Semantic::kCos:
      return std::cos(a);
    case Semantic::kFloor:
      return std::floor(a);
    case Semantic::kRoundEven:
      return std::nearbyint(a);
    default:
      return a;
  }
}

}  // namespace

Expected float_limits(Semantic semantic, Type t, const Target& target) {
  Expected limits;
  limits.flushes = t.scalar == Scalar::kBF16 && target.x86.avx512_bf16;
  switch (semantic) {
    case Semantic::kFma:
      limits.ulps = t.scalar == Scalar::kF64 && !target.x86.avx2 ? 1e9 : 1;
      break;
    case Semantic::kAdd:
    case Semantic::kSub:
    case Semantic::kMul:
    case Semantic::kDiv:
    case Semantic::kSqrt:
      limits.ulps = t.scalar == Scalar::kF64 ? 1 : 0;  // the reference has 64 bits, which round twice here
      break;
    case Semantic::kRsqrt:
      limits.ulps = 2;
      break;
    case Semantic::kExp2:
    case Semantic::kLog2:
      limits.ulps = 2, limits.flushes = true;
      break;
    case Semantic::kTanh:
      limits.ulps = 2;
      break;
    case Semantic::kSin:
    case Semantic::kCos:
      limits.absolute = 2e-7;
      break;
    default:
      break;
  }
  return limits;
}
LaneFunction real_function(Semantic semantic, Type t) {
  return [=](const Lanes& v) {
    auto at = [&](size_t i) { return i < v.size() ? decode(t, v[i]) : 0.0L; };
    return encode(t, float_function(semantic, at(0), at(1), at(2)));
  };
}
uint64_t compare(Comparison c, Type t, uint64_t a, uint64_t b) {
  auto holds = [&](auto x, auto y) {
    switch (c) {
      case Comparison::kEq:
        return x == y;
      case Comparison::kNe:
        return x != y;  // true for NaN, as in C++
      case Comparison::kLt:
        return x < y;
      case Comparison::kLe:
        return x <= y;
      case Comparison::kGt:
        return x > y;
      default:
        return x >= y;
    }
  };
  return t.is_float() ? holds(decode(t, a), decode(t, b)) : holds(whole(t, a), whole(t, b));
}

std::vector<Type> elements(const Row& row) {  // the scalar kinds of the row's instances
  std::vector<Type> kinds;
  if (row.types.empty()) return {Type{}};
  for (auto t : row.types)
    if (std::find(kinds.begin(), kinds.end(), t.element()) == kinds.end()) kinds.push_back(t.element());
  return kinds;
}

}  // namespace rose::codegen::x86::testing
