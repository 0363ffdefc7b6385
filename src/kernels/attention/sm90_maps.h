// Tensor maps of attention's operands: boxes of 64 elements of one head, 128 bytes, in the 128-byte swizzle.
// Columns beyond head_dim, and rows beyond the tensor, read as zeros.
#pragma once

#include <span>
#include <vector>

#include "ir/type.h"
#include "runtime/tensor_map.h"

namespace rose::kernels {

// [tokens, heads, head_dim], tokens `stride` elements apart: box [box_tokens, box_heads, 64].
runtime::TensorMapSpec attention_rows_map(ir::Type dtype, runtime::DevicePointer base, int64_t head_dim,
                                          int64_t heads, int64_t tokens, int64_t stride, int box_tokens,
                                          int box_heads = 1);
// [blocks, block_size, heads, head_dim]: box [1, box_tokens, 1, 64]. The number of blocks is not limited: the
// block table must name blocks that exist.
runtime::TensorMapSpec attention_cache_map(ir::Type dtype, runtime::DevicePointer base, int64_t head_dim,
                                           int64_t heads, int64_t block_size, int box_tokens);

// Throws KernelError for heads, windows, blocks or factors outside of what the kernels take.
void check_sm90_attention_heads(const char* kernel, ir::Type dtype, int64_t q_heads, int64_t kv_heads,
                                int64_t head_dim, int64_t window, int64_t block_size, double scale,
                                double softcap);

// AttentionSm90::tiles, for tiles of so many queries.
std::vector<int32_t> attention_sm90_tiles(int64_t tile_queries, std::span<const int32_t> first_queries,
                                          std::span<const int32_t> lengths, bool skip_single);

}  // namespace rose::kernels
