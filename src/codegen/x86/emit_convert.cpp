// Conversions between number types, as instructions where the machine has them and as integer sequences
// elsewhere.
#include "codegen/x86/emitter.h"

#include <cmath>

namespace rose::codegen::x86 {

using ir::Scalar;
using P = llvm::CmpInst::Predicate;

Value* Emitter::convert(Value* v, ir::Type from, ir::Type to, bool nearest) {
  if (from.lanes != to.lanes) fail("its operand and result differ in the number of lanes");
  if (from.scalar == to.scalar) return v;
  if (from.is_integer() && to.is_integer()) return b_.CreateIntCast(v, held(to), from.is_signed());
  if (from.is_integer()) return integer_to_float(v, from, to);

  switch (from.scalar) {  // now to f32, or f64 stays
    case Scalar::kF32:
    case Scalar::kF64:
      break;
    case Scalar::kF16:
      v = f32_from_f16(v);
      break;
    case Scalar::kBF16:
      v = b_.CreateBitCast(b_.CreateShl(b_.CreateZExt(v, ints(32, v)), 16), floats(v));
      break;
    case Scalar::kE4M3:
      v = f32_from_e4m3(v);
      break;
    case Scalar::kE5M2:
      v = f32_from_f16(b_.CreateShl(b_.CreateZExt(v, ints(16, v)), 8));
      break;
    case Scalar::kE2M1:
      v = f32_from_e2m1(v, from.lanes);
      break;
    default:
      fail("its operand is no number");
  }
  if (to.is_integer()) return float_to_integer(v, to, nearest);

  bool wide = v->getType()->getScalarType()->isDoubleTy();
  if (to.scalar == Scalar::kF64)
    return wide ? v : b_.CreateFPExt(v, with_lanes(b_.getDoubleTy(), lanes_of(v)));
  if (wide && to.scalar != Scalar::kF32) fail("f64 is converted to f32 first");
  switch (to.scalar) {
    case Scalar::kF32:
      return wide ? b_.CreateFPTrunc(v, floats(v)) : v;
    case Scalar::kF16:
      return f16_from_f32(v);
    case Scalar::kBF16:
      return bf16_from_f32(v);
    case Scalar::kE4M3:
      return small_from_f32(v, 3, 7, 448, 0x7f);
    case Scalar::kE5M2:
      return small_from_f32(v, 2, 15, 57344, 0x7f);
    case Scalar::kE2M1:
      return e2m1_from_f32(v);
    default:
      fail("its result is no number");
  }
}

Value* Emitter::to_real(Value* v, ir::Type type) {
  switch (type.scalar) {
    case Scalar::kF32:
    case Scalar::kF64:
      return v;
    case Scalar::kF16:
      if (features_.avx512_fp16) return b_.CreateBitCast(v, with_lanes(b_.getHalfTy(), lanes_of(v)));
      return f32_from_f16(v);
    case Scalar::kBF16:
      return convert(v, type, ir::f32.with_lanes(type.lanes), false);
    default:
      fail("no arithmetic exists in this type; convert it to f32");
  }
}

Value* Emitter::from_real(Value* v, ir::Type type) {
  switch (type.scalar) {
    case Scalar::kF16:
      if (features_.avx512_fp16) return b_.CreateBitCast(v, held(type));
      return f16_from_f32(v);
    case Scalar::kBF16:
      return bf16_from_f32(v);
    default:
      return v;
  }
}

// Saturates; see compile.h for NaN. LLVM's own saturating conversions go lane by lane.
Value* Emitter::float_to_integer(Value* v, ir::Type to, bool nearest) {
  if (nearest) v = call(llvm::Intrinsic::roundeven, {v->getType()}, {v});
  bool is_signed = to.is_signed();
  int bits = to.scalar_bits();
  double low = is_signed ? -std::ldexp(1.0, bits - 1) : 0, end = std::ldexp(1.0, is_signed ? bits - 1 : bits);
  auto* c =
      b_.CreateSelect(b_.CreateFCmp(P::FCMP_OGT, v, real(v, low)), v, real(v, low));  // NaN becomes `low`
  if (bits < 32) {                                                                    // by way of s32
    auto* high = real(v, end - 1);
    c = b_.CreateSelect(b_.CreateFCmp(P::FCMP_OLT, c, high), c, high);
    return b_.CreateTrunc(b_.CreateFPToSI(c, ints(32, v)), held(to));
  }
  auto* whole = is_signed ? b_.CreateFPToSI(c, held(to)) : b_.CreateFPToUI(c, held(to));
  auto highest = is_signed ? (~uint64_t{0} >> (65 - bits)) : (~uint64_t{0} >> (64 - bits));
  whole = b_.CreateSelect(b_.CreateFCmp(P::FCMP_OGE, v, real(v, end)), integer(whole, highest), whole);
  if (!is_signed) return whole;
  return b_.CreateSelect(b_.CreateFCmp(P::FCMP_UNO, v, v), integer(whole, 0), whole);
}

Value* Emitter::integer_to_float(Value* v, ir::Type from, ir::Type to) {
  bool is_signed = from.is_signed();
  if (from.scalar_bits() < 32) {
    v = b_.CreateIntCast(v, ints(32, v), is_signed);
    is_signed = true;
  }
  auto convert_to = [&](Value* i, llvm::Type* type) {
    return is_signed ? b_.CreateSIToFP(i, type) : b_.CreateUIToFP(i, type);
  };
  if (to.scalar == Scalar::kF64) return convert_to(v, held(to));
  // f16 overflows before f32 rounds, so that the way through f32 rounds once.
  if (to.scalar == Scalar::kF32) return convert_to(v, held(to));
  if (to.scalar == Scalar::kF16) return f16_from_f32(convert_to(v, floats(v)));
  if (to.scalar != Scalar::kBF16) fail("its result is no number");
  if (from.scalar_bits() < 32) return bf16_from_f32(convert_to(v, floats(v)));

  // bf16: each narrowing on the way rounds to odd (cuts, and sets the last bit when anything was cut), which
  // leaves the final rounding to nearest as if it were the only one.
  if (from.scalar_bits() == 64) {  // to 53 bits, where they are not enough already
    auto* cut = b_.CreateAnd(v, integer(v, 0x7ff));
    auto* sticky = b_.CreateSelect(b_.CreateICmpNE(cut, integer(v, 0)), integer(v, 0x800), integer(v, 0));
    auto* odd = b_.CreateOr(b_.CreateAnd(v, integer(v, ~uint64_t{0x7ff})), sticky);
    auto* magnitude = is_signed ? call(llvm::Intrinsic::abs, {v->getType()}, {v, b_.getFalse()}) : v;
    v = b_.CreateSelect(b_.CreateICmpUGE(magnitude, integer(v, uint64_t{1} << 53)), odd, v);
  }
  auto* wide = convert_to(v, with_lanes(b_.getDoubleTy(), lanes_of(v)));
  auto* f = b_.CreateFPTrunc(wide, floats(v));
  auto* back = b_.CreateFPExt(f, wide->getType());
  auto* bits = b_.CreateBitCast(f, ints(32, f));
  auto fabs = [&](Value* x) { return call(llvm::Intrinsic::fabs, {x->getType()}, {x}); };
  auto* above = b_.CreateFCmp(P::FCMP_OGT, fabs(back), fabs(wide));
  auto* cut = b_.CreateSub(bits, b_.CreateZExt(above, bits->getType()));
  auto* odd = b_.CreateOr(cut, b_.CreateZExt(b_.CreateFCmp(P::FCMP_UNE, back, wide), bits->getType()));
  return bf16_from_f32(b_.CreateBitCast(odd, f->getType()));
}

// Keeps LLVM from moving arithmetic into `half`, which it would do by calls and lane by lane. Costs no
// instruction.
Value* Emitter::fence(Value* v) {
  if (features_.avx512_fp16) return v;
  return call(llvm::Intrinsic::arithmetic_fence, {v->getType()}, {v});
}

Value* Emitter::f32_from_f16(Value* v) {
  if (features_.avx2)  // which stands for F16C too
    return fence(b_.CreateFPExt(b_.CreateBitCast(v, with_lanes(b_.getHalfTy(), lanes_of(v))), floats(v)));
  // The exponent field, read as one of f32, is too small by 112; a multiplication by 2^112 mends it, also for
  // subnormal numbers. Infinity and NaN get all exponent bits.
  auto* wide = b_.CreateZExt(v, ints(32, v));
  auto* magnitude = b_.CreateShl(b_.CreateAnd(wide, integer(wide, 0x7fff)), 13);
  auto* f = b_.CreateBitCast(magnitude, floats(v));
  auto* scaled = b_.CreateBitCast(b_.CreateFMul(f, real(f, 0x1p112)), wide->getType());
  auto* special = b_.CreateICmpUGE(magnitude, integer(wide, 0x0f800000));
  auto* sign = b_.CreateShl(b_.CreateAnd(wide, integer(wide, 0x8000)), 16);
  auto* bits = b_.CreateOr(scaled, b_.CreateSelect(special, integer(wide, 0x7f800000), integer(wide, 0)));
  return b_.CreateBitCast(b_.CreateOr(bits, sign), f->getType());
}

Value* Emitter::f16_from_f32(Value* v) {
  if (features_.avx2)
    return b_.CreateBitCast(b_.CreateFPTrunc(fence(v), with_lanes(b_.getHalfTy(), lanes_of(v))), ints(16, v));
  auto* bits = b_.CreateBitCast(v, ints(32, v));
  auto* magnitude = b_.CreateAnd(bits, integer(bits, 0x7fffffff));
  // Nearest even: add half of the last place that stays, less one where that place is even.
  auto* even = b_.CreateAnd(b_.CreateLShr(magnitude, 13), integer(bits, 1));
  auto* rounded = b_.CreateAdd(b_.CreateAdd(magnitude, integer(bits, 0xfff)), even);
  auto* normal = b_.CreateLShr(b_.CreateSub(rounded, integer(bits, uint64_t{112} << 23)), 13);
  // Below 2^-14 the sum with 1/2 rounds to multiples of 2^-24, the step of f16 there.
  auto* half = real(v, 0.5);
  auto* sum = b_.CreateFAdd(b_.CreateBitCast(magnitude, v->getType()), half);
  auto* subnormal = b_.CreateSub(b_.CreateBitCast(sum, bits->getType()), integer(bits, 0x3f000000));
  auto* result = b_.CreateSelect(b_.CreateICmpULT(magnitude, integer(bits, 0x38800000)), subnormal, normal);
  auto* overflows = b_.CreateICmpUGE(magnitude, integer(bits, 0x477ff000));  // 65520, half way to 2^16
  result = b_.CreateSelect(overflows, integer(bits, 0x7c00), result);
  auto* nan = b_.CreateICmpUGT(magnitude, integer(bits, 0x7f800000));
  result = b_.CreateSelect(nan, integer(bits, 0x7e00), result);
  auto* sign = b_.CreateAnd(b_.CreateLShr(bits, 16), integer(bits, 0x8000));
  return b_.CreateTrunc(b_.CreateOr(result, sign), ints(16, v));
}

Value* Emitter::bf16_from_f32(Value* v) {
  int lanes = lanes_of(v);
  if (features_.avx512_bf16) {
    return by_pieces(lanes, piece_lanes(lanes, 32), {v}, [&](const Values& p) -> Value* {
      int width = lanes_of(p[0]);
      if (width == 4) {
        auto* none = llvm::Constant::getNullValue(with_lanes(b_.getBFloatTy(), 8));
        auto* all = llvm::Constant::getAllOnesValue(with_lanes(b_.getInt1Ty(), 4));
        auto* r = call(llvm::Intrinsic::x86_avx512bf16_mask_cvtneps2bf16_128, {}, {p[0], none, all});
        return slice(b_.CreateBitCast(r, with_lanes(b_.getInt16Ty(), 8)), 0, 4);
      }
      auto id = width == 8 ? llvm::Intrinsic::x86_avx512bf16_cvtneps2bf16_256
                           : llvm::Intrinsic::x86_avx512bf16_cvtneps2bf16_512;
      return b_.CreateBitCast(call(id, {}, {p[0]}), with_lanes(b_.getInt16Ty(), width));
    });
  }
  auto* bits = b_.CreateBitCast(v, ints(32, v));
  auto* even = b_.CreateAnd(b_.CreateLShr(bits, 16), integer(bits, 1));
  auto* rounded = b_.CreateLShr(b_.CreateAdd(b_.CreateAdd(bits, integer(bits, 0x7fff)), even), 16);
  auto* quiet = b_.CreateOr(b_.CreateLShr(bits, 16), integer(bits, 0x40));
  auto* nan = b_.CreateFCmp(P::FCMP_UNO, v, v);
  return b_.CreateTrunc(b_.CreateSelect(nan, quiet, rounded), ints(16, v));
}

// e4m3 shifted to the place of f16's fields lacks 8 in the exponent, and its NaN (0x7f) is an ordinary f16
// number.
Value* Emitter::f32_from_e4m3(Value* v) {
  auto* wide = b_.CreateZExt(v, ints(16, v));
  auto* magnitude = b_.CreateAnd(wide, integer(wide, 0x7f));
  auto* sign = b_.CreateShl(b_.CreateAnd(wide, integer(wide, 0x80)), 8);
  auto* nan = b_.CreateICmpEQ(magnitude, integer(wide, 0x7f));
  auto* bits = b_.CreateSelect(nan, integer(wide, 0x7e00), b_.CreateShl(magnitude, 7));
  auto* f = f32_from_f16(b_.CreateOr(bits, sign));
  return b_.CreateFMul(f, real(f, 256));
}

// To a sign, an exponent and a mantissa in the low bits of a byte, saturated at `maximum`: OCP's 8-bit
// formats, and e2m1 before it is packed.
Value* Emitter::small_from_f32(Value* v, int mantissa_bits, int bias, double maximum, int nan_code) {
  auto* bits = b_.CreateBitCast(v, ints(32, v));
  auto* sign = b_.CreateAnd(bits, integer(bits, 0x80000000));
  auto* magnitude = call(llvm::Intrinsic::fabs, {v->getType()}, {v});
  auto* less = b_.CreateFCmp(P::FCMP_OLT, magnitude, real(v, maximum));
  magnitude = b_.CreateSelect(less, magnitude, real(v, maximum));
  auto* clamped = b_.CreateBitCast(magnitude, bits->getType());

  auto cut = static_cast<uint64_t>(23 - mantissa_bits);
  auto* even = b_.CreateAnd(b_.CreateLShr(clamped, cut), integer(bits, 1));
  auto* rounded = b_.CreateAdd(b_.CreateAdd(clamped, integer(bits, (uint64_t{1} << (cut - 1)) - 1)), even);
  auto rebias = static_cast<uint64_t>(127 - bias) << 23;
  auto* normal = b_.CreateLShr(b_.CreateSub(rounded, integer(bits, rebias)), cut);
  // Subnormal: a sum with a number whose last place is the format's smallest step rounds to that step.
  auto* magic = real(v, std::ldexp(1.0, 23 + 1 - bias - mantissa_bits));
  auto* sum = b_.CreateBitCast(b_.CreateFAdd(magnitude, magic), bits->getType());
  auto* subnormal = b_.CreateSub(sum, b_.CreateBitCast(magic, bits->getType()));
  auto* is_small = b_.CreateFCmp(P::FCMP_OLT, magnitude, real(v, std::ldexp(1.0, 1 - bias)));
  auto* code = b_.CreateSelect(is_small, subnormal, normal);

  int width = mantissa_bits == 1 ? 4 : 8;
  code = b_.CreateOr(code, b_.CreateLShr(sign, static_cast<uint64_t>(32 - width)));
  auto* nan = b_.CreateFCmp(P::FCMP_UNO, v, v);
  code = b_.CreateSelect(nan, integer(code, static_cast<uint64_t>(nan_code)), code);
  return b_.CreateTrunc(code, ints(8, v));
}

Value* Emitter::f32_from_e2m1(Value* v, int lanes) {
  // One code a byte: low and high halves, interleaved.
  Value* codes = b_.CreateAnd(v, integer(v, 0x0f));
  if (lanes > 1) {
    int n = lanes_of(v);
    std::vector<int> order(static_cast<size_t>(lanes));
    for (int i = 0; i < lanes; ++i) order[static_cast<size_t>(i)] = i / 2 + (i % 2 ? n : 0);
    codes = b_.CreateShuffleVector(vector_of(codes), vector_of(b_.CreateLShr(v, 4)), order);
  }
  auto* wide = b_.CreateZExt(codes, ints(32, codes));
  if (features_.avx512 && lanes % 16 == 0) {  // a table of 16 numbers fills one register
    std::vector<float> table;
    for (int code = 0; code < 16; ++code) {
      constexpr float kMagnitudes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
      table.push_back(code & 8 ? -kMagnitudes[code & 7] : kMagnitudes[code & 7]);
    }
    auto* values = llvm::ConstantDataVector::get(context_, table);
    return by_pieces(lanes, 16, {wide}, [&](const Values& p) -> Value* {
      return call(llvm::Intrinsic::x86_avx512_permvar_sf_512, {}, {values, p[0]});
    });
  }
  auto* magnitude = b_.CreateAnd(wide, integer(wide, 7));
  auto* normal = b_.CreateAdd(b_.CreateShl(magnitude, 22), integer(wide, uint64_t{126} << 23));
  auto* subnormal = b_.CreateSelect(b_.CreateICmpEQ(magnitude, integer(wide, 0)), integer(wide, 0),
                                    integer(wide, 0x3f000000));  // 0 or 1/2
  auto* bits = b_.CreateSelect(b_.CreateICmpULT(magnitude, integer(wide, 2)), subnormal, normal);
  auto* sign = b_.CreateShl(b_.CreateAnd(wide, integer(wide, 8)), 28);
  return b_.CreateBitCast(b_.CreateOr(bits, sign), floats(codes));
}

Value* Emitter::e2m1_from_f32(Value* v) {
  auto* codes = small_from_f32(v, 1, 1, 6, 0x7);
  int lanes = lanes_of(v), bytes = (lanes + 1) / 2;
  if (lanes == 1) return codes;
  std::vector<int> even, odd;
  for (int i = 0; i < bytes; ++i) even.push_back(2 * i), odd.push_back(std::min(2 * i + 1, lanes - 1));
  auto pick = [&](const std::vector<int>& lanes_wanted) -> Value* {
    if (bytes == 1) return b_.CreateExtractElement(codes, static_cast<uint64_t>(lanes_wanted[0]));
    return b_.CreateShuffleVector(codes, lanes_wanted);
  };
  return b_.CreateOr(pick(even), b_.CreateShl(pick(odd), 4));
}

}  // namespace rose::codegen::x86
