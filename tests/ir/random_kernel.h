// Random kernels for the passes: every seed gives a kernel that the verifier accepts, that ends, and that
// stays within its memory.
#pragma once

#include "hand_kernel.h"

namespace rose::ir::test {

inline constexpr int64_t kRandomKernelBytes = 1024;  // of the buffer, the kernel's first argument

// Parameters: the buffer's address, and one s32, u64 and f32. With `target` for x86.
Kernel random_kernel(uint64_t seed, const Target& target);

}  // namespace rose::ir::test
