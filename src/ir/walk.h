// Visits every statement of a block in program order: an If's branches, a Loop's test, body and step
// included.
#pragma once

#include <functional>

#include "ir/kernel.h"

namespace rose::ir {

// `visit` sees each statement before the blocks inside it.
void walk(Block& block, const std::function<void(Statement&)>& visit);
void walk(const Block& block, const std::function<void(const Statement&)>& visit);

// True for an instruction that only computes its results: it may be folded, merged or dropped.
bool is_pure(const Instruction& instruction);

// Calls f for each register that the statement itself reads (not the blocks inside it).
void for_each_read(Statement& statement, const std::function<void(Operand&)>& operand,
                   const std::function<void(Reg)>& other);

}  // namespace rose::ir
