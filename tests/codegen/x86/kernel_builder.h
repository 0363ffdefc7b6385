// Writes ir::Kernels by hand for the tests of the x86 back end, and runs them.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "codegen/x86/compile.h"
#include "codegen/x86/loader.h"
#include "ir/kernel.h"

namespace rose::codegen::x86::testing {

using Operands = std::vector<ir::Operand>;
using Attributes = std::vector<int64_t>;

class Builder {
 public:
  explicit Builder(const ir::Target& target, std::string name = "kernel") {
    kernel.name = std::move(name);
    kernel.target = target;
    block_ = &kernel.body;
  }

  ir::Kernel kernel;

  // Declares a parameter and reads it; a pointer is read as u64.
  ir::Operand pointer(const std::string& name) {
    return parameter(name, ir::Parameter::Kind::kPointer, ir::u64);
  }
  ir::Operand scalar(const std::string& name, ir::Type type) {
    return parameter(name, ir::Parameter::Kind::kScalar, type);
  }

  // Appends one operation; returns its results.
  Operands all(std::string_view row, const std::vector<ir::Type>& results, const Operands& operands,
               const Attributes& attributes = {}, ir::Guard guard = {}) {
    Operands values;
    ir::Instruction instruction;
    instruction.row = &ir::operation(row);
    for (auto type : results) {
      values.push_back({kernel.new_register(type), type, 0});
      instruction.results.push_back(values.back().reg);
    }
    instruction.type = instance(*instruction.row, results, operands);
    instruction.operands = operands;
    instruction.attributes = attributes;
    instruction.guard = guard;
    instruction.where = {"tests/codegen/x86/kernel_builder.h", 40};
    block_->push_back(std::move(instruction));
    return values;
  }
  ir::Operand one(std::string_view row, ir::Type result, const Operands& operands,
                  const Attributes& attributes = {}, ir::Guard guard = {}) {
    return all(row, {result}, operands, attributes, guard)[0];
  }
  void none(std::string_view row, const Operands& operands, const Attributes& attributes = {},
            ir::Guard guard = {}) {
    all(row, {}, operands, attributes, guard);
  }

  ir::Operand variable(const ir::Operand& start) {
    ir::Operand v{kernel.new_register(start.type, true), start.type, 0};
    assign(v, start);
    return v;
  }
  void assign(const ir::Operand& variable, const ir::Operand& value) {
    ir::Instruction instruction;
    instruction.row = &ir::operation("mov");
    instruction.type = variable.type;
    instruction.results = {variable.reg};
    instruction.operands = {value};
    block_->push_back(std::move(instruction));
  }

  ir::Operand load(ir::Type type, const ir::Operand& base, int64_t offset = 0) {
    return one("ld.global", type, {base}, {offset});
  }
  void store(const ir::Operand& base, const ir::Operand& value, int64_t offset = 0) {
    none("st.global", {base, value}, {offset});
  }
  ir::Operand compare(ir::Comparison comparison, const ir::Operand& a, const ir::Operand& b) {
    return one("setp", ir::pred.with_lanes(a.type.lanes), {a, b}, {static_cast<int64_t>(comparison)});
  }
  static ir::Operand number(ir::Type type, int64_t value) { return ir::constant(type, value); }

  template <typename Body>
  void when(const ir::Operand& condition, Body then) {
    when(condition, then, [] {});
  }
  template <typename Then, typename Else>
  void when(const ir::Operand& condition, Then then, Else otherwise) {
    ir::Statement statement;
    statement.kind = ir::Statement::Kind::kIf;
    statement.branch = std::make_unique<ir::If>();
    statement.branch->condition = condition;
    inside(statement.branch->then, then);
    inside(statement.branch->otherwise, otherwise);
    block_->push_back(std::move(statement));
  }
  // for (i = first; i < last; i += step) body(i), i of type s64.
  template <typename Body>
  void loop(int64_t first, const ir::Operand& last, int64_t step, Body body, int unroll = 0) {
    auto i = variable(number(ir::s64, first));
    ir::Statement statement;
    statement.kind = ir::Statement::Kind::kLoop;
    statement.loop = std::make_unique<ir::Loop>();
    statement.loop->unroll = unroll;
    inside(statement.loop->test, [&] { statement.loop->condition = compare(ir::Comparison::kLt, i, last); });
    inside(statement.loop->body, [&] { body(i); });
    inside(statement.loop->step, [&] { assign(i, one("add", ir::s64, {i, number(ir::s64, step)})); });
    block_->push_back(std::move(statement));
  }
  void leave(ir::Statement::Kind kind) {
    ir::Statement statement;
    statement.kind = kind;
    block_->push_back(std::move(statement));
  }

 private:
  // The type that the row's "t" stands for.
  static ir::Type instance(const ir::Row& row, const std::vector<ir::Type>& results,
                           const Operands& operands) {
    auto is_t = [](const std::string& token) { return token == "t" || token == "t*"; };
    for (size_t i = 0; i < row.signature.results.size(); ++i)
      if (is_t(row.signature.results[i])) return results[i];
    for (size_t i = 0; i < row.signature.operands.size(); ++i)
      if (is_t(row.signature.operands[i])) return operands[i].type;
    return results.empty() ? ir::Type{} : results[0];
  }
  ir::Operand parameter(const std::string& name, ir::Parameter::Kind kind, ir::Type type) {
    kernel.parameters.push_back({name, kind, type});
    return one("parameter", type, {}, {static_cast<int64_t>(kernel.parameters.size()) - 1});
  }
  template <typename Body>
  void inside(ir::Block& block, Body body) {
    auto* outer = block_;
    block_ = &block;
    body();
    block_ = outer;
  }

  ir::Block* block_;
};

// A kernel checked by the verifier and made callable; arguments are pointers or integers.
class Runner {
 public:
  explicit Runner(const ir::Kernel& kernel) {
    ir::verify(kernel);
    loaded_ = load(compile(kernel), kernel.name);
  }

  void operator()(std::vector<uint64_t> arguments, std::array<int64_t, 3> block = {0, 0, 0},
                  std::array<uint64_t, 3> grid = {1, 1, 1}, void* scratch = nullptr) const {
    arguments.insert(arguments.end(), grid.begin(), grid.end());
    loaded_.entry()(arguments.data(), block[0], block[1], block[2], scratch);
  }

 private:
  LoadedKernel loaded_;
};

template <typename T>
uint64_t address(T* p) {
  return reinterpret_cast<uint64_t>(p);
}

// The feature sets that this machine can run, narrowest first.
std::vector<ir::Target> runnable_targets();

}  // namespace rose::codegen::x86::testing
