#include "ir/walk.h"

namespace rose::ir {

void walk(Block& block, const std::function<void(Statement&)>& visit) {
  for (Statement& s : block) {
    visit(s);
    if (s.branch) walk(s.branch->then, visit), walk(s.branch->otherwise, visit);
    if (s.loop) walk(s.loop->test, visit), walk(s.loop->body, visit), walk(s.loop->step, visit);
  }
}

void walk(const Block& block, const std::function<void(const Statement&)>& visit) {
  walk(const_cast<Block&>(block), [&](Statement& s) { visit(s); });
}

bool is_pure(const Instruction& i) { return !i.row->effects.any() && i.row->semantic != Semantic::kTrap; }

void for_each_read(Statement& s, const std::function<void(Operand&)>& operand,
                   const std::function<void(Reg)>& other) {
  if (s.kind == Statement::Kind::kInstruction) {
    for (Operand& o : s.instruction.operands) operand(o);
    if (s.instruction.guard.reg != kNoReg) other(s.instruction.guard.reg);
    if (s.instruction.row->effects.inout)
      for (Reg r : s.instruction.results) other(r);
  }
  if (s.branch) operand(s.branch->condition);
  if (s.loop) operand(s.loop->condition);
}

}  // namespace rose::ir
