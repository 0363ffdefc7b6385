// Definition before use along structured control flow, single assignment, and where jumps may stand.
#include <fmt/format.h>

#include <optional>

#include "ir/verifier.h"

namespace rose::ir::verifier {
namespace {

// The registers that surely hold a value at one point; nothing at a point that no thread reaches.
using State = std::optional<std::vector<bool>>;

State meet(const State& a, const State& b) {
  if (!a) return b;
  if (!b) return a;
  State both = a;
  for (size_t r = 0; r < both->size(); ++r) (*both)[r] = (*both)[r] && (*b)[r];
  return both;
}

class Definitions {
 public:
  explicit Definitions(const Kernel& kernel) : kernel_(kernel), written_(kernel.registers.size()) {
    state_.emplace(kernel.registers.size());
  }

  void block(const Block& block) {
    for (const auto& statement : block) {
      switch (statement.kind) {
        case Statement::Kind::kInstruction:
          instruction(statement.instruction);
          break;
        case Statement::Kind::kIf:
          branch(*statement.branch, statement.where);
          break;
        case Statement::Kind::kLoop:
          loop(*statement.loop, statement.where);
          break;
        case Statement::Kind::kBreak:
        case Statement::Kind::kContinue:
          jump(statement);
          break;
        case Statement::Kind::kReturn:
          state_.reset();
          break;
      }
    }
  }

 private:
  struct Jumps {
    State breaks, continues;  // the meet of the states at all jumps so far
  };

  void read(Reg reg, const std::string& reader, const SourceLine& where) const {
    if (reg >= kernel_.registers.size())
      throw IrError(
          fmt::format("{} names r{}, but the kernel has {} registers", reader, reg, kernel_.registers.size()),
          where);
    if (state_ && !(*state_)[reg])
      throw IrError(
          fmt::format("{} reads r{} ({}), which has no value on some way to here; give it one before the "
                      "branch or loop",
                      reader, reg, to_string(kernel_.registers[reg].type)),
          where);
  }

  void instruction(const Instruction& i) {
    const std::string name = "'" + i.row->name + "'";
    for (const Operand& o : i.operands)
      if (!o.is_constant()) read(o.reg, name, i.where);
    if (i.guard.reg != kNoReg) read(i.guard.reg, name, i.where);
    // An accumulator's first product may overwrite instead of add, so reading it is no rule here.
    for (size_t n = 0; n < i.results.size(); ++n) {
      const Reg reg = i.results[n];
      const bool is_mutable = kernel_.registers[reg].mutable_;
      if (!is_mutable && written_[reg])
        throw IrError(fmt::format("{} assigns r{} a second time; only variables (Var) may change", name, reg),
                      i.where);
      if (is_mutable && !i.row->effects.inout)
        for (size_t m = 0; m < n; ++m)
          if (i.results[m] == reg)
            throw IrError(fmt::format("{} writes r{} as results {} and {}", name, reg, m, n), i.where);
      written_[reg] = true;
      if (state_) (*state_)[reg] = true;
    }
  }

  void condition(const Operand& operand, const char* what, const SourceLine& where) const {
    if (operand.type != pred)
      throw IrError(
          fmt::format("{} has a {} as its condition; it must be a pred", what, to_string(operand.type)),
          where);
    if (!operand.is_constant()) read(operand.reg, what, where);
  }

  void branch(const If& branch, const SourceLine& where) {
    condition(branch.condition, "IF", where);
    const State before = state_;
    block(branch.then);
    State after_then = std::move(state_);
    state_ = before;
    block(branch.otherwise);
    if (branch.condition.is_constant()) {  // one side alone is printed
      if (branch.condition.bits) state_ = std::move(after_then);
      return;
    }
    state_ = meet(after_then, state_);
  }

  void loop(const Loop& loop, const SourceLine& where) {
    jumps_.push_back({});
    block(loop.test);
    condition(loop.condition, "a loop", where);
    const bool endless = loop.condition.is_constant() && loop.condition.bits;
    const State after_test = state_;
    block(loop.body);
    state_ = meet(state_, jumps_.back().continues);
    block(loop.step);
    const State after_turn = std::move(state_);
    State left = loop.entered ? after_turn : after_test;
    if (endless) left.reset();
    state_ = meet(left, jumps_.back().breaks);
    jumps_.pop_back();
  }

  void jump(const Statement& statement) {
    const bool leaves = statement.kind == Statement::Kind::kBreak;
    if (jumps_.empty())
      throw IrError(fmt::format("{} stands outside every loop", leaves ? "BREAK" : "CONTINUE"),
                    statement.where);
    State& states = leaves ? jumps_.back().breaks : jumps_.back().continues;
    states = meet(states, state_);
    state_.reset();
  }

  const Kernel& kernel_;
  State state_;
  std::vector<bool> written_;
  std::vector<Jumps> jumps_;
};

}  // namespace

void check_definitions(const Kernel& kernel) { Definitions(kernel).block(kernel.body); }

}  // namespace rose::ir::verifier
