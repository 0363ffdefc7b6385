// Matrix products on Hopper for decoding: up to 64 rows of `a` (called tokens here), at the speed of memory.
//
// The operands change sides: rows of the weights are the tall side of wgmma, tokens its narrow side. The rows
// are dealt to the multiprocessors in eights (gated: sixteens), each block sums all of K for its rows, and so
// no block waits for another. A tile may have fewer than wgmma's 64 rows; what lies behind it in shared
// memory is multiplied too, and left out of the result.
#pragma once

#include "kernels/gemm/gemm.h"

namespace rose::kernels {

struct GemmDecodeSpec : GemmSpec {
  int tokens = 8;    // most rows of a: 8, 16, 32 or 64
  int blocks = 132;  // of the grid: the multiprocessors of the device
  int steps = 1;     // of 64 elements along K in one stage: 1, 2 or 4
  int stages = 12;   // of the pipeline
  int cluster = 1;   // blocks that share what they load of a: 1, 2 or 4
  int resident =
      2;  // blocks that shall fit on a multiprocessor, so that the next launch can begin early: 1 or 2

  void fields(Fields& f) {
    GemmSpec::fields(f);
    f("tokens", tokens, "most rows of a: 8, 16, 32 or 64");
    f("blocks", blocks, "blocks of the grid");
    f("steps", steps, "steps of 64 elements along K in a stage: 1, 2 or 4");
    f("stages", stages, "stages of the pipeline");
    f("cluster", cluster, "blocks that share what they load of a: 1, 2 or 4");
    f("resident", resident, "blocks that fit on a multiprocessor: 1 or 2");
  }
};

// How the rows of the weights are dealt.
struct GemmDeal {
  int64_t unit = 8, units = 0, blocks = 1;  // rows dealt together; of them in all
  int64_t tiles = 0, height = 0,
          last = 0;                    // of the longest block: tiles, their rows, and those of the last one
  int64_t first(int64_t block) const;  // row at which a block's rows begin; of `blocks`: n
};
GemmDeal gemm_deal(const GemmDecodeSpec& spec);
// As many stages as fit.
int gemm_decode_stages(const GemmDecodeSpec& spec);

ir::Kernel gemm_decode(const ir::Target& target, const GemmDecodeSpec& spec);
CatalogEntry gemm_decode_entry();

void launch_gemm_decode(runtime::Context& context, runtime::Stream& stream, const GemmDecodeSpec& spec,
                        const runtime::Program& program, const Gemm::Operands& operands, int64_t m);

}  // namespace rose::kernels
