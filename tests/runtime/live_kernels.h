// PTX of the kernels that the tests on a real GPU run.
#pragma once

#include "runtime/program.h"

namespace rose::runtime {

/// x[i] += value for i < count; 256 threads a block. Parameters: x (f32), count (u32), value (f32).
ProgramSource add_value_kernel(const std::string& target);
/// out[block] = rank of the block in its cluster of two. Parameter: out (u32).
ProgramSource cluster_rank_kernel(const std::string& target);
/// All blocks meet at a barrier in global memory, then out[block] = the count that it saw. Parameters:
/// counter, out (u32).
ProgramSource grid_barrier_kernel(const std::string& target);
/// Copies the 16 × 8 tile of a f32 matrix at (x, y) to `out` with TMA. Parameters: map, out, x, y.
ProgramSource tile_kernel(const std::string& target);
/// Writes to address 8 of global memory, which is nobody's.
ProgramSource faulting_kernel(const std::string& target);

}  // namespace rose::runtime
