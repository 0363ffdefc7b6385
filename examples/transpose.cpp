// out[c, r] = in[r, c] by way of shared memory: tiles, barriers, and a layout that keeps out of its own way.
#include "dsl/block.h"
#include "example.h"

using namespace rose::dsl;

constexpr int kTile = 32;

// One block moves one tile: it reads rows, so that neighbouring threads read neighbouring elements, and
// writes rows of the other matrix likewise. In between the tile lies in shared memory (on x86: in the
// first-level cache).
rose::ir::Kernel transpose(const Target& target) {
  const int threads = target.is_gpu() ? 256 : 1;
  return record("transpose", {.target = target, .threads = threads}, [&](Block& block) {
    auto in = block.input("in", f32, shape(dynamic("rows"), dynamic("columns")));     // [rows, columns]
    auto out = block.output("out", f32, shape(dynamic("columns"), dynamic("rows")));  // [columns, rows]
    Val rows = block.dimension("rows"), columns = block.dimension("columns");
    Val row0 = block.index(1) * kTile, column0 = block.index(0) * kTile;

    // Rows of 33 elements: the 32 elements of a column then lie in 32 different banks of shared memory.
    auto tile = block.shared("tile", f32, shape(kTile, kTile + 1));
    FOR (i, block.thread(), kTile * kTile, threads) {
      Val r = i / kTile, c = i % kTile;
      IF ((row0 + r < rows) & (column0 + c < columns)) {
        store_at(tile(r), c, load(in(row0 + r), column0 + c));
      }
    }
    block.barrier();
    FOR (i, block.thread(), kTile * kTile, threads) {
      Val c = i / kTile, r = i % kTile;
      IF ((row0 + r < rows) & (column0 + c < columns)) {
        store_at(out(column0 + c), row0 + r, load(tile(r), c));
      }
    }
  });
}

int main() {
  auto context = example::open_device();
  auto program = context->device().load(
      rose::runtime::compile(transpose(rose::runtime::target_of(context->properties()))));

  const int64_t rows = 517, columns = 301;
  auto in = example::some_values(static_cast<size_t>(rows * columns), 3);
  auto in_there = example::to_device(*context, in);
  auto out_there = context->device().allocate(in.size() * sizeof(float));
  rose::runtime::Grid grid{(columns + kTile - 1) / kTile, (rows + kTile - 1) / kTile};
  context->stream().launch(*program, grid, {in_there, rows, columns, out_there});

  std::vector<double> expected(in.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      expected[static_cast<size_t>(c * rows + r)] = in[static_cast<size_t>(r * columns + c)];
  return example::compare(example::to_host(*context, out_there), expected, 0);
}
