// Arithmetic, logic, comparison, selection and reductions: the same code for one lane and for many.
#include "codegen/x86/emitter.h"

namespace rose::codegen::x86 {

using enum ir::Semantic;
using llvm::Intrinsic::ID;

Value* Emitter::emit_arithmetic() {
  auto semantic = current_->row->semantic;
  auto type = in_type(0);
  auto* a = in(0);
  switch (semantic) {
    case kMove:
      return a;
    case kNot:
      return b_.CreateNot(a);
    case kNeg:
      if (type.is_integer()) return b_.CreateNeg(a);
      if (a->getType()->isIntOrIntVectorTy()) return b_.CreateXor(a, integer(a, 0x8000));  // f16, bf16
      return b_.CreateFNeg(a);
    case kAbs:
      if (type.is_integer()) return call(llvm::Intrinsic::abs, {a->getType()}, {a, b_.getFalse()});
      if (a->getType()->isIntOrIntVectorTy()) return b_.CreateAnd(a, integer(a, 0x7fff));
      return call(llvm::Intrinsic::fabs, {a->getType()}, {a});
    case kSqrt:
      return call(llvm::Intrinsic::sqrt, {a->getType()}, {a});
    case kRcp:
      return b_.CreateFDiv(real(a, 1), a);
    case kRsqrt:
      return b_.CreateFDiv(real(a, 1), call(llvm::Intrinsic::sqrt, {a->getType()}, {a}));
    case kFloor:
      return call(llvm::Intrinsic::floor, {a->getType()}, {a});
    case kRoundEven:
      return call(llvm::Intrinsic::roundeven, {a->getType()}, {a});
    case kCompare:
      return compare(static_cast<ir::Comparison>(attribute(0)), a, in(1), type);
    case kSelect:
      return b_.CreateSelect(in(2), a, in(1));
    case kShl:
    case kShr: {
      auto* count = in(1);
      return shift(semantic == kShl, a, lanes_of(count) == 1 ? splat(count, lanes_of(a)) : count,
                   type.is_signed());
    }
    case kMulWide: {
      auto* wide = ints(64, a);
      bool is_signed = type.is_signed();
      return b_.CreateMul(b_.CreateIntCast(a, wide, is_signed), b_.CreateIntCast(in(1), wide, is_signed));
    }
    case kFma:
      if (type.is_integer()) return b_.CreateAdd(b_.CreateMul(a, in(1)), in(2));
      return from_real(fma(to_real(a, type), to_real(in(1), type), to_real(in(2), type)), type);
    case kReduceAdd:
      return reduce(kAdd, a, type);
    case kReduceMax:
      return reduce(kMax, a, type);
    case kReduceMin:
      return reduce(kMin, a, type);
    default:
      return binary(semantic, a, in(1), type);
  }
}

Value* Emitter::binary(ir::Semantic semantic, Value* a, Value* b, ir::Type type) {
  if (a->getType() != b->getType()) fail("its operands differ in type or number of lanes");
  if (semantic == kAnd) return b_.CreateAnd(a, b);
  if (semantic == kOr) return b_.CreateOr(a, b);
  if (semantic == kXor) return b_.CreateXor(a, b);

  if (type.is_float()) {
    auto *x = to_real(a, type), *y = to_real(b, type);
    auto minmax = [&](ID id) { return call(id, {x->getType()}, {x, y}); };
    Value* result = nullptr;
    switch (semantic) {
      case kAdd:
        result = b_.CreateFAdd(x, y);
        break;
      case kSub:
        result = b_.CreateFSub(x, y);
        break;
      case kMul:
        result = b_.CreateFMul(x, y);
        break;
      case kDiv:
        result = b_.CreateFDiv(x, y);
        break;
      case kMin:
        result = minmax(llvm::Intrinsic::minnum);
        break;
      case kMax:
        result = minmax(llvm::Intrinsic::maxnum);
        break;
      default:
        fail("it is not defined for floating-point types");
    }
    return from_real(result, type);
  }

  if (!type.is_integer()) fail("it is not defined for this type");
  bool is_signed = type.is_signed();
  auto minmax = [&](ID signed_id, ID unsigned_id) {
    return call(is_signed ? signed_id : unsigned_id, {a->getType()}, {a, b});
  };
  switch (semantic) {
    case kAdd:
      return b_.CreateAdd(a, b);
    case kSub:
      return b_.CreateSub(a, b);
    case kMul:
      return b_.CreateMul(a, b);
    case kMulHigh: {
      int bits = type.scalar_bits();
      auto* wide = ints(2 * bits, a);
      auto* product =
          b_.CreateMul(b_.CreateIntCast(a, wide, is_signed), b_.CreateIntCast(b, wide, is_signed));
      return b_.CreateTrunc(b_.CreateLShr(product, integer(product, static_cast<uint64_t>(bits))),
                            a->getType());
    }
    case kDiv:
    case kRem:
      return integer_divide(semantic == kRem, a, b, is_signed);
    case kMin:
      return minmax(llvm::Intrinsic::smin, llvm::Intrinsic::umin);
    case kMax:
      return minmax(llvm::Intrinsic::smax, llvm::Intrinsic::umax);
    default:
      fail("it is not defined for integers");
  }
}

// The processor traps on x / 0 and on the lowest number / -1; both are given a divisor of one instead, and
// the second its true result.
Value* Emitter::integer_divide(bool remainder, Value* a, Value* b, bool is_signed) {
  auto *zero = integer(b, 0), *one = integer(b, 1);
  auto* bad = b_.CreateICmpEQ(b, zero);
  if (!is_signed) {
    auto* divisor = b_.CreateSelect(bad, one, b);
    return remainder ? b_.CreateURem(a, divisor) : b_.CreateUDiv(a, divisor);
  }
  auto* negative_one = b_.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(b->getType()));
  auto* divisor = b_.CreateSelect(b_.CreateOr(bad, negative_one), one, b);
  if (remainder) return b_.CreateSRem(a, divisor);
  return b_.CreateSelect(negative_one, b_.CreateNeg(a), b_.CreateSDiv(a, divisor));
}

