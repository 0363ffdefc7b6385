// The parts of verify(): each checks one kind of rule and throws IrError at the first that is broken.
#pragma once

#include <functional>
#include <string>

#include "ir/kernel.h"

namespace rose::ir::verifier {

// Threads, cluster, shared memory, tensor memory, parameters, and the name of the kernel.
void check_launch(const Kernel& kernel);

// Each instruction: does its row exist on the target, and do its registers, constants and attributes fit its
// signature.
void check_types(const Kernel& kernel);

// Registers are written before they are read on every path, immutable ones once; BREAK and CONTINUE stand in
// loops.
void check_definitions(const Kernel& kernel);

// Roles are whole warps, their register budgets fit, and barriers inside a role wait for no thread outside
// it.
void check_roles(const Kernel& kernel);

// What pipelines promised about their mbarriers: arrivals and bytes of each phase add up.
void check_barriers(const Kernel& kernel);

// Operations that need a whole warp, warpgroup, block or cluster are not under a condition on which its
// threads differ.
void check_uniformity(const Kernel& kernel);

// Calls `visit` for every instruction, in the order of the text.
void for_each_instruction(const Block& block, const std::function<void(const Instruction&)>& visit);

inline int total_threads(const Kernel& kernel) {
  return kernel.threads[0] * kernel.threads[1] * kernel.threads[2];
}

}  // namespace rose::ir::verifier
