#include "ir/passes.h"
#include "ir/walk.h"

namespace rose::ir {
namespace {

bool removable(const Instruction& i) {
  const Effects& e = i.row->effects;
  return !e.writes && !e.sync && !e.inout && i.row->semantic != Semantic::kTrap && !i.results.empty();
}

bool sweep(Block& block, const std::vector<int>& reads) {
  bool changed = false;
  std::erase_if(block, [&](const Statement& s) {
    if (s.kind != Statement::Kind::kInstruction || !removable(s.instruction)) return false;
    for (Reg r : s.instruction.results)
      if (reads[r] > 0) return false;
    return changed = true;
  });
  for (Statement& s : block) {
    if (s.branch) changed |= sweep(s.branch->then, reads) | sweep(s.branch->otherwise, reads);
    if (s.loop)
      changed |= sweep(s.loop->test, reads) | sweep(s.loop->body, reads) | sweep(s.loop->step, reads);
  }
  return changed;
}

}  // namespace

void remove_dead_code(Kernel& kernel) {
  bool changed = true;
  while (changed) {
    std::vector<int> reads(kernel.registers.size(), 0);
    walk(kernel.body, [&](Statement& s) {
      for_each_read(
          s,
          [&](Operand& o) {
            if (!o.is_constant()) ++reads[o.reg];
          },
          [&](Reg r) { ++reads[r]; });
    });
    changed = sweep(kernel.body, reads);
  }
}

}  // namespace rose::ir
