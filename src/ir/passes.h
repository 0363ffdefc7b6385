// The passes, one free function each; ir::passes() gives their order. All keep the kernel's meaning to the
// bit.
#pragma once

#include "ir/kernel.h"

namespace rose::ir {

// Computes integer operations on constants, drops x + 0, x * 1 and the like, joins (x + 1) + 2, moves
// constant address parts into the offset of loads and stores, and copies of single-assignment values into
// their uses.
void fold_constants(Kernel& kernel);

// Of two equal pure instructions where the first dominates the second, keeps the first.
void merge_common_expressions(Kernel& kernel);

// Products of a loop counter with a constant become variables that grow by additions; multiplications,
// unsigned divisions and remainders by powers of two become shifts and masks.
void reduce_strength(Kernel& kernel);

// Drops pure instructions and plain loads whose results nobody reads.
void remove_dead_code(Kernel& kernel);

}  // namespace rose::ir
