// The text of one instruction: expands a row's mini-format (ir/operation.h) with register names and
// constants.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/kernel.h"

namespace rose::codegen::ptx {

class InstructionText {
 public:
  explicit InstructionText(const ir::Kernel& kernel);

  std::string format(const ir::Instruction& instruction) const;  // one or more statements, each with its ';'
  std::string reg(ir::Reg reg) const;                            // "%r12"
  std::string parameter(size_t index) const;                     // the parameter's symbol
  std::string register_declarations() const;                     // .reg lines of the whole kernel

 private:
  std::string operand(const ir::Operand& operand) const;
  std::string expand(const ir::Instruction& instruction, std::string_view format) const;

  const ir::Kernel& kernel_;
  std::vector<int> numbers_;  // of each register within its class
  int counts_[5] = {};        // registers of each class
};

}  // namespace rose::codegen::ptx
