// What the Specs of attention on Hopper come to: tiles, stages, bytes. Shared by the kernels, which are built
// from it, and the host classes, which make tensor maps and grids from it.
#pragma once

#include "kernels/attention/sm90_attention.h"

namespace rose::kernels {

struct AttentionSm90Shape {
  int width;      // head_dim rounded up to a multiple of 64: what lies in shared memory
  int chunks;     // width / 64: boxes of 64 elements (128 bytes, one row of the swizzle)
  int consumers;  // warpgroups
  int tile_queries, tile_keys, stages, blocks;
  int slots;     // tiles of queries in shared memory
  bool turns;    // warpgroups take turns
  int box_keys;  // keys of one box of the copy engine
  int producer_registers, consumer_registers;
  double scale;         // of q·k
  bool has_left;        // a window limits how far back a query sees
  int64_t left, right;  // keys before and behind its own that a query sees; right < 0: no limit
};

// The catalog's problem: `rows` tokens in sequences of `length` (the last may be shorter).
Case attention_sm90_case(runtime::Context& context, const AttentionSm90Spec& spec, int64_t rows,
                         int64_t length);

// Throws KernelError for a Spec outside of the kernel's range.
AttentionSm90Shape attention_sm90_shape(const AttentionSm90Spec& spec);

struct DecodeAttentionSm90Shape {
  int width, chunks;
  int group;      // query heads of a key head
  int row_tiles;  // tiles of 16 query heads that a group takes
  int stages, blocks;
  int box_keys;
  double scale;
};

DecodeAttentionSm90Shape decode_attention_sm90_shape(const DecodeAttentionSm90Spec& spec);

inline constexpr int kDecodeKeys = 64;        // of a stage
inline constexpr int kDecodeMostPieces = 32;  // of a sequence
inline constexpr int kDecodePlanWords = 8;    // of a piece: see sm90_decode_plan.cpp
inline constexpr int kDecodeSharedBytes = 232448;

// Keys of a piece: the Spec's chunk, or more for long sequences: each piece costs its counting and adding,
// but one sequence alone must still keep all multiprocessors busy. A 16th of the sequence up to pieces of
// 2048 keys, then a 32nd.
inline int64_t decode_piece(int64_t keys, int64_t chunk) {
  auto divide_up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  int64_t wanted = std::min(divide_up(keys, 16), std::max<int64_t>(2048, divide_up(keys, kDecodeMostPieces)));
  return std::max(chunk, divide_up(wanted, kDecodeKeys) * kDecodeKeys);
}

}  // namespace rose::kernels
