// The last step of decode_attention_sm90's jobs: one warp of each block adds what the four others have found.
#pragma once

#include "dsl/hopper_attention.h"
#include "kernels/attention/sm90_shape.h"

namespace rose::kernels {

inline constexpr int kDecodeWarps = 4;  // that multiply; each leaves a result of every job

struct DecodeTensors {
  dsl::Tensor out;       // [tokens, q_heads, head_dim]
  dsl::Tensor plan;      // [1 + pieces, 8]: see sm90_decode_plan.cpp
  dsl::Tensor counters;  // [sequences, heads]: pieces that are done; zero between launches
  // Of every piece: the maximum and the sum, and the values not yet divided by it.
  dsl::Tensor states, parts;  // [pieces, heads, rows, 2], [pieces, heads, rows, width]
  dsl::Tensor sPart, sState;  // the same of the four warps: [4, rows, width], [4, rows, 2]
};

// Records the finisher's code: all jobs of the block, in the order in which the warps hand over their
// results.
void finish_decode(dsl::Block& block, const DecodeAttentionSm90Spec& spec,
                   const DecodeAttentionSm90Shape& shape, const DecodeTensors& tensors,
                   dsl::Handoff& results);

}  // namespace rose::kernels
