#include "interpreter.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace rose::ir::test {
namespace {

using enum Semantic;

uint64_t mask(Type type) { return type.bits() >= 64 ? ~uint64_t{0} : (uint64_t{1} << type.bits()) - 1; }
int64_t extended(uint64_t bits, Type type) { return constant_int({kNoReg, type, bits & mask(type)}); }
float real(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
uint64_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }

template <class T>
bool holds(Comparison c, T a, T b) {
  switch (c) {
    case Comparison::kEq:
      return a == b;
    case Comparison::kNe:
      return a < b || a > b;  // false for NaN, as in PTX
    case Comparison::kLt:
      return a < b;
    case Comparison::kLe:
      return a <= b;
    case Comparison::kGt:
      return a > b;
    case Comparison::kGe:
      return a >= b;
  }
  return false;
}

bool less(uint64_t a, uint64_t b, Type type) {
  return type.is_signed() ? extended(a, type) < extended(b, type) : a < b;
}

enum class Leave { kNo, kBreak, kContinue, kReturn };

class Machine {
 public:
  Machine(const Kernel& kernel, std::span<const uint64_t> arguments, int64_t most_steps)
      : kernel_(kernel),
        arguments_(arguments),
        registers_(kernel.registers.size(), 0xdeadbeefdeadbeef),
        steps_(most_steps) {}

  Leave run(const Block& block) {
    for (const Statement& s : block) {
      if (steps_-- == 0) throw std::logic_error("too many steps");
      Leave leave = Leave::kNo;
      switch (s.kind) {
        case Statement::Kind::kInstruction:
          step(s.instruction);
          break;
        case Statement::Kind::kIf:
          leave = run(value(s.branch->condition) & 1 ? s.branch->then : s.branch->otherwise);
          break;
        case Statement::Kind::kLoop:
          leave = loop(*s.loop);
          break;
        case Statement::Kind::kBreak:
          leave = Leave::kBreak;
          break;
        case Statement::Kind::kContinue:
          leave = Leave::kContinue;
          break;
        case Statement::Kind::kReturn:
          leave = Leave::kReturn;
          break;
      }
      if (leave != Leave::kNo) return leave;
    }
    return Leave::kNo;
  }

 private:
  Leave loop(const Loop& l) {
    while (true) {
      run(l.test);
      if (!(value(l.condition) & 1)) return Leave::kNo;
      Leave leave = run(l.body);
      if (leave == Leave::kBreak) return Leave::kNo;
      if (leave == Leave::kReturn) return leave;
      run(l.step);
    }
  }

  uint64_t value(const Operand& o) const { return o.is_constant() ? o.bits : registers_[o.reg]; }

  void step(const Instruction& i) {
    if (i.guard.reg != kNoReg && (registers_[i.guard.reg] & 1) == i.guard.negated) return;
    if (i.row->semantic == kStore) {
      uint64_t stored = value(i.operands[1]);
      std::memcpy(reinterpret_cast<char*>(value(i.operands[0])) + i.attributes[0], &stored,
                  static_cast<size_t>(i.operands[1].type.bits() / 8));
      return;
    }
    Type type = kernel_.registers[i.results.at(0)].type;
    registers_[i.results[0]] = (i.row->semantic == kLoad ? loaded(i, type) : result(i, type)) & mask(type);
  }

  uint64_t loaded(const Instruction& i, Type type) const {
    uint64_t bits = 0;
    std::memcpy(&bits, reinterpret_cast<char*>(value(i.operands[0])) + i.attributes[0],
                static_cast<size_t>(type.bits() / 8));
    return bits;
  }

  uint64_t result(const Instruction& i, Type type) const {
    auto in = [&](size_t k) { return value(i.operands.at(k)) & mask(i.operands[k].type); };
    auto sx = [&](size_t k) { return extended(in(k), i.operands.at(k).type); };
    Type from = i.operands.empty() ? Type{} : i.operands[0].type;
    bool floats = from == f32;
    switch (i.row->semantic) {
      case kParameter:
        return arguments_[static_cast<size_t>(i.attributes[0])];
      case kMove:
      case kBitcast:
        return in(0);
      case kAdd:
        return floats ? bits_of(real(in(0)) + real(in(1))) : in(0) + in(1);
      case kSub:
        return floats ? bits_of(real(in(0)) - real(in(1))) : in(0) - in(1);
      case kMul:
        return floats ? bits_of(real(in(0)) * real(in(1))) : in(0) * in(1);
      case kMulWide:
        return static_cast<uint64_t>(sx(0)) * static_cast<uint64_t>(sx(1));
      case kFma:
        if (!floats) return in(0) * in(1) + in(2);
        break;
      case kDiv:
        if (floats) break;
        return type.is_signed() ? static_cast<uint64_t>(sx(0) / sx(1)) : in(0) / in(1);
      case kRem:
        return type.is_signed() ? static_cast<uint64_t>(sx(0) % sx(1)) : in(0) % in(1);
      case kMin:
        if (floats) break;
        return less(in(1), in(0), type) ? in(1) : in(0);
      case kMax:
        if (floats) break;
        return less(in(0), in(1), type) ? in(1) : in(0);
      case kNeg:
        return floats ? in(0) ^ 0x80000000u : ~in(0) + 1;
      case kAbs:
        return floats ? in(0) & 0x7fffffffu : sx(0) < 0 ? ~in(0) + 1 : in(0);
      case kNot:
        return ~in(0);
      case kAnd:
        return in(0) & in(1);
      case kOr:
        return in(0) | in(1);
      case kXor:
        return in(0) ^ in(1);
      case kShl:
        return in(1) >= static_cast<uint64_t>(type.bits()) ? 0 : in(0) << in(1);
      case kShr:
        if (type.is_signed()) return static_cast<uint64_t>(sx(0) >> std::min<uint64_t>(in(1), 63));
        return in(1) >= static_cast<uint64_t>(type.bits()) ? 0 : in(0) >> in(1);
      case kCompare: {
        auto c = static_cast<Comparison>(i.attributes[0]);
        if (floats) return holds(c, real(in(0)), real(in(1)));
        return from.is_signed() ? holds(c, sx(0), sx(1)) : holds(c, in(0), in(1));
      }
      case kSelect:
        return in(2) & 1 ? in(0) : in(1);
      case kConvert:
        if (from.is_integer() && type.is_integer()) return static_cast<uint64_t>(sx(0));
        if (from == s32 && type == f32) return bits_of(static_cast<float>(sx(0)));
        break;
      default:
        break;
    }
    throw std::logic_error("not interpreted: " + to_string(i, kernel_));
  }

  const Kernel& kernel_;
  std::span<const uint64_t> arguments_;
  std::vector<uint64_t> registers_;
  int64_t steps_;
};

}  // namespace

void interpret(const Kernel& kernel, std::span<const uint64_t> arguments, int64_t most_steps) {
  Machine(kernel, arguments, most_steps).run(kernel.body);
}

}  // namespace rose::ir::test
