// Arithmetic: what an operation computes from the numbers of its own lane.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "emulator/values.h"

namespace rose::emulator {
namespace {

using ir::Semantic;

// Results of .ftz operations on f32, and what they read: subnormal numbers are zeros.
float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}

template <class T>
T binary(Warp& warp, Semantic semantic, T a, T b, int lane) {
  if constexpr (std::is_floating_point_v<T>) {
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
      default:
        warp.fail("the emulator does not know this on floating-point numbers", lane);
    }
  } else {
    using U = std::make_unsigned_t<T>;
    using Wide = std::conditional_t<std::is_signed_v<T>, __int128_t, __uint128_t>;
    const auto ua = static_cast<U>(a), ub = static_cast<U>(b);
    switch (semantic) {
      case Semantic::kAdd:
        return static_cast<T>(static_cast<U>(ua + ub));
      case Semantic::kSub:
        return static_cast<T>(static_cast<U>(ua - ub));
      case Semantic::kMul:
        return static_cast<T>(static_cast<U>(uint64_t{ua} * uint64_t{ub}));
      case Semantic::kMulHigh:
        return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
      case Semantic::kDiv:
      case Semantic::kRem:
        if (b == 0) warp.fail("divides by zero", lane);
        if constexpr (std::is_signed_v<T>)
          if (b == -1) return semantic == Semantic::kRem ? T{0} : static_cast<T>(static_cast<U>(U{0} - ua));
        return static_cast<T>(semantic == Semantic::kDiv ? a / b : a % b);
      case Semantic::kMin:
        return a < b ? a : b;
      case Semantic::kMax:
        return a > b ? a : b;
      case Semantic::kAnd:
        return static_cast<T>(a & b);
      case Semantic::kOr:
        return static_cast<T>(a | b);
      case Semantic::kXor:
        return static_cast<T>(a ^ b);
      default:
        warp.fail("the emulator does not know this on integers", lane);
    }
  }
}

Outcome run_binary(Warp& warp, const Code& code) {
  const auto semantic = code.instruction->row->semantic;
  const bool known = with_type(code.type, [&](auto tag) {
    using T = decltype(tag);
    warp.each([&](int lane) {
      warp.set(code.out[0], lane,
               bits_of(binary<T>(warp, semantic, value_of<T>(warp.get(code.in[0], lane)),
                                 value_of<T>(warp.get(code.in[1], lane)), lane)));
    });
  });
  if (known) return Outcome::kDone;
  const bool bitwise = semantic == Semantic::kAnd || semantic == Semantic::kOr || semantic == Semantic::kXor;
  warp.each([&](int lane) {
    const uint64_t a = warp.get(code.in[0], lane), b = warp.get(code.in[1], lane);
    uint64_t result = 0;
    if (bitwise)
      result = semantic == Semantic::kAnd ? a & b : semantic == Semantic::kOr ? a | b : a ^ b;
    else if (!code.type.is_float())
      warp.fail("the emulator does not know this type", lane);
    else
      for (int i = 0; i < code.type.lanes; ++i)
        result |= small_lane_bits(
            code.type,
            binary<double>(warp, semantic, small_lane(code.type, a, i), small_lane(code.type, b, i), lane),
            i);
    warp.set(code.out[0], lane, low_bits(result, code.type.bits()));
  });
  return Outcome::kDone;
}

Outcome run_fma(Warp& warp, const Code& code) {
  const bool known = with_type(code.type, [&](auto tag) {
    using T = decltype(tag);
    warp.each([&](int lane) {
      const T a = value_of<T>(warp.get(code.in[0], lane)), b = value_of<T>(warp.get(code.in[1], lane)),
              c = value_of<T>(warp.get(code.in[2], lane));
      T result;
      if constexpr (std::is_floating_point_v<T>)
        result = std::fma(a, b, c);
      else
        result =
            static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b) + static_cast<uint64_t>(c));
      warp.set(code.out[0], lane, bits_of(result));
    });
  });
  if (known) return Outcome::kDone;
  warp.each([&](int lane) {
    uint64_t result = 0;
    for (int i = 0; i < code.type.lanes; ++i)
      result |= small_lane_bits(code.type,
                                std::fma(small_lane(code.type, warp.get(code.in[0], lane), i),
                                         small_lane(code.type, warp.get(code.in[1], lane), i),
                                         small_lane(code.type, warp.get(code.in[2], lane), i)),
                                i);
    warp.set(code.out[0], lane, result);
  });
  return Outcome::kDone;
}

Outcome run_mul_wide(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    const uint64_t a = warp.get(code.in[0], lane), b = warp.get(code.in[1], lane);
    if (code.in[0].type.is_signed())
      warp.set(code.out[0], lane, bits_of(int64_t{value_of<int32_t>(a)} * int64_t{value_of<int32_t>(b)}));
    else
      warp.set(code.out[0], lane, low_bits(a, 32) * low_bits(b, 32));
  });
  return Outcome::kDone;
}

