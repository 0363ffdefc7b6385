// Runs scalar kernels of one thread statement by statement: the slow and plain meaning of the IR, which
// passes keep.
#pragma once

#include <cstdint>
#include <span>

#include "ir/kernel.h"

namespace rose::ir::test {

// Integers, predicates and f32. Arguments are the bits of the parameters; addresses are real. Throws
// std::logic_error for operations beyond the ones that the tests use, and when more than `most_steps`
// statements ran.
void interpret(const Kernel& kernel, std::span<const uint64_t> arguments, int64_t most_steps = 1'000'000);

}  // namespace rose::ir::test
