#include <optional>

#include "ir/passes.h"
#include "ir/walk.h"

namespace rose::ir {
namespace {

uint64_t mask_of(int bits) { return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

Operand integer(Type type, uint64_t bits) { return {kNoReg, type, bits & mask_of(type.scalar_bits())}; }

bool compare(Comparison c, const Operand& a, const Operand& b) {
  auto apply = [c](auto x, auto y) {
    switch (c) {
      case Comparison::kEq:
        return x == y;
      case Comparison::kNe:
        return x != y;
      case Comparison::kLt:
        return x < y;
      case Comparison::kLe:
        return x <= y;
      case Comparison::kGt:
        return x > y;
      case Comparison::kGe:
        return x >= y;
    }
    return false;
  };
  if (a.type.is_signed()) return apply(constant_int(a), constant_int(b));
  return apply(a.bits, b.bits);
}

// The value of an integer operation on constants, in the ring of the type's width.
std::optional<Operand> compute(const Instruction& i, Type result) {
  const auto& o = i.operands;
  for (const Operand& operand : o)
    if (!operand.is_constant() || !(operand.type.is_integer() || operand.type.is_pred())) return {};
  if (o.empty() || !(result.is_integer() || result.is_pred())) return {};
  int bits = result.scalar_bits();
  auto sx = [&](size_t k) { return constant_int(o[k]); };
  switch (i.row->semantic) {
    case Semantic::kAdd:
      return integer(result, o[0].bits + o[1].bits);
    case Semantic::kSub:
      return integer(result, o[0].bits - o[1].bits);
    case Semantic::kMul:
      return integer(result, o[0].bits * o[1].bits);
    case Semantic::kMulWide:
      return integer(result, static_cast<uint64_t>(sx(0)) * static_cast<uint64_t>(sx(1)));
    case Semantic::kFma:
      return integer(result, o[0].bits * o[1].bits + o[2].bits);
    case Semantic::kAnd:
      return integer(result, o[0].bits & o[1].bits);
    case Semantic::kOr:
      return integer(result, o[0].bits | o[1].bits);
    case Semantic::kXor:
      return integer(result, o[0].bits ^ o[1].bits);
    case Semantic::kNot:
      return integer(result, ~o[0].bits);
    case Semantic::kNeg:
      return integer(result, ~o[0].bits + 1);
    case Semantic::kShl:
      return integer(result, o[1].bits >= static_cast<uint64_t>(bits) ? 0 : o[0].bits << o[1].bits);
    case Semantic::kShr: {
      auto count = std::min<uint64_t>(o[1].bits, 63);
      if (result.is_signed()) return integer(result, static_cast<uint64_t>(sx(0) >> count));
      return integer(result, o[1].bits >= static_cast<uint64_t>(bits) ? 0 : o[0].bits >> count);
    }
    case Semantic::kDiv:
    case Semantic::kRem: {
      if (o[1].bits == 0 || (result.is_signed() && sx(1) == -1)) return {};  // left to run time
      bool div = i.row->semantic == Semantic::kDiv;
      if (result.is_signed())
        return integer(result, static_cast<uint64_t>(div ? sx(0) / sx(1) : sx(0) % sx(1)));
      return integer(result, div ? o[0].bits / o[1].bits : o[0].bits % o[1].bits);
    }
    case Semantic::kMin:
      return compare(Comparison::kLt, o[0], o[1]) ? o[0] : o[1];
    case Semantic::kMax:
      return compare(Comparison::kLt, o[0], o[1]) ? o[1] : o[0];
    case Semantic::kCompare:
      return integer(result, compare(static_cast<Comparison>(i.attributes[0]), o[0], o[1]));
    case Semantic::kConvert:
      return integer(result, static_cast<uint64_t>(sx(0)));
    default:
      return {};
  }
}

bool is_value(const Operand& o, int64_t value) {
  return o.is_constant() && o.type.is_integer() && constant_int(o) == value;
}

class Folder {
 public:
  explicit Folder(Kernel& kernel)
      : kernel_(kernel), replacement_(kernel.registers.size()), definition_(kernel.registers.size()) {}

  void run() {
    walk(kernel_.body, [&](Statement& s) {
      for_each_read(s, [&](Operand& o) { o = resolve(o); }, [](Reg) {});
      if (s.kind == Statement::Kind::kInstruction) visit(s.instruction);
    });
  }

 private:
  Operand resolve(const Operand& o) const {
    if (o.is_constant() || !replacement_[o.reg]) return o;
    return *replacement_[o.reg];
  }

  bool mutable_reg(Reg reg) const { return kernel_.registers[reg].mutable_; }

  void replace(Reg reg, const Operand& with) { replacement_[reg] = with; }

  void visit(Instruction& i) {
    if (i.guard.reg != kNoReg || i.row->effects.sync) return;
    fold_address(i);
    if (i.results.size() != 1 || !is_pure(i) || i.row->minimum_version(kernel_.target) == 0) return;
    Reg result = i.results[0];
    if (mutable_reg(result)) return;
    Type type = kernel_.registers[result].type;

    if (auto value = compute(i, type); value && type.lanes == 1 && !type.is_pred())
      return replace(result, *value);
    if (auto same = identity(i)) return replace(result, *same);
    join_additions(i, type);
    definition_[result] = i;
  }

  // The operand that the instruction merely passes on.
  std::optional<Operand> identity(const Instruction& i) const {
    const auto& o = i.operands;
    auto immutable = [&](const Operand& x) { return x.is_constant() || !mutable_reg(x.reg); };
    switch (i.row->semantic) {
      case Semantic::kMove:
        if (immutable(o[0]) && !(o[0].is_constant() && o[0].type.is_pred())) return o[0];
        break;
      case Semantic::kAdd:
      case Semantic::kOr:
      case Semantic::kXor:
        if (is_value(o[1], 0) && immutable(o[0])) return o[0];
        if (is_value(o[0], 0) && immutable(o[1])) return o[1];
        break;
      case Semantic::kSub:
      case Semantic::kShl:
      case Semantic::kShr:
        if (is_value(o[1], 0) && immutable(o[0])) return o[0];
        break;
      case Semantic::kMul:
      case Semantic::kDiv:
        if (is_value(o[1], 1) && immutable(o[0])) return o[0];
        if (i.row->semantic == Semantic::kMul && is_value(o[0], 1) && immutable(o[1])) return o[1];
        if (i.row->semantic == Semantic::kMul && is_value(o[1], 0)) return o[1];
        break;
      case Semantic::kBitcast:
        if (o[0].is_constant() && o[0].type.lanes == 1 && i.type.lanes == 1 && i.type.is_integer() &&
            o[0].type.bits() == i.type.bits())
          return Operand{kNoReg, i.type, o[0].bits};
        break;
      case Semantic::kSelect:
        if (o[2].is_constant() && o[2].type.lanes == 1) {
          const Operand& x = o[2].bits ? o[0] : o[1];
          if (immutable(x)) return x;
        }
        break;
      default:
        break;
    }
    return {};
  }

  const Instruction* defined_by(const Operand& o, Semantic semantic) const {
    if (o.is_constant() || mutable_reg(o.reg) || !definition_[o.reg] ||
        definition_[o.reg]->row->semantic != semantic)
      return nullptr;
    return &*definition_[o.reg];
  }

  // (x + a) + b -> x + (a + b): integers alone, where the ring makes it exact.
  void join_additions(Instruction& i, Type type) {
    if (i.row->semantic != Semantic::kAdd || !type.is_integer()) return;
    if (i.operands[0].is_constant()) std::swap(i.operands[0], i.operands[1]);
    const Instruction* inner = defined_by(i.operands[0], Semantic::kAdd);
    if (!i.operands[1].is_constant() || !inner || !inner->operands[1].is_constant()) return;
    if (!inner->operands[0].is_constant() && mutable_reg(inner->operands[0].reg)) return;
    i.operands[1] = integer(type, i.operands[1].bits + inner->operands[1].bits);
    i.operands[0] = inner->operands[0];
  }

  // A load or store from x + constant: the constant moves into the instruction.
  void fold_address(Instruction& i) {
    bool access = (i.row->semantic == Semantic::kLoad || i.row->semantic == Semantic::kStore) &&
                  i.attributes.size() == 1;
    if (!access) return;
    const Instruction* add = defined_by(i.operands[0], Semantic::kAdd);
    if (!add || !add->operands[1].is_constant() || add->operands[0].is_constant() ||
        mutable_reg(add->operands[0].reg))
      return;
    int64_t part = static_cast<int64_t>(add->operands[1].bits);
    if (add->operands[1].type.bits() == 32) part = static_cast<int32_t>(part);
    constexpr int64_t kMost = int64_t{1} << 23;  // what an access instruction holds
    auto fits = [](int64_t offset) { return -kMost <= offset && offset < kMost; };
    if (!fits(part) || !fits(i.attributes[0] + part)) return;
    i.attributes[0] += part;
    i.operands[0] = add->operands[0];
  }

  Kernel& kernel_;
  std::vector<std::optional<Operand>> replacement_;
  std::vector<std::optional<Instruction>> definition_;
};

}  // namespace

void fold_constants(Kernel& kernel) { Folder(kernel).run(); }

}  // namespace rose::ir
