// Which threads surely hold the same value in a register: the lattice behind the rules of convergence.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "ir/kernel.h"

namespace rose::ir::verifier {

// From all threads of the block to none but the thread itself. A greater value is a weaker promise.
enum class Agreement : uint8_t { kBlock, kWarpgroup, kWarp, kThread };

inline Agreement weaker(Agreement a, Agreement b) { return a < b ? b : a; }

// A register as (thread number >> shift) + offset.
struct ThreadNumber {
  int shift = 0;
  int64_t offset = 0;
};

// Knows the agreement of every register. A value computed from agreeing values agrees; a value loaded from an
// agreed address agrees (threads that read one address between two barriers read one value, or the kernel has
// a race, which the emulator finds); thread and lane numbers differ, but `thread >> 5` agrees in a warp, and
// so does a comparison of the thread number with a multiple of 32. A variable assigned under a condition
// agrees at most as the condition does.
class Agreements {
 public:
  explicit Agreements(const Kernel& kernel);

  Agreement of(const Operand& operand) const;
  Agreement of(Reg reg) const { return levels_[reg]; }
  Agreement of_condition(const If& branch) const;  // a role's condition is its range of threads
  Agreement of_loop(const Loop& loop) const;    // the weakest of its condition and of its BREAKs' conditions
  Agreement of_groups(int shift) const;         // of a function of `thread >> shift`
  Agreement of_boundary(int64_t thread) const;  // of `thread number < thread`

 private:
  void block(const Block& block, Agreement control);
  void instruction(const Instruction& instruction, Agreement control);
  void assign(Reg reg, Agreement value, Agreement control);
  Agreement value_of(const Instruction& instruction);
  Agreement compare(const Instruction& instruction) const;
  std::optional<ThreadNumber> thread_number(const Instruction& instruction) const;
  std::optional<ThreadNumber> thread_number(const Operand& operand) const;

  const Kernel& kernel_;
  int threads_ = 1;
  bool changed_ = false;
  std::vector<Agreement> levels_;
  std::vector<std::optional<ThreadNumber>> numbers_;
  std::map<const Loop*, Agreement> breaks_;  // the weakest control under which a BREAK or CONTINUE stands
  std::vector<const Loop*> loops_;
};

}  // namespace rose::ir::verifier
