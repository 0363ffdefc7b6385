// Between blocks and between kernels: barriers over the whole grid, and programmatic dependent launch (PDL).
#pragma once

#include "dsl/block.h"

namespace rose::dsl {

// All threads of all blocks arrive before any goes on; what was written to global memory before is visible
// after. The launch must be cooperative (Launch::cooperative), so that all blocks are resident, along x
// alone. `counter` is one u32 in global memory, zero before its first use and left alone in between: it only
// ever grows, by the number of blocks for each barrier, so launches that share a counter must have equal
// grids.
void grid_barrier(Block& block, const Tensor& counter, Location where = Location::current());

// PDL (Launch::pdl): nothing that the kernel ahead in the stream writes may be read before the first; the
// second lets the next kernel start its own beginning early. Without PDL both do nothing.
void wait_for_previous_kernel(Block& block, Location where = Location::current());
void let_next_kernel_start(Block& block, Location where = Location::current());

}  // namespace rose::dsl
