// The text form of a kernel, for people and for `rose kernels show --emit ir`.
#include <fmt/format.h>

#include <iterator>

#include "ir/kernel.h"

namespace rose::ir {
namespace {

std::string register_name(Reg reg, const Kernel& kernel) {
  return fmt::format("{}{}", kernel.registers[reg].mutable_ ? "$" : "%", reg);
}

std::string operand_text(const Operand& operand, const Kernel& kernel) {
  if (!operand.is_constant()) return register_name(operand.reg, kernel);
  if (operand.type.is_pred()) return operand.bits ? "true" : "false";
  if (operand.type.is_float() && operand.type.scalar_bits() >= 16)
    return fmt::format("{:g}", constant_float(operand));
  return std::to_string(constant_int(operand));
}

class Printer {
 public:
  explicit Printer(const Kernel& kernel) : kernel_(kernel) {}

  std::string run() {
    out_ = fmt::format("kernel {} for {}, {} threads", kernel_.name, to_string(kernel_.target),
                       kernel_.threads[0] * kernel_.threads[1] * kernel_.threads[2]);
    if (kernel_.cluster[0] > 1) out_ += fmt::format(", clusters of {}", kernel_.cluster[0]);
    if (kernel_.shared_bytes) out_ += fmt::format(", {} bytes of shared memory", kernel_.shared_bytes);
    out_ += '\n';
    for (const auto& p : kernel_.parameters) {
      constexpr const char* kKinds[] = {"pointer to ", "", "tensor map"};
      out_ += fmt::format("  parameter {}: {}{}\n", p.name, kKinds[static_cast<int>(p.kind)],
                          p.kind == Parameter::Kind::kTensorMap ? "" : to_string(p.type));
    }
    block(kernel_.body, 1);
    return std::move(out_);
  }

 private:
  void line(int depth, const std::string& text, const SourceLine& where) {
    std::string source = where.to_string();
    out_ += fmt::format("{:{}}{}", "", depth * 2, text);
    if (!source.empty() && source != last_) {
      auto used = text.size() + static_cast<size_t>(depth) * 2;
      out_ += fmt::format("{:{}}  // {}", "", used < 60 ? 60 - used : 0, source);
      last_ = source;
    }
    out_ += '\n';
  }

  void block(const Block& statements, int depth) {
    for (const auto& s : statements) {
      switch (s.kind) {
        case Statement::Kind::kInstruction:
          line(depth, to_string(s.instruction, kernel_), s.where);
          break;
        case Statement::Kind::kIf: {
          std::string role =
              s.branch->role.name.empty() ? "" : fmt::format(" role \"{}\"", s.branch->role.name);
          line(depth, fmt::format("if {}{} {{", operand_text(s.branch->condition, kernel_), role), s.where);
          block(s.branch->then, depth + 1);
          if (!s.branch->otherwise.empty()) {
            line(depth, "} else {", s.where);
            block(s.branch->otherwise, depth + 1);
          }
          line(depth, "}", s.where);
          break;
        }
        case Statement::Kind::kLoop:
          line(depth, "loop {", s.where);
          block(s.loop->test, depth + 1);
          line(depth + 1, fmt::format("leave unless {}", operand_text(s.loop->condition, kernel_)), s.where);
          block(s.loop->body, depth + 1);
          if (!s.loop->step.empty()) {
            line(depth, "} step {", s.where);
            block(s.loop->step, depth + 1);
          }
          line(depth, "}", s.where);
          break;
        case Statement::Kind::kBreak:
          line(depth, "break", s.where);
          break;
        case Statement::Kind::kContinue:
          line(depth, "continue", s.where);
          break;
        case Statement::Kind::kReturn:
          line(depth, "return", s.where);
          break;
      }
    }
  }

  const Kernel& kernel_;
  std::string out_, last_;
};

}  // namespace

std::string to_string(const Instruction& i, const Kernel& kernel) {
  std::string text;
  auto put = std::back_inserter(text);
  if (i.guard.reg != kNoReg)
    fmt::format_to(put, "@{}{} ", i.guard.negated ? "!" : "", register_name(i.guard.reg, kernel));
  for (size_t k = 0; k < i.results.size(); ++k) text += (k ? ", " : "") + register_name(i.results[k], kernel);
  if (!i.results.empty()) text += " = ";
  text += i.row->name;
  if (!i.type.none()) text += " " + to_string(i.type);
  for (size_t k = 0; k < i.operands.size(); ++k)
    text += (k ? ", " : " ") + operand_text(i.operands[k], kernel);
  for (size_t k = 0; k < i.attributes.size(); ++k)
    fmt::format_to(put, "{}{}", k ? ", " : " #", i.attributes[k]);
  return text;
}

std::string to_string(const Kernel& kernel) { return Printer(kernel).run(); }

}  // namespace rose::ir
