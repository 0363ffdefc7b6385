// Builds small kernels by hand from the plain structs of the ir room, for tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ir/kernel.h"
#include "ir/operation.h"

namespace rose::ir::test {

// Every statement gets its own source line, counted from 1 in "kernel.cpp".
struct HandKernel {
  Kernel kernel;
  std::vector<Block*> blocks;  // the open block is the last one
  int line = 0;

  explicit HandKernel(int threads = 128, Arch arch = Arch::kSm90a);
  HandKernel(const HandKernel& other) : kernel(other.kernel), line(other.line) {}
  const Kernel& done() const { return kernel; }

  Operand constant32(int64_t value) const { return constant(u32, value); }
  Operand constant64(int64_t value) const { return constant(u64, value); }

  // Appends an instruction with one result of the row's first result kind.
  Operand emit(const std::string& row, Type type, std::vector<Operand> operands,
               std::vector<int64_t> attributes = {});
  // Appends an instruction without results.
  template <class... Operands>
  void run(const std::string& row, Operands... operands) {
    append(row, {}, {}, {operands...}, {});
  }
  void append(const std::string& row, Type type, std::vector<Reg> results, std::vector<Operand> operands,
              std::vector<int64_t> attributes);

  Operand tid() { return emit("special", {}, {}, {static_cast<int64_t>(Special::kThreadX)}); }
  Operand block_index() { return emit("special", {}, {}, {static_cast<int64_t>(Special::kBlockX)}); }
  Operand lane() { return emit("special", {}, {}, {static_cast<int64_t>(Special::kLane)}); }
  Operand shared() { return emit("shared.base", u32, {}); }
  Operand compare(Comparison comparison, const Operand& a, const Operand& b) {
    return emit("setp", a.is_constant() ? b.type : a.type, {a, b}, {static_cast<int64_t>(comparison)});
  }
  Operand less(const Operand& a, int64_t bound) { return compare(Comparison::kLt, a, constant32(bound)); }
  Operand equal(const Operand& a, int64_t bound) { return compare(Comparison::kEq, a, constant32(bound)); }

  Operand variable(Type type) { return {kernel.new_register(type, true), type}; }
  void assign(const Operand& variable, const Operand& value) {
    append("mov", variable.type, {variable.reg}, {value}, {});
  }

  using Body = std::function<void()>;
  void branch(const Operand& condition, const Body& then, const Body& otherwise = {});
  // Threads [first, first + threads) alone.
  void role(const std::string& name, int first, int threads, const Body& body, int registers = 0);
  void loop(int64_t turns, const Body& body);  // counts a u32 variable
  void while_(const std::function<Operand()>& condition, const Body& body);
  void endless(const Body& body);
  void jump(Statement::Kind kind);
  void leave() { jump(Statement::Kind::kReturn); }

 private:
  Block& open() { return blocks.empty() ? kernel.body : *blocks.back(); }
  void inside(Block& block, const Body& body);
  SourceLine next_line() { return {"kernel.cpp", ++line}; }
};

}  // namespace rose::ir::test
