// Attention of one query a sequence over a paged cache, for a few query heads to a key head. Private to
// x86_attention.
#pragma once

#include "kernels/attention/x86_attention.h"

namespace rose::kernels {

// Whether this form of the kernel serves a Spec; its grid is [sequences, kv_heads].
bool x86_attention_has_single_form(const X86AttentionSpec& spec);

// The same parameters as x86_attention.
ir::Kernel x86_attention_single(const ir::Target& target, const X86AttentionSpec& spec);

}  // namespace rose::kernels
