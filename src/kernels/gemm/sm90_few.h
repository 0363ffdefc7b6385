// Matrix products on Hopper for few rows, at the speed of memory. The operands change sides: 64 rows of the
// weights are the tall side of wgmma, the rows of `a` (called tokens here) its narrow side.
//
// All weights are cut into units, a tile of rows by a step along K, and each block takes an equal run of
// them, so all multiprocessors read equally much whatever n and k are. A tile that several blocks share is
// summed by the block that comes last, in the order of K: the bits depend on the cut alone, which depends on
// n, k and the Spec.
#pragma once

#include "kernels/gemm/gemm.h"

namespace rose::kernels {

struct GemmFewSpec : GemmSpec {
  int tokens = 8;    // most rows of a: 8, 16, 32, 64, 128 or 256
  int rows = 64;     // of the weights in a tile: 64 or 128
  int steps = 1;     // of 64 elements along K in one stage: 1 or 2
  int stages = 12;   // of the pipeline
  int blocks = 128;  // of the grid: at most the multiprocessors of the device
  int resident =
      2;  // blocks that shall fit on a multiprocessor, so that the next launch can begin early: 1 or 2

  void fields(Fields& f) {
    GemmSpec::fields(f);
    f("tokens", tokens, "most rows of a: 8, 16, 32, 64, 128 or 256");
    f("rows", rows, "rows of the weights in a tile: 64 or 128");
    f("steps", steps, "steps of 64 elements along K in a stage: 1 or 2");
    f("stages", stages, "stages of the pipeline");
    f("blocks", blocks, "blocks of the grid");
    f("resident", resident, "blocks that fit on a multiprocessor: 1 or 2");
  }
};

// How the units are dealt to blocks; plain arithmetic, shared by kernel, host and tests.
struct GemmCut {
  int64_t tiles = 0, steps = 0;  // tiles of weights; stages along K of one tile
  int64_t blocks = 0;
  int64_t units() const { return tiles * steps; }
  int64_t first(int64_t block) const;  // unit at which a block's run begins; of `blocks`: units()
  int64_t block_of(int64_t unit) const;
  int64_t shared_parts() const;  // parts of tiles that several blocks share
};
GemmCut gemm_cut(const GemmFewSpec& spec);
// The number of blocks, of those that keep the device busy, whose cut shares the fewest tiles.
int gemm_few_blocks(int64_t n, int64_t k, int rows, int steps, int processors);
// As many stages as fit.
int gemm_few_stages(int tokens, int rows, int steps, int resident);

int64_t gemm_few_workspace_bytes(const GemmFewSpec& spec);
int64_t gemm_few_counters(const GemmFewSpec& spec);  // u32 each, zero before the first launch

ir::Kernel gemm_few(const ir::Target& target, const GemmFewSpec& spec);
CatalogEntry gemm_few_entry();

void launch_gemm_few(runtime::Context& context, runtime::Stream& stream, const GemmFewSpec& spec,
                     const runtime::Program& program, const Gemm::Operands& operands,
                     runtime::DevicePointer counters, int64_t m);

}  // namespace rose::kernels
