// Warp specialisation: thread ranges, register budgets, and barriers that threads of one role wait at.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "ir/verifier.h"

namespace rose::ir::verifier {
namespace {

constexpr int kRegisters = 65536;  // of a multiprocessor, 32 bits each

std::string name_of(const Role& role) {
  return fmt::format("role '{}' (threads {} … {})", role.name, role.first_thread,
                     role.first_thread + role.threads - 1);
}

// Threads [first, first + threads) as a set of warps.
using Warps = std::set<int>;

class Roles {
 public:
  explicit Roles(const Kernel& kernel) : kernel_(kernel), total_(total_threads(kernel)) {}

  void run() {
    block(kernel_.body);
    check_budget();
    check_counts();
    check_cluster();
  }

 private:
  // A named barrier with a constant number, over the whole kernel.
  struct Barrier {
    Warps warps;        // that may reach it
    int64_t count = 0;  // the greatest count asked for
    SourceLine where;
  };

  void block(const Block& block_) {
    for (const auto& statement : block_) {
      if (statement.kind == Statement::Kind::kInstruction) instruction(statement.instruction);
      if (statement.branch) {
        const Role& role = statement.branch->role;
        if (role.name.empty()) {
          block(statement.branch->then);
        } else {
          check_range(role, statement.where);
          stack_.push_back(&role);
          block(statement.branch->then);
          stack_.pop_back();
        }
        block(statement.branch->otherwise);
      }
      if (statement.loop) {
        block(statement.loop->test);
        block(statement.loop->body);
        block(statement.loop->step);
      }
    }
  }

  void check_range(const Role& role, const SourceLine& where) {
    if (role.threads <= 0 || role.threads % 32 != 0 || role.first_thread < 0 || role.first_thread % 32 != 0)
      throw IrError(fmt::format("{}: {} threads from thread {} are not whole warps of 32", name_of(role),
                                role.threads, role.first_thread),
                    where);
    const int outer_first = stack_.empty() ? 0 : stack_.back()->first_thread;
    const int outer = stack_.empty() ? total_ : stack_.back()->threads;
    if (role.first_thread < outer_first || role.first_thread + role.threads > outer_first + outer)
      throw IrError(fmt::format("{}: {} + {} = {} passes the end of {} at thread {}", name_of(role),
                                role.first_thread, role.threads, role.first_thread + role.threads,
                                stack_.empty() ? "the block" : name_of(*stack_.back()), outer_first + outer),
                    where);
    if (role.registers == 0) return;
    if (role.registers % 8 != 0 || role.registers < 24 || role.registers > 256)
      throw IrError(fmt::format("{} asks for {} registers; setmaxnreg takes a multiple of 8 from 24 to 256",
                                name_of(role), role.registers),
                    where);
    if (role.threads % 128 != 0 || role.first_thread % 128 != 0)
      throw IrError(
          fmt::format("{} changes its registers, but {} threads from thread {} are not whole warpgroups of "
                      "128, and setmaxnreg is for a warpgroup as a whole",
                      name_of(role), role.threads, role.first_thread),
          where);
    if (kernel_.min_blocks < 1)
      throw IrError(
          fmt::format("{} changes its registers, but the kernel does not say how many blocks are resident; "
                      "set min_blocks to 1, or ptxas ignores setmaxnreg (C7508)",
                      name_of(role)),
          where);
    auto& most = budgets_[{role.first_thread, role.threads}];
    if (role.registers > most.registers) most = {&role, role.registers, where};
  }

  void check_budget() const {
    if (budgets_.empty()) return;
    std::string sum;
    int64_t registers = 0;
    std::vector<bool> warps(static_cast<size_t>((total_ + 31) / 32));
    SourceLine where;
    for (const auto& [range, budget] : budgets_) {
      registers += int64_t{range.second} * budget.registers;
      sum += fmt::format("{}'{}' {} threads x {}", sum.empty() ? "" : " + ", budget.role->name, range.second,
                         budget.registers);
      for (int w = range.first / 32; w < (range.first + range.second) / 32; ++w) {
        if (warps[w])
          throw IrError(fmt::format("{}: its threads {} … belong to another role that changes registers too",
                                    name_of(*budget.role), w * 32),
                        budget.where);
        warps[w] = true;
      }
      where = budget.where;
    }
    // The launch gives every thread an equal share in steps of 8; setmaxnreg.inc waits until others gave
    // theirs back.
    const int64_t share = std::min<int64_t>(256, kRegisters / kernel_.min_blocks / total_ / 8 * 8);
    const int64_t others = 32 * std::count(warps.begin(), warps.end(), false);
    if (others > 0) {
      registers += others * share;
      sum += fmt::format(" + other {} threads x {}", others, share);
    }
    if (registers > share * total_)
      throw IrError(
          fmt::format("the roles' registers do not fit: {} = {}, {} more than the {} threads x {} = {} that "
                      "the block gets of the multiprocessor's {}",
                      sum, registers, registers - share * total_, total_, share, share * total_, kRegisters),
          where);
  }

