// Matrix products on Hopper for many rows: persistent blocks that walk over tiles of the output, by TMA and
// wgmma.
#pragma once

#include "kernels/gemm/gemm.h"

namespace rose::kernels {

struct GemmSm90Spec : GemmSpec {
  int tile_n = 256;  // rows of the weights in a block's tile: a multiple of 64 up to 256 (gated: of 128)
  int stages = 4;    // of 64 elements along K
  int cluster = 2;   // blocks that share each tile of the weights: 1 or 2
  int group = 8;     // tiles along M that are walked before the next column of tiles, for the L2 cache

  void fields(Fields& f) {
    GemmSpec::fields(f);
    f("tile_n", tile_n, "columns of a block's tile: 64, 128, 192 or 256");
    f("stages", stages, "stages of the pipeline");
    f("cluster", cluster, "blocks that share a tile of the weights: 1 or 2");
    f("group", group, "tiles along M walked before the next column of tiles");
  }
};

ir::Kernel gemm_sm90(const ir::Target& target, const GemmSm90Spec& spec);
CatalogEntry gemm_sm90_entry();

// Queues one product with the program of `spec`.
void launch_gemm_sm90(runtime::Context& context, runtime::Stream& stream, const GemmSm90Spec& spec,
                      const runtime::Program& program, const Gemm::Operands& operands, int64_t m);

}  // namespace rose::kernels
