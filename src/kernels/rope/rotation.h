// The rotation at the heart of rotary embedding, for kernels: one head's elements in two fragments, rotated
// by angles from the table, and put back where they came from.
#pragma once

#include "dsl/fragment.h"

namespace rose::kernels {

// Elements i and i + dim/2 turn together (GPT-NeoX, Llama in HuggingFace's order), or elements 2i and 2i + 1
// (interleaved: GPT-J, the original Llama).
enum class RopeStyle { kHalf, kInterleaved };

struct HeadPair {
  dsl::Frag first, second;  // f32; dim/2 elements each
};

// The layout of dim/2 elements whose rows start at multiples of `multiple` elements.
dsl::RowLayout rope_layout(dsl::Block& block, const dsl::RowGroup& group, int64_t rotary_dim,
                           int element_bytes, int64_t multiple);

// `row`: the rotary_dim elements that turn.
HeadPair load_pair(RopeStyle style, const dsl::Tensor& row, const dsl::RowLayout& half);
void store_pair(RopeStyle style, const dsl::Tensor& row, const HeadPair& pair);

// (a cos - b sin, b cos + a sin).
HeadPair rotate(const HeadPair& pair, const dsl::Frag& cosine, const dsl::Frag& sine);

// The row of the table for a token: its position, clamped to the table.
dsl::Tensor angles_of(const dsl::Tensor& table, const dsl::Tensor& positions, const dsl::Val& token,
                      const dsl::Val& table_rows);

}  // namespace rose::kernels
