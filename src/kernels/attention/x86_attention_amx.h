// Several queries a sequence through AMX. Private to x86_attention.
#pragma once

#include "kernels/attention/x86_attention.h"

namespace rose::kernels {

inline constexpr int64_t kAmxAttentionLanes = 128;  // of a tile: queries times heads

bool x86_attention_has_amx_form(const ir::Target& target, const X86AttentionSpec& spec);
// Query heads of a block of the grid: all or some of those that share a key head.
int64_t x86_attention_amx_heads(const X86AttentionSpec& spec);
ir::Kernel x86_attention_amx(const ir::Target& target, const X86AttentionSpec& spec);

}  // namespace rose::kernels
