#include "dsl/grid.h"

namespace rose::dsl {

void grid_barrier(Block& block, const Tensor& counter, Location where) {
  LineScope line(line_of(where));
  if (!Builder::current().kernel.cooperative)
    throw IrError(
        "grid_barrier needs a cooperative launch: without it, blocks may wait for blocks that never start",
        line_of(where));
  block.barrier(where);  // the whole block has arrived …
  IF (block.thread32() == 0) {
    Val blocks = to(u32, block.grid(0));
    Val before = op1("atom.global.acq_rel.gpu.add", u32, {counter.base, 1}, {counter.offset}, where);
    Val target = (before / blocks + 1) * blocks;
    // Differences compare rightly after the counter has wrapped around.
    WHILE (bitcast(s32, op1("ld.global.acquire.gpu", u32, {counter.base}, {counter.offset}, where) - target) <
           0) {
    }
  }
  block.barrier(where);  // … and may go on
}

void wait_for_previous_kernel(Block& block, Location where) {
  if (block.gpu() && Builder::current().kernel.pdl) op("grid.dependency.wait", Type{}, {}, {}, where);
}

void let_next_kernel_start(Block& block, Location where) {
  if (block.gpu() && Builder::current().kernel.pdl) op("grid.dependency.launch", Type{}, {}, {}, where);
}

}  // namespace rose::dsl
