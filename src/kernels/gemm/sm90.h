// Matrix products on Hopper: out[M, N] = a[M, K] · b[N, K]ᵀ with f32 accumulation, by TMA and wgmma.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct GemmSm90Spec {
  ir::Type dtype = ir::bf16;   // of a, b and out: bf16 or f16
  int64_t n = 4096, k = 4096;  // multiples of 8 (rows are 16-byte aligned for the copy engine)
  int tile_n = 256;            // columns of a block's tile: a multiple of 64 up to 256
  int stages = 4;              // of 64 elements along K
  int cluster = 2;             // blocks that share each tile of b: 1 or 2
  int group = 8;  // tiles along M that are walked before the next column of tiles, for the L2 cache

  void fields(Fields& f) {
    f("dtype", dtype, "type of a, b and out: bf16 or f16");
    f("n", n, "columns of out, rows of b; a multiple of 8");
    f("k", k, "columns of a and b; a multiple of 8");
    f("tile_n", tile_n, "columns of a block's tile: 64, 128, 192 or 256");
    f("stages", stages, "stages of the pipeline");
    f("cluster", cluster, "blocks that share a tile of b: 1 or 2");
    f("group", group, "tiles along M walked before the next column of tiles");
  }
};

ir::Kernel gemm_sm90(const ir::Target& target, const GemmSm90Spec& spec);
CatalogEntry gemm_sm90_entry();

class GemmSm90 {
 public:
  GemmSm90(runtime::Context& context, const GemmSm90Spec& spec);

  // One product with its tensor maps encoded once; launching it again costs one driver call.
  // a: [m, k], b: [n, k], out: [m, n], each contiguous and 16-byte aligned.
  runtime::PreparedLaunch prepare(runtime::DevicePointer a, runtime::DevicePointer b,
                                  runtime::DevicePointer out, int64_t m) const;
  void operator()(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer b,
                  runtime::DevicePointer out, int64_t m) const {
    stream.launch(prepare(a, b, out, m));
  }

 private:
  runtime::Context* context_;
  GemmSm90Spec spec_;
  const runtime::Program* program_;
};

}  // namespace rose::kernels
