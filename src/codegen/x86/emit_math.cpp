// Elementary functions of f32 as inline polynomials: no calls into a math library, any number of lanes.
//
// The coefficients are minimax fits by the Remez exchange algorithm, made with 40 digits; each comment gives
// the largest error of the exact polynomial.
#include "codegen/x86/emitter.h"

#include <numbers>

namespace rose::codegen::x86 {

using P = llvm::CmpInst::Predicate;

namespace {

// Adding 1.5 * 2^23 to |x| < 2^22 rounds x to an integer (nearest even) and leaves that integer in the low
// bits.
constexpr double kRoundMagic = 12582912.0;

}  // namespace

Value* Emitter::emit_math() {
  if (in_type(0).scalar != ir::Scalar::kF32) fail("only f32 has this function");
  auto* x = in(0);
  switch (current_->row->semantic) {
    case ir::Semantic::kExp2:
      return exp2(x);
    case ir::Semantic::kLog2:
      return log2(x);
    case ir::Semantic::kTanh:
      return tanh(x);
    case ir::Semantic::kSin:
      return sin_or_cos(x, false);
    case ir::Semantic::kCos:
      return sin_or_cos(x, true);
    default:
      fail("it is no elementary function");
  }
}

// One rounding. Without FMA units f32 goes through f64, where the product is exact; the sum is then rounded
// twice.
Value* Emitter::fma(Value* a, Value* b, Value* c) {
  if (features_.avx2) return call(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  if (a->getType()->getScalarType()->isDoubleTy()) return b_.CreateFAdd(b_.CreateFMul(a, b), c);
  auto* wide = with_lanes(b_.getDoubleTy(), lanes_of(a));
  auto extend = [&](Value* v) { return b_.CreateFPExt(v, wide); };
  return b_.CreateFPTrunc(b_.CreateFAdd(b_.CreateFMul(extend(a), extend(b)), extend(c)), a->getType());
}

Value* Emitter::polynomial(Value* x, std::initializer_list<double> coefficients) {
  auto at = coefficients.end();
  Value* sum = real(x, *--at);
  while (at != coefficients.begin()) sum = fma(sum, x, real(x, *--at));
  return sum;
}

// 2^x = 2^n * 2^r, n the nearest integer and |r| <= 1/2.
Value* Emitter::exp2(Value* x) {
  auto* f = x->getType();
  auto* i = ints(32, x);
  // Beyond these the result is 0 or infinity; comparisons that are false for NaN let it through.
  auto clamp = [&](double low, double high) {
    auto* v = b_.CreateSelect(b_.CreateFCmp(P::FCMP_OLT, x, real(x, low)), real(x, low), x);
    return b_.CreateSelect(b_.CreateFCmp(P::FCMP_OGT, v, real(x, high)), real(x, high), v);
  };
  auto* c = features_.avx512 ? clamp(-152, 129) : clamp(-126, 128);
  auto* shifted = b_.CreateFAdd(c, real(x, kRoundMagic));
  auto* n = b_.CreateFSub(shifted, real(x, kRoundMagic));
  auto* r = b_.CreateFSub(c, n);
  auto* p = polynomial(r, {1, 0.693147202855, 0.240226479135, 0.0555033247112, 0.00961843735923,
                           0.00133988744608, 0.000153533629277});  // 0.03 * 2^-24
  if (features_.avx512) {
    // VSCALEFPS multiplies by 2^n with correct overflow and underflow.
    return by_pieces(lanes_of(x), piece_lanes(lanes_of(x), 32), {p, n}, [&](const Values& v) -> Value* {
      auto* none = llvm::Constant::getNullValue(v[0]->getType());
      if (lanes_of(v[0]) == 16)
        return call(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                    {v[0], v[1], none, b_.getInt16(0xffff), b_.getInt32(4)});
      auto id = lanes_of(v[0]) == 8 ? llvm::Intrinsic::x86_avx512_mask_scalef_ps_256
                                    : llvm::Intrinsic::x86_avx512_mask_scalef_ps_128;
      return call(id, {}, {v[0], v[1], none, b_.getInt8(0xff)});
    });
  }
  // Adding n to the exponent field is right for results that are normal numbers; the others are chosen after
  // it.
  auto* exponent = b_.CreateShl(b_.CreateBitCast(shifted, i), 23);
  auto* scaled = b_.CreateBitCast(b_.CreateAdd(b_.CreateBitCast(p, i), exponent), f);
  auto* large = b_.CreateFCmp(P::FCMP_UGE, x, real(x, 128));  // or NaN
  auto* infinity = b_.CreateFAdd(x, real(x, std::numeric_limits<double>::infinity()));
  auto* small = b_.CreateFCmp(P::FCMP_OLT, x, real(x, -126));
  return b_.CreateSelect(large, infinity, b_.CreateSelect(small, real(x, 0), scaled));
}

// log2(x) = e + log2(1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), so that the result is accurate near x = 1.
Value* Emitter::log2(Value* x) {
  auto* bits = b_.CreateBitCast(x, ints(32, x));
  constexpr uint64_t kSqrtHalf = 0x3f3504f3;
  auto* e = b_.CreateAShr(b_.CreateSub(bits, integer(bits, kSqrtHalf)), 23);
  auto* m = b_.CreateBitCast(b_.CreateSub(bits, b_.CreateShl(e, 23)), x->getType());
  auto* f = b_.CreateFSub(m, real(x, 1));
  // log2(1 + f) / f - log2(e), 0.07 * 2^-24 of the whole; log2(e) is added in two parts to keep its rounding
  // out.
  constexpr double kLog2E = std::numbers::log2e;
  constexpr double kHigh = static_cast<float>(kLog2E);
  auto* q =
      polynomial(f, {1.44269504083 - kHigh, -0.721347351511, 0.480898241234, -0.360696648691, 0.288567399167,
                     -0.239617410245, 0.204600774118, -0.191062865988, 0.186174145052, -0.109948332895});
  auto* result = fma(f, real(x, kHigh), fma(f, q, b_.CreateSIToFP(e, x->getType())));

  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  auto* tiny = b_.CreateFCmp(P::FCMP_OLT, x, real(x, 0x1p-126));
  auto* negative = b_.CreateFCmp(P::FCMP_OLE, x, real(x, -0x1p-126));
  auto* nan_or_infinity = b_.CreateFCmp(P::FCMP_UEQ, x, real(x, kInfinity));
  auto* low =
      b_.CreateSelect(negative, real(x, std::numeric_limits<double>::quiet_NaN()), real(x, -kInfinity));
  return b_.CreateSelect(nan_or_infinity, x, b_.CreateSelect(tiny, low, result));
}

// An odd polynomial near zero, 1 - 2 / (e^2|x| + 1) with the sign of x elsewhere.
Value* Emitter::tanh(Value* x) {
  auto* magnitude = call(llvm::Intrinsic::fabs, {x->getType()}, {x});
  auto* square = b_.CreateFMul(x, x);
  auto* p = polynomial(square, {-0.333332839249, 0.133314912744, -0.0537434970787, 0.0206505842675,
                                -0.00571704190469});  // 0.07 * 2^-24 below 0.625
  auto* near_zero = fma(b_.CreateFMul(magnitude, square), p, magnitude);
  auto* e = exp2(b_.CreateFMul(magnitude, real(x, 2 * std::numbers::log2e)));
  auto* far = b_.CreateFSub(real(x, 1), b_.CreateFDiv(real(x, 2), b_.CreateFAdd(e, real(x, 1))));
  auto* result = b_.CreateSelect(b_.CreateFCmp(P::FCMP_OLT, magnitude, real(x, 0.625)), near_zero, far);
  return call(llvm::Intrinsic::copysign, {x->getType()}, {result, x});
}

// r = x - n * pi/2 with pi/2 in three parts (Cody and Waite): the first difference is exact for n < 2^22.
Value* Emitter::sin_or_cos(Value* x, bool cosine) {
  auto* shifted = fma(x, real(x, 2 / std::numbers::pi), real(x, kRoundMagic));
  auto* n = b_.CreateFSub(real(x, kRoundMagic), shifted);  // negative
  auto* r = fma(n, real(x, 1.5707963705062866211), x);
  r = fma(n, real(x, -4.3711388286737928865e-8), r);
  r = fma(n, real(x, -1.7151245100058818728e-15), r);
  auto* quadrant = b_.CreateBitCast(shifted, ints(32, x));
  if (cosine) quadrant = b_.CreateAdd(quadrant, integer(quadrant, 1));  // cos(x) = sin(x + pi/2)

  auto* u = b_.CreateFMul(r, r);
  auto* sine =
      fma(b_.CreateFMul(r, u), polynomial(u, {-0.166666545899, 0.00833215504832, -0.000195140845362}), r);
  auto* half = fma(u, real(x, -0.5), real(x, 1));
  auto* c =
      fma(b_.CreateFMul(u, u), polynomial(u, {0.0416666462688, -0.00138873370876, 2.44348464477e-5}), half);
  auto* odd = b_.CreateICmpNE(b_.CreateAnd(quadrant, integer(quadrant, 1)), integer(quadrant, 0));
  auto* value = b_.CreateBitCast(b_.CreateSelect(odd, c, sine), quadrant->getType());
  auto* sign = b_.CreateShl(b_.CreateAnd(quadrant, integer(quadrant, 2)), 30);
  return b_.CreateBitCast(b_.CreateXor(value, sign), x->getType());
}

}  // namespace rose::codegen::x86
