#include <unordered_map>

#include "ir/passes.h"
#include "ir/walk.h"

namespace rose::ir {
namespace {

class Merger {
 public:
  explicit Merger(Kernel& kernel) : kernel_(kernel), replacement_(kernel.registers.size(), kNoReg) {}

  void block(Block& statements) {
    size_t mark = undo_.size();
    continue_block(statements);
    forget(mark);
  }

 private:
  // Values found so far stay known in the blocks inside, and are forgotten when the block ends.
  void continue_block(Block& statements) {
    for (Statement& s : statements) {
      for_each_read(
          s,
          [&](Operand& o) {
            if (!o.is_constant() && replacement_[o.reg] != kNoReg) o.reg = replacement_[o.reg];
          },
          [](Reg) {});
      if (s.kind == Statement::Kind::kInstruction) visit(s.instruction);
      if (s.branch) block(s.branch->then), block(s.branch->otherwise);
      if (s.loop) {
        size_t mark = undo_.size();
        continue_block(s.loop->test);  // what the test computes, the body may use
        if (!s.loop->condition.is_constant() && replacement_[s.loop->condition.reg] != kNoReg)
          s.loop->condition.reg = replacement_[s.loop->condition.reg];
        block(s.loop->body), block(s.loop->step);
        forget(mark);
      }
    }
  }

  void visit(Instruction& i) {
    if (i.guard.reg != kNoReg && replacement_[i.guard.reg] != kNoReg) i.guard.reg = replacement_[i.guard.reg];
    if (i.guard.reg != kNoReg || !is_pure(i) || i.results.empty()) return;
    for (Reg r : i.results)
      if (kernel_.registers[r].mutable_) return;
    for (const Operand& o : i.operands)
      if (!o.is_constant() && kernel_.registers[o.reg].mutable_) return;
    std::string key = key_of(i);
    auto [found, fresh] = known_.try_emplace(key, i.results);
    if (fresh) return undo_.push_back(std::move(key));
    for (size_t k = 0; k < i.results.size(); ++k) replacement_[i.results[k]] = found->second[k];
  }

  std::string key_of(const Instruction& i) const {
    std::string key;
    auto put = [&](const void* data, size_t size) { key.append(static_cast<const char*>(data), size); };
    put(&i.row, sizeof i.row);
    Type result = kernel_.registers[i.results[0]].type;
    // Member by member: the padding of a Type has no value.
    auto put_type = [&](Type t) { put(&t.scalar, sizeof t.scalar), put(&t.lanes, sizeof t.lanes); };
    put_type(i.type), put_type(result);
    for (const Operand& o : i.operands)
      put(&o.reg, sizeof o.reg), put(&o.bits, sizeof o.bits), put_type(o.type);
    for (int64_t a : i.attributes) put(&a, sizeof a);
    return key;
  }

  void forget(size_t mark) {
    for (; undo_.size() > mark; undo_.pop_back()) known_.erase(undo_.back());
  }

  Kernel& kernel_;
  std::vector<Reg> replacement_;
  std::unordered_map<std::string, std::vector<Reg>> known_;
  std::vector<std::string> undo_;
};

}  // namespace

void merge_common_expressions(Kernel& kernel) { Merger(kernel).block(kernel.body); }

}  // namespace rose::ir