template <class T>
T unary(Semantic semantic, T a) {
  if constexpr (std::is_floating_point_v<T>) {
    switch (semantic) {
      case Semantic::kNeg:
        return -a;
      case Semantic::kAbs:
        return std::fabs(a);
      case Semantic::kSqrt:
        return std::sqrt(a);
      case Semantic::kFloor:
        return std::floor(a);
      case Semantic::kRoundEven:
        return std::nearbyint(a);
      case Semantic::kTanh:
        return std::tanh(a);
      default:
        break;
    }
    const T x = static_cast<T>(flushed(static_cast<float>(a)));
    switch (semantic) {
      case Semantic::kExp2:
        return static_cast<T>(flushed(static_cast<float>(std::exp2(x))));
      case Semantic::kLog2:
        return std::log2(x);
      case Semantic::kRcp:
        return static_cast<T>(flushed(static_cast<float>(1 / x)));
      case Semantic::kRsqrt:
        return 1 / std::sqrt(x);
      case Semantic::kSin:
        return std::sin(x);
      case Semantic::kCos:
        return std::cos(x);
      default:
        return std::numeric_limits<T>::quiet_NaN();
    }
  } else {
    using U = std::make_unsigned_t<T>;
    switch (semantic) {
      case Semantic::kNeg:
        return static_cast<T>(static_cast<U>(U{0} - static_cast<U>(a)));
      case Semantic::kAbs:
        return a < T{0} ? static_cast<T>(static_cast<U>(U{0} - static_cast<U>(a))) : a;
      default:
        return static_cast<T>(~a);  // kNot
    }
  }
}

Outcome run_unary(Warp& warp, const Code& code) {
  const auto semantic = code.instruction->row->semantic;
  const bool known = with_type(code.type, [&](auto tag) {
    using T = decltype(tag);
    warp.each([&](int lane) {
      warp.set(code.out[0], lane, bits_of(unary<T>(semantic, value_of<T>(warp.get(code.in[0], lane)))));
    });
  });
  if (known) return Outcome::kDone;
  warp.each([&](int lane) {
    const uint64_t a = warp.get(code.in[0], lane);
    uint64_t result = 0;
    if (semantic == Semantic::kNot)
      result = ~a;
    else  // the sign bits of f16 and bf16
      for (int i = 0; i < code.type.lanes; ++i) {
        const uint64_t sign = uint64_t{1} << ((i + 1) * code.type.scalar_bits() - 1);
        const uint64_t one = low_bits(a >> (i * code.type.scalar_bits()), code.type.scalar_bits())
                             << (i * code.type.scalar_bits());
        result |= semantic == Semantic::kNeg ? one ^ sign : one & ~sign;
      }
    warp.set(code.out[0], lane, low_bits(result, code.type.bits()));
  });
  return Outcome::kDone;
}

Outcome run_shift(Warp& warp, const Code& code) {
  const bool left = code.instruction->row->semantic == Semantic::kShl;
  const int bits = code.type.bits();
  warp.each([&](int lane) {
    const uint64_t a = warp.get(code.in[0], lane), count = low_bits(warp.get(code.in[1], lane), 32);
    uint64_t result;
    if (left) {
      result = count >= static_cast<uint64_t>(bits) ? 0 : a << count;
    } else if (code.type.is_signed()) {
      const auto wide = static_cast<int64_t>(a << (64 - bits)) >> (64 - bits);
      result = static_cast<uint64_t>(wide >> std::min<uint64_t>(count, static_cast<uint64_t>(bits - 1)));
    } else {
      result = count >= static_cast<uint64_t>(bits) ? 0 : low_bits(a, bits) >> count;
    }
    warp.set(code.out[0], lane, low_bits(result, bits));
  });
  return Outcome::kDone;
}

template <class T>
bool compare(ir::Comparison comparison, T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isunordered(a, b)) return false;
  switch (comparison) {
    case ir::Comparison::kEq:
      return a == b;
    case ir::Comparison::kNe:
      return a != b;
    case ir::Comparison::kLt:
      return a < b;
    case ir::Comparison::kLe:
      return a <= b;
    case ir::Comparison::kGt:
      return a > b;
    default:
      return a >= b;
  }
}

Outcome run_compare(Warp& warp, const Code& code) {
  const auto comparison = static_cast<ir::Comparison>(code.attribute(0));
  const bool known = with_type(code.in[0].type, [&](auto tag) {
    using T = decltype(tag);
    warp.each([&](int lane) {
      warp.set(code.out[0], lane,
               compare(comparison, value_of<T>(warp.get(code.in[0], lane)),
                       value_of<T>(warp.get(code.in[1], lane))));
    });
  });
  if (known) return Outcome::kDone;
  warp.each([&](int lane) {
    warp.set(code.out[0], lane,
             compare(comparison, small_lane(code.in[0].type, warp.get(code.in[0], lane), 0),
                     small_lane(code.in[1].type, warp.get(code.in[1], lane), 0)));
  });
  return Outcome::kDone;
}

