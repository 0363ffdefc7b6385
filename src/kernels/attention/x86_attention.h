// Attention on x86: out = softmax(q·kᵀ·scale + mask)·v (Vaswani et al., 2017) for packed sequences of
// different lengths, with the online softmax of Milakov and Gimelshein (2018). Keys and values lie beside the
// queries (encoders) or in a paged cache (decoders); several query heads may share one key head.
//
// What a query gets depends on its own sequence and position alone: neither on the other sequences of the
// launch nor on the other queries of its tile. One query of a sequence (a step of generation) takes another
// program than several.
#pragma once

#include <span>
#include <vector>

#include "kernels/catalog.h"

namespace rose::kernels {

struct X86AttentionSpec {
  ir::Type dtype = ir::f32;     // of q and out; arithmetic is f32
  ir::Type kv_dtype = ir::f32;  // of keys and values
  int64_t q_heads = 32, kv_heads = 8;
  int64_t head_dim = 128;
  std::string mask = "causal";  // causal: keys up to the query's own; full: all keys of the sequence
  int64_t window =
      0;  // causal: the last `window` keys, its own included; full: up to window / 2 away; 0: all
  int64_t block_size = 0;  // of the paged cache; 0: keys and values are packed as the queries are
  double scale = 0;        // of q·k; 0: 1 / √head_dim
  double softcap = 0;      // scores become softcap · tanh(score / softcap) (Gemma 2); 0: they stay
  bool single = false;     // one query a sequence
  bool bf16 = false;       // several queries: products of bf16 where the machine has AMX for them

  void fields(Fields& f) {
    f("dtype", dtype, "type of q and out: f32, bf16 or f16");
    f("kv_dtype", kv_dtype, "type of keys and values: f32, bf16 or f16");
    f("q_heads", q_heads, "query heads");
    f("kv_heads", kv_heads, "key heads, and as many value heads; divides q_heads");
    f("head_dim", head_dim, "elements of a head, 1 to 512");
    f("mask", mask, "causal or full");
    f("window", window, "keys that a query sees; 0: all that the mask allows");
    f("block_size", block_size,
      "tokens of a block of the paged cache, a multiple of 32; 0: packed keys and values");
    f("scale", scale, "factor of q·k; 0: one over the root of head_dim");
    f("softcap", softcap, "scores become softcap · tanh(score / softcap); 0: off");
    f("single", single, "1: for one query a sequence");
    f("bf16", bf16,
      "1: several queries of a sequence meet keys and values in bf16, where the machine has AMX");
  }
};

ir::Kernel x86_attention(const ir::Target& target, const X86AttentionSpec& spec);
CatalogEntry x86_attention_entry();

class X86Attention {
 public:
  // spec.single is ignored: both programs are prepared.
  X86Attention(runtime::Context& context, const X86AttentionSpec& spec);

  // The tiles of a launch, made on the host: pairs (sequence, first query of the tile within it).
  // `first_queries` has one entry a sequence and one more: sequence s has the tokens [first_queries[s],
  // first_queries[s + 1]).
  struct Tiles {
    std::vector<int32_t> several, single;
  };
  Tiles tiles(std::span<const int32_t> first_queries) const;

  struct Arguments {
    runtime::DevicePointer q;     // [tokens, q_heads, head_dim], tokens q_stride elements apart
    runtime::DevicePointer k, v;  // packed: [tokens, kv_heads, head_dim], tokens kv_stride elements apart;
                                  // paged: [blocks, block_size, kv_heads, head_dim]
    runtime::DevicePointer out;   // [tokens, q_heads, head_dim]
    runtime::DevicePointer first_queries;  // int32 [sequences + 1]
    runtime::DevicePointer lengths;        // paged: int32 [sequences], keys of each, its new tokens included
    runtime::DevicePointer block_table;    // paged: int32 [sequences, table_width], blocks of the cache
    runtime::DevicePointer several, single;  // the tiles, int32 pairs
    int64_t several_count = 0, single_count = 0;
    int64_t tokens = 0, sequences = 0;
    int64_t q_stride = 0, kv_stride = 0;  // 0: without gaps
    int64_t table_width = 0;
  };
  void operator()(runtime::Stream& stream, const Arguments& arguments) const;

 private:
  X86AttentionSpec spec_;
  const runtime::Program *several_, *single_;
  int64_t tile_queries_, several_heads_,
      single_heads_;  // queries of a tile; query heads of a block of the grid
};

// The definition in double precision, for one sequence: q [queries, q_heads, head_dim] are the last of `keys`
// tokens, k and v [keys, kv_heads, head_dim].
void x86_attention_reference(const X86AttentionSpec& spec, const double* q, const double* k, const double* v,
                             double* out, int64_t queries, int64_t keys);

}  // namespace rose::kernels
