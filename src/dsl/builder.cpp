#include "dsl/builder.h"

#include <fmt/format.h>

#include <algorithm>

namespace rose::dsl {
namespace {

thread_local Builder* active = nullptr;  // kernels record in parallel, one on each thread

bool inside_dsl(const SourceLine& where) {
  // File names come from the compiler and are few: remember the last answer.
  thread_local const char* last = nullptr;
  thread_local bool answer = false;
  if (where.file != last) {
    std::string_view file(
        last = where.file);  // headers are seen through the folder of links of cmake/Rooms.cmake
    answer = file.empty() || file.find("/src/dsl/") != file.npos || file.find("/rose_dsl/dsl/") != file.npos;
  }
  return answer;
}

}  // namespace

SourceLine line_in_kernel(const SourceLine& where) {
  if (!active || !inside_dsl(where)) return where;
  SourceLine line = active->line();
  return *line.file ? line : where;
}

LineScope::LineScope(SourceLine where) : saved_(Builder::current().kernel_line) {
  if (!inside_dsl(where)) Builder::current().kernel_line = where;
}

Builder::Builder(std::string name, const Target& target) : outer_(active) {
  bool symbol = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
  if (!symbol) throw IrError("kernel name '" + name + "' must consist of letters, digits and '_'");
  kernel.name = std::move(name);
  kernel.target = target;
  blocks_.push_back(&kernel.body);
  active = this;
}

Builder::~Builder() { active = outer_; }

Builder& Builder::current() {
  if (!active)
    throw IrError("no kernel is being recorded on this thread; call this inside rose::dsl::record");
  return *active;
}

std::vector<ir::Reg> Builder::emit(const ir::Row& row, Type type, std::span<const Type> results,
                                   std::vector<ir::Operand> operands, std::vector<int64_t> attributes,
                                   SourceLine where) {
  ir::Instruction i;
  i.row = &row, i.type = type, i.where = where;
  i.operands = std::move(operands), i.attributes = std::move(attributes);
  i.results.reserve(results.size());
  for (Type t : results) i.results.push_back(kernel.new_register(t));
  auto registers = i.results;
  append(std::move(i));
  return registers;
}

ir::Operand Builder::emit_one(const ir::Row& row, Type type, Type result, std::vector<ir::Operand> operands,
                              std::vector<int64_t> attributes, SourceLine where) {
  ir::Instruction i;
  i.row = &row, i.type = type, i.where = where;
  i.operands = std::move(operands), i.attributes = std::move(attributes);
  ir::Reg reg = kernel.new_register(result);
  i.results.push_back(reg);
  append(std::move(i));
  return {reg, result, 0};
}

void Builder::append(ir::Instruction instruction) {
  if (inside_dsl(instruction.where))
    instruction.where = line();
  else
    last_line_ = instruction.where;
  if (instruction.row->minimum_version(kernel.target) == 0)
    throw IrError(
        fmt::format("'{}' does not exist on {}", instruction.row->name, ir::to_string(kernel.target)),
        instruction.where);
  blocks_.back()->emplace_back(std::move(instruction));
}

void Builder::append(ir::Statement statement) {
  if (inside_dsl(statement.where))
    statement.where = line();
  else
    last_line_ = statement.where;
  blocks_.back()->push_back(std::move(statement));
}

void Builder::enter(ir::Block& block, SourceLine) { blocks_.push_back(&block); }

void Builder::leave() { blocks_.pop_back(); }

void Builder::poison(std::string message) {
  if (poison_.empty()) poison_ = std::move(message);
}

ir::Kernel Builder::finish() {
  if (!poison_.empty()) throw IrError(poison_);
  if (blocks_.size() != 1) throw IrError("kernel '" + kernel.name + "': a recorded block is still open");
  return std::move(kernel);
}

ir::Operand Builder::shared_base() {
  if (shared_base_.type.none()) {
    Type type = kernel.target.is_gpu() ? u32 : u64;
    ir::Instruction i;
    i.row = &ir::operation("shared.base"), i.type = type;
    i.results.push_back(kernel.new_register(type));
    shared_base_ = {i.results[0], type, 0};
    kernel.body.emplace(kernel.body.begin(), std::move(i));  // first, so that it dominates every use
  }
  return shared_base_;
}

}  // namespace rose::dsl