Outcome run_select(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    warp.set(code.out[0], lane, warp.get(warp.get(code.in[2], lane) & 1 ? code.in[0] : code.in[1], lane));
  });
  return Outcome::kDone;
}

// Functions of 32-bit words, by name.
uint32_t word_function(int which, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  switch (which) {
    case 0: {  // prmt: each nibble of c chooses a byte of b:a, or with its top bit that byte's sign
      const uint64_t bytes = uint64_t{b} << 32 | a;
      uint32_t result = 0;
      for (int i = 0; i < 4; ++i) {
        const uint32_t choice = c >> (4 * i) & 15;
        auto byte = static_cast<uint32_t>(bytes >> (8 * (choice & 7)) & 0xff);
        if (choice & 8) byte = byte & 0x80 ? 0xff : 0;
        result |= byte << (8 * i);
      }
      return result;
    }
    case 1:  // bfe: c bits of a, from bit b on
      return static_cast<uint32_t>(low_bits(uint64_t{a} >> std::min<uint32_t>(b & 255, 63),
                                            static_cast<int>(std::min<uint32_t>(c & 255, 32))));
    case 2: {  // bfi: the low bits of a into b
      const uint32_t at = c & 255, length = std::min<uint32_t>(d & 255, 32);
      if (at >= 32) return b;
      const auto mask = static_cast<uint32_t>(low_bits(~uint64_t{0}, static_cast<int>(length)) << at);
      return (b & ~mask) | (a << at & mask);
    }
    case 3:
      return static_cast<uint32_t>(std::popcount(a));
    case 4:
      return static_cast<uint32_t>(std::countl_zero(a));
    case 5: {
      uint32_t result = 0;
      for (int i = 0; i < 32; ++i) result |= (a >> i & 1) << (31 - i);
      return result;
    }
    case 6:
      return static_cast<uint32_t>((uint64_t{b} << 32 | a) << (c & 31) >> 32);
    case 7:
      return static_cast<uint32_t>((uint64_t{b} << 32 | a) >> (c & 31));
    default: {  // lop3: a table of eight bits
      uint32_t result = 0;
      for (int i = 0; i < 32; ++i)
        result |= (d >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i;
      return result;
    }
  }
}
constexpr const char* kWordFunctions[] = {"prmt",     "bfe.u32",    "bfi.b32",    "popc.b32", "clz.b32",
                                          "brev.b32", "shf.l.wrap", "shf.r.wrap", "lop3"};

Outcome run_word_function(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    uint32_t in[4] = {};
    for (size_t i = 0; i < code.in.size(); ++i) in[i] = static_cast<uint32_t>(warp.get(code.in[i], lane));
    if (!code.instruction->attributes.empty()) in[3] = static_cast<uint32_t>(code.attribute(0));
    warp.set(code.out[0], lane, word_function(code.a, in[0], in[1], in[2], in[3]));
  });
  return Outcome::kDone;
}

}  // namespace

Handler arithmetic_handler(const ir::Row& row, Code& code) {
  switch (row.semantic) {
    case Semantic::kAdd:
    case Semantic::kSub:
    case Semantic::kMul:
    case Semantic::kMulHigh:
    case Semantic::kDiv:
    case Semantic::kRem:
    case Semantic::kMin:
    case Semantic::kMax:
    case Semantic::kAnd:
    case Semantic::kOr:
    case Semantic::kXor:
      return run_binary;
    case Semantic::kFma:
      return run_fma;
    case Semantic::kMulWide:
      return run_mul_wide;
    case Semantic::kNeg:
    case Semantic::kAbs:
    case Semantic::kNot:
    case Semantic::kExp2:
    case Semantic::kLog2:
    case Semantic::kRcp:
    case Semantic::kRsqrt:
    case Semantic::kSqrt:
    case Semantic::kTanh:
    case Semantic::kSin:
    case Semantic::kCos:
    case Semantic::kFloor:
    case Semantic::kRoundEven:
      return run_unary;
    case Semantic::kShl:
    case Semantic::kShr:
      return run_shift;
    case Semantic::kCompare:
      return run_compare;
    case Semantic::kSelect:
      return run_select;
    default:
      break;
  }
  for (int i = 0; i < static_cast<int>(std::size(kWordFunctions)); ++i)
    if (row.name == kWordFunctions[i]) return code.a = i, run_word_function;
  return nullptr;
}

}  // namespace rose::emulator
