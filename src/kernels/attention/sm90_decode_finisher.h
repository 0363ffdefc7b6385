// The last step of decode_attention_sm90: pieces of a sequence are counted, and added when all are there.
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

// Writes `count` neighbouring values, each times `inverse`, from `column` on.
void write_decoded(const DecodeAttentionSm90Spec& spec, const DecodeAttentionSm90Shape& shape,
                   const DecodeTensors& tensors, const dsl::Val& token, const dsl::Val& head,
                   const dsl::Val& column, const dsl::Val* values, int count, const dsl::Val& inverse);

// Records the finisher's code: all jobs of the block, each after the other warps have written its result.
void finish_decode(dsl::Block& block, const DecodeAttentionSm90Spec& spec,
                   const DecodeAttentionSm90Shape& shape, const DecodeTensors& tensors,
                   dsl::Handoff& results);

}  // namespace rose::kernels
