// Launch shapes of kernels whose rows are short (a head, say): a block works on several rows, each shared by
// a few threads.
#pragma once

#include "dsl/fragment.h"
#include "kernels/launch.h"

namespace rose::kernels {

struct RowGroups {
  int threads = 1;  // of a block
  int size = 1;     // threads of a row: a power of two up to 32

  int64_t rows_per_block() const { return threads / size; }
  runtime::Grid grid(int64_t rows) const { return grid_of((rows + rows_per_block() - 1) / rows_per_block()); }
};

// As many threads a row as it has accesses of 16 bytes. On x86, one thread and one row a block.
RowGroups row_groups(const ir::Target& target, int64_t length, ir::Type dtype);

// Row number r = major · minors + minor: (major, minor), both s64. Rows must number below 2^31, which keeps
// the division in 32 bits.
std::pair<dsl::Val, dsl::Val> split_row(const dsl::Val& row, int64_t minors);

}  // namespace rose::kernels