  Warps here() const {
    const int first = stack_.empty() ? 0 : stack_.back()->first_thread;
    const int threads = stack_.empty() ? total_ : stack_.back()->threads;
    Warps warps;
    for (int t = first; t < first + threads; t += 32) warps.insert(t / 32);
    return warps;
  }

  bool whole_block() const { return stack_.empty() || stack_.back()->threads == total_; }

  void instruction(const Instruction& i) {
    const std::string& name = i.row->name;
    if (i.row->convergence == Convergence::kBlock && !whole_block())
      throw IrError(
          fmt::format("'{}' waits for all {} threads of the block, but only the {} threads of {} come here: "
                      "it would wait for ever; use a named barrier, bar.sync.n, with the count {}",
                      name, total_, stack_.back()->threads, name_of(*stack_.back()), stack_.back()->threads),
          i.where);
    if (i.row->convergence == Convergence::kCluster) cluster(i);
    if (name.starts_with("bar.") || name.starts_with("barrier.")) named(i);
    if (name.starts_with("setmaxnreg.") && kernel_.min_blocks < 1)
      throw IrError(
          "'" + name + "' is ignored by ptxas (C7508) unless the kernel sets min_blocks; set it to 1",
          i.where);
  }

  // bar.sync.n, bar.arrive, bar.red.*.n and their unaligned twins: operands are the number, then the count.
  void named(const Instruction& i) {
    const std::string& name = i.row->name;
    if (!name.ends_with(".n") && !name.ends_with(".arrive")) return;
    const Operand& number = i.operands[0];
    const Operand& count = i.operands[1];
    if (number.is_constant() && (constant_int(number) < 0 || constant_int(number) > 15))
      throw IrError(
          fmt::format("'{}' names barrier {}; a block has the barriers 0 to 15", name, constant_int(number)),
          i.where);
    if (!count.is_constant()) return;
    const int64_t threads = constant_int(count);
    if (threads <= 0 || threads % 32 != 0 || threads > total_)
      throw IrError(fmt::format("'{}' counts {} threads; use a multiple of 32 up to the {} of the block",
                                name, threads, total_),
                    i.where);
    if (!number.is_constant()) return;
    const int64_t id = constant_int(number);
    if (id == 0 && !whole_block())
      throw IrError(
          fmt::format("'{}' in {} uses barrier 0, which is the barrier of the whole block; use 1 to 15", name,
                      name_of(*stack_.back())),
          i.where);
    Barrier& barrier = barriers_[id];
    barrier.warps.merge(here());
    if (threads > barrier.count) barrier.count = threads, barrier.where = i.where;
  }

  void check_counts() const {
    for (const auto& [id, barrier] : barriers_) {
      const auto threads = static_cast<int64_t>(barrier.warps.size()) * 32;
      if (barrier.count > threads)
        throw IrError(
            fmt::format(
                "barrier {} waits for {} threads, but only {} threads ({} warps of the roles that use "
                "it) come to it: it would wait for ever",
                id, barrier.count, threads, barrier.warps.size()),
            barrier.where);
    }
  }

  // A cluster barrier waits for every thread; in roles, all roles together must bring them.
  void cluster(const Instruction& i) {
    auto& use = cluster_[i.row->name];
    use.warps.merge(here());
    use.where = i.where;
  }

  void check_cluster() const {
    for (const auto& [name, use] : cluster_) {
      const int threads = static_cast<int>(use.warps.size()) * 32;
      if (threads < total_)
        throw IrError(
            fmt::format(
                "'{}' waits for all {} threads of each block of the cluster, but only {} threads of the "
                "block come to one: it would wait for ever",
                name, total_, threads),
            use.where);
    }
  }

  struct Budget {
    const Role* role = nullptr;
    int registers = 0;
    SourceLine where;
  };

  const Kernel& kernel_;
  const int total_;
  std::vector<const Role*> stack_;
  std::map<std::pair<int, int>, Budget> budgets_;
  std::map<int64_t, Barrier> barriers_;
  std::map<std::string, Barrier> cluster_;
};

}  // namespace

void check_roles(const Kernel& kernel) { Roles(kernel).run(); }

}  // namespace rose::ir::verifier