// PTX clamps the count: too far to the left gives zero, too far to the right gives zero or the sign.
Value* Emitter::shift(bool left, Value* a, Value* count, bool is_signed) {
  auto bits = a->getType()->getScalarSizeInBits();
  auto* inside = b_.CreateICmpULT(count, integer(count, bits));
  if (!left && is_signed) {
    auto* clamped = b_.CreateSelect(inside, count, integer(count, bits - 1));
    return b_.CreateAShr(a, b_.CreateZExtOrTrunc(clamped, a->getType()));
  }
  auto* masked = b_.CreateZExtOrTrunc(b_.CreateAnd(count, integer(count, bits - 1)), a->getType());
  auto* shifted = left ? b_.CreateShl(a, masked) : b_.CreateLShr(a, masked);
  return b_.CreateSelect(inside, shifted, integer(a, 0));
}

Value* Emitter::compare(ir::Comparison comparison, Value* a, Value* b, ir::Type type) {
  if (a->getType() != b->getType()) fail("its operands differ in type or number of lanes");
  using P = llvm::CmpInst::Predicate;
  auto index = static_cast<size_t>(comparison);
  constexpr P kReal[] = {P::FCMP_OEQ, P::FCMP_UNE, P::FCMP_OLT, P::FCMP_OLE, P::FCMP_OGT, P::FCMP_OGE};
  constexpr P kSigned[] = {P::ICMP_EQ, P::ICMP_NE, P::ICMP_SLT, P::ICMP_SLE, P::ICMP_SGT, P::ICMP_SGE};
  constexpr P kUnsigned[] = {P::ICMP_EQ, P::ICMP_NE, P::ICMP_ULT, P::ICMP_ULE, P::ICMP_UGT, P::ICMP_UGE};
  if (index >= std::size(kReal)) fail("attribute 0 is no comparison");
  if (type.is_float()) return b_.CreateFCmp(kReal[index], to_real(a, type), to_real(b, type));
  return b_.CreateICmp(type.is_signed() ? kSigned[index] : kUnsigned[index], a, b);
}

// Lane i meets lane i + n/2 until one is left: a fixed order, whatever the machine. An odd lane joins at the
// end.
Value* Emitter::reduce(ir::Semantic semantic, Value* v, ir::Type type) {
  int n = type.lanes;
  if (n == 1) return v;
  int half = n / 2;
  Value* folded = reduce(semantic, binary(semantic, slice(v, 0, half), slice(v, half, half), type),
                         type.with_lanes(half));
  if (n % 2) folded = binary(semantic, folded, slice(v, n - 1, 1), type.element());
  return folded;
}

}  // namespace rose::codegen::x86
