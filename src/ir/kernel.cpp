#include "ir/kernel.h"

#include <fmt/format.h>

#include <cmath>

#include "ir/small_float.h"

namespace rose::ir {

std::string SourceLine::to_string() const {
  if (!*file) return "";
  std::string_view path(file);
  for (std::string_view root :
       {"/src/", "/tests/", "/examples/", "/bench/"})  // shorten to the path inside the project
    if (auto at = path.rfind(root); at != path.npos) {
      path = path.substr(root == "/src/" ? at + root.size() : at + 1);
      break;
    }
  return fmt::format("{}:{}", path, line);
}

IrError::IrError(const std::string& message, const SourceLine& where)
    : std::runtime_error(*where.file ? fmt::format("{}: {}", where.to_string(), message) : message) {}

Operand constant(Type type, int64_t value) {
  if (type.is_float()) return constant(type, static_cast<double>(value));
  if (type.is_pred()) return {kNoReg, type, value != 0 ? 1u : 0u};
  int bits = type.scalar_bits();
  if (bits < 64) {
    int64_t low = type.is_signed() ? -(int64_t{1} << (bits - 1)) : 0;
    int64_t high = type.is_signed() ? (int64_t{1} << (bits - 1)) - 1 : (int64_t{1} << bits) - 1;
    if (value < low || value > high)
      throw IrError(
          fmt::format("the constant {} does not fit in {} ({} … {})", value, to_string(type), low, high));
  }
  uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  return {kNoReg, type, static_cast<uint64_t>(value) & mask};
}

Operand constant(Type type, double value) {
  if (type.is_float() && type.scalar != Scalar::kE2M1) return {kNoReg, type, bits_of(type.element(), value)};
  if (type.is_integer() && value == std::floor(value) && std::abs(value) < 9e15)
    return constant(type, static_cast<int64_t>(value));
  throw IrError(fmt::format("the constant {} cannot be written as {}", value, to_string(type)));
}

int64_t constant_int(const Operand& operand) {
  int bits = operand.type.scalar_bits();
  if (bits >= 64 || !operand.type.is_signed()) return static_cast<int64_t>(operand.bits);
  int shift = 64 - bits;
  return static_cast<int64_t>(operand.bits << shift) >> shift;
}

double constant_float(const Operand& operand) { return value_of(operand.type.element(), operand.bits); }

Statement::Statement(const Statement& other)
    : kind(other.kind), instruction(other.instruction), where(other.where) {
  if (other.branch) branch = std::make_unique<If>(*other.branch);
  if (other.loop) loop = std::make_unique<Loop>(*other.loop);
}

Statement& Statement::operator=(const Statement& other) {
  if (this != &other) *this = Statement(other);
  return *this;
}

int Parameter::bytes() const {
  switch (kind) {
    case Kind::kPointer:
      return 8;
    case Kind::kTensorMap:
      return 128;
    case Kind::kScalar:
      return type.bits() / 8;
  }
  return 0;
}

Reg Kernel::new_register(Type type, bool is_mutable) {
  registers.push_back({type, is_mutable});
  return static_cast<Reg>(registers.size() - 1);
}

int64_t instruction_count(const Block& block) {
  int64_t count = 0;
  for (const auto& s : block) {
    if (s.kind == Statement::Kind::kInstruction) ++count;
    if (s.branch) count += instruction_count(s.branch->then) + instruction_count(s.branch->otherwise);
    if (s.loop)
      count +=
          instruction_count(s.loop->test) + instruction_count(s.loop->body) + instruction_count(s.loop->step);
  }
  return count;
}

}  // namespace rose::ir
