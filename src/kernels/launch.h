// Launch shapes shared by row-wise kernels, and the checks of their Specs.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

// Threads of a block that shares one row of `length` elements: `accesses` 16-byte accesses each to every
// tensor (two keep enough loads in flight where one tensor is read; one is better where several are), more
// for long rows. 1 on x86. `wanted` (0: none) overrides it on a GPU; it must be a multiple of 32 up to 1024.
int row_threads(const ir::Target& target, int64_t length, ir::Type dtype, int wanted = 0, int accesses = 2);

// A grid of `blocks` along x. Throws KernelError beyond 2^31 - 1.
runtime::Grid grid_of(int64_t blocks);

// Throws KernelError unless dtype is bf16, f16 or f32 and 1 <= length <= 65536 (or `most`).
void check_row_spec(std::string_view kernel, ir::Type dtype, int64_t length, int64_t most = 65536);

}  // namespace rose::kernels
