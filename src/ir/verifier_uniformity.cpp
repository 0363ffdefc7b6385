// Convergence: operations that threads execute together must not stand where those threads may have parted.
#include <fmt/format.h>

#include "ir/agreement.h"
#include "ir/verifier.h"

namespace rose::ir::verifier {
namespace {

const char* group_name(Convergence convergence) {
  switch (convergence) {
    case Convergence::kThread:
      return "one thread";
    case Convergence::kWarp:
      return "all 32 threads of a warp";
    case Convergence::kWarpgroup:
      return "all 128 threads of a warpgroup";
    case Convergence::kBlock:
      return "all threads of the block";
    case Convergence::kCluster:
      return "all threads of the cluster";
  }
  return "";
}

Agreement needed(Convergence convergence) {
  switch (convergence) {
    case Convergence::kThread:
      return Agreement::kThread;
    case Convergence::kWarp:
      return Agreement::kWarp;
    case Convergence::kWarpgroup:
      return Agreement::kWarpgroup;
    case Convergence::kBlock:
      return Agreement::kBlock;
    case Convergence::kCluster:
      return Agreement::kBlock;
  }
  return Agreement::kBlock;
}

const char* parted(Agreement agreement) {
  switch (agreement) {
    case Agreement::kBlock:
      return "no threads of the block";
    case Agreement::kWarpgroup:
      return "two warpgroups";
    case Agreement::kWarp:
      return "two warps";
    case Agreement::kThread:
      return "two threads of one warp";
  }
  return "";
}

// Why threads may have parted at a point, and how far apart they are.
struct Control {
  Agreement agreement = Agreement::kBlock;
  std::string why;

  void weaken(Agreement other, const std::string& reason) {
    if (other > agreement) agreement = other, why = reason;
  }
};

class Convergences {
 public:
  explicit Convergences(const Kernel& kernel) : kernel_(kernel), agreements_(kernel) {}

  void run() { block(kernel_.body, {}); }

 private:
  static std::string at(const char* what, const SourceLine& where) {
    const std::string line = where.to_string();
    return line.empty() ? what : fmt::format("{} at {}", what, line);
  }

  // Threads that took a BREAK, CONTINUE or RETURN are missing from what follows in the same block; returns
  // what is then known there.
  void block(const Block& statements, Control control) {
    for (const auto& statement : statements) {
      switch (statement.kind) {
        case Statement::Kind::kInstruction: {
          Control here = control;
          here.weaken(returned_.agreement, returned_.why);
          here.weaken(continued_.agreement, continued_.why);
          instruction(statement.instruction, here);
          break;
        }
        case Statement::Kind::kIf: {
          const If& branch = *statement.branch;
          Control inner = control;
          const bool role = !branch.role.name.empty();
          inner.weaken(agreements_.of_condition(branch),
                       role ? fmt::format("role '{}'", branch.role.name) : at("the IF", statement.where));
          roles_ += role;
          block(branch.then, inner);
          roles_ -= role;
          block(branch.otherwise, inner);
          break;
        }
        case Statement::Kind::kLoop:
          loop(*statement.loop, control, statement.where);
          break;
        case Statement::Kind::kContinue:
          continued_.weaken(control.agreement, at("the CONTINUE", statement.where));
          break;
        case Statement::Kind::kReturn:
          returned_.weaken(control.agreement, at("the RETURN", statement.where));
          break;
        case Statement::Kind::kBreak:
          break;  // part of the loop's agreement
      }
    }
  }

  void loop(const Loop& loop, const Control& control, const SourceLine& where) {
    Control inner = control;
    inner.weaken(agreements_.of(loop.condition), at("the loop", where));
    inner.weaken(break_agreement(loop), at("a BREAK out of the loop", where));
    const Control outer = continued_;
    block(loop.test, inner);
    block(loop.body, inner);
    continued_ = outer;  // all meet again at the step
    block(loop.step, inner);
  }

  // The weakest control, inside the loop, under which it is left.
  Agreement break_agreement(const Loop& loop) const { return leaves(loop.body, Agreement::kBlock); }
  Agreement leaves(const Block& statements, Agreement control) const {
    Agreement weakest = Agreement::kBlock;
    for (const auto& statement : statements) {
      if (statement.kind == Statement::Kind::kBreak) weakest = weaker(weakest, control);
      if (!statement.branch) continue;  // an inner loop keeps its own BREAKs
      const Agreement inner = weaker(control, agreements_.of_condition(*statement.branch));
      weakest = weaker(weakest, leaves(statement.branch->then, inner));
      weakest = weaker(weakest, leaves(statement.branch->otherwise, inner));
    }
    return weakest;
  }

  // Warp exchanges may leave lanes out by their mask.
  static bool has_own_mask(const Instruction& i) {
    for (const char* family : {"bar.warp.sync", "shfl.", "vote.", "match.", "redux.", "elect.sync"}) {
      if (!i.row->name.starts_with(family) || i.operands.empty()) continue;
      const Operand& mask = i.operands.back();
      return !mask.is_constant() || static_cast<uint32_t>(mask.bits) != 0xffffffffu;
    }
    return false;
  }

  void instruction(const Instruction& i, Control control) const {
    const Row& row = *i.row;
    if (row.convergence == Convergence::kThread) return;
    if (i.guard.reg != kNoReg) control.weaken(agreements_.of(i.guard.reg), at("the guard", i.where));
    const int threads = total_threads(kernel_);
    if (row.convergence == Convergence::kWarpgroup && threads % 128 != 0)
      throw IrError(
          fmt::format("'{}' is executed by a warpgroup, 4 warps = 128 threads, but the block has {} threads",
                      row.name, threads),
          i.where);
    if (row.convergence == Convergence::kWarp && has_own_mask(i)) return;
    Agreement need = needed(row.convergence);
    // In roles, check_roles has counted who comes; what remains is that a warp comes as a whole.
    if (row.convergence == Convergence::kCluster && roles_ > 0) need = Agreement::kWarp;
    if (control.agreement <= need) return;
    throw IrError(fmt::format("'{}' must be executed by {} together, but {} lets {} go different ways",
                              row.name, group_name(row.convergence), control.why, parted(control.agreement)),
                  i.where);
  }

  const Kernel& kernel_;
  const Agreements agreements_;
  Control returned_, continued_;
  int roles_ = 0;  // how many roles enclose this point
};

}  // namespace

void check_uniformity(const Kernel& kernel) { Convergences(kernel).run(); }

}  // namespace rose::ir::verifier
