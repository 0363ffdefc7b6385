// Attention on Hopper: out = softmax(q·kᵀ·scale + mask)·v (Vaswani et al., 2017) for packed sequences of
// different lengths, with the online softmax of Milakov and Gimelshein (2018). Keys and values lie beside the
// queries (encoders) or in a paged cache (decoders); several query heads may share one key head.
//
// Two kernels. AttentionSm90 is for many queries a sequence: TMA and wgmma, with the schedule of
// FlashAttention-3 (Shah et al., 2024). DecodeAttentionSm90 is for one query a sequence, where the cache's
// bytes are all that counts: sequences are split into chunks, and the partial results added in a fixed order.
//
// What a query gets depends on its own sequence and position alone: not on the other sequences of the launch,
// nor (AttentionSm90) on where a prompt was cut. The two kernels round differently: give each sequence with
// one new token to the same one of them always.
#pragma once

#include <span>
#include <vector>

#include "kernels/catalog.h"

namespace rose::kernels {

struct AttentionSm90Spec {
  ir::Type dtype = ir::bf16;  // of q, keys, values and out: bf16 or f16; accumulation is f32
  int64_t q_heads = 32, kv_heads = 8;
  int64_t head_dim = 128;       // a multiple of 8 up to 256
  std::string mask = "causal";  // causal: keys up to the query's own; full: all keys of the sequence
  int64_t window =
      0;  // causal: the last `window` keys, its own included; full: up to window / 2 away; 0: all
  int64_t block_size = 0;  // of the paged cache: 16, 32 or a multiple of 64; 0: keys and values are packed
  double scale = 0;        // of q·k; 0: 1 / √head_dim
  double softcap = 0;      // scores become softcap · tanh(score / softcap) (Gemma 2); 0: they stay
  // How it is done; results differ by rounding alone, and only where tile_keys differs.
  int consumers = 0;       // warpgroups of 64 queries each, 1 to 3; 0: what suits head_dim
  int tile_keys = 0;       // keys of a tile, a multiple of 64; 0: what suits head_dim
  int stages = 0;          // tiles of keys, and of values, in shared memory; 0: what suits
  int blocks = 0;          // blocks a multiprocessor, 1 to 4; 0: what suits
  bool overlap = true;     // the next q·k runs during a tile's softmax
  bool pingpong = true;    // warpgroups take turns: one multiplies while another does its softmax
  bool persistent = true;  // one block a multiprocessor walks over the tiles
  bool pdl = false;  // may start before the kernel ahead of it has ended (programmatic dependent launch)

  void fields(Fields& f) {
    f("dtype", dtype, "type of q, keys, values and out: bf16 or f16");
    f("q_heads", q_heads, "query heads");
    f("kv_heads", kv_heads, "key heads, and as many value heads; divides q_heads");
    f("head_dim", head_dim, "elements of a head, a multiple of 8 up to 256");
    f("mask", mask, "causal or full");
    f("window", window, "keys that a query sees; 0: all that the mask allows");
    f("block_size", block_size,
      "tokens of a block of the paged cache: 16, 32 or a multiple of 64; 0: packed");
    f("scale", scale, "factor of q·k; 0: one over the root of head_dim");
    f("softcap", softcap, "scores become softcap · tanh(score / softcap); 0: off");
    f("consumers", consumers, "warpgroups of 64 queries each, 1 to 3; 0: what suits head_dim");
    f("tile_keys", tile_keys, "keys of a tile, a multiple of 64; 0: what suits head_dim");
    f("stages", stages, "tiles of keys, and of values, in shared memory; 0: what suits");
    f("blocks", blocks, "blocks a multiprocessor, 1 to 4; 0: what suits");
    f("overlap", overlap, "1: the next q·k runs during a tile's softmax");
    f("pingpong", pingpong, "1: warpgroups take turns between products and softmax");
    f("persistent", persistent, "1: one block a multiprocessor walks over the tiles");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel attention_sm90(const ir::Target& target, const AttentionSm90Spec& spec);
CatalogEntry attention_sm90_entry();

class AttentionSm90 {
 public:
  AttentionSm90(runtime::Context& context, const AttentionSm90Spec& spec);

  // Queries of one tile.
  int64_t tile_queries() const { return tile_queries_; }

  // The tiles of a launch, made on the host: int32 pairs (sequence, first query of the tile within it), those
  // with the most keys first. `first_queries` has one entry a sequence and one more: sequence s has the
  // tokens [first_queries[s], first_queries[s + 1]). `lengths`: keys of each sequence, new tokens included
  // (paged); empty: each has as many keys as queries. Sequences without queries get no tile; with
  // `skip_single`, nor do those with one query (they are DecodeAttentionSm90's). The list depends on neither
  // layer nor window.
  std::vector<int32_t> tiles(std::span<const int32_t> first_queries, std::span<const int32_t> lengths = {},
                             bool skip_single = false) const;

  struct Arguments {
    runtime::DevicePointer q;  // [tokens, q_heads, head_dim], tokens q_stride elements apart; 16-byte aligned
    runtime::DevicePointer k, v;  // packed: [tokens, kv_heads, head_dim], tokens kv_stride elements apart;
                                  // paged: [blocks, block_size, kv_heads, head_dim]; 16-byte aligned
    runtime::DevicePointer out;   // [tokens, q_heads, head_dim]; 16-byte aligned
    runtime::DevicePointer first_queries;  // int32 [sequences + 1]
    runtime::DevicePointer lengths;        // paged: int32 [sequences], keys of each, its new tokens included
    runtime::DevicePointer block_table;  // paged: int32 [sequences, table_width]; entries beyond a sequence's
                                         // last key are not read
    runtime::DevicePointer tiles;        // int32 [tile_count, 2], of tiles()
    int64_t tile_count = 0;
    int64_t tokens = 0;  // rows of q and out (packed: of k and v); may exceed the sequences' tokens
    int64_t q_stride = 0, kv_stride = 0;  // multiples of 8; 0: without gaps
    int64_t table_width = 0;
  };
  // A launch with its tensor maps encoded once. Keys beyond a sequence's length may hold anything, NaN
  // included.
  runtime::PreparedLaunch prepare(const Arguments& arguments) const;
  void operator()(runtime::Stream& stream, const Arguments& arguments) const {
    if (arguments.tile_count > 0) stream.launch(prepare(arguments));
  }

 private:
  runtime::Context* context_;
  AttentionSm90Spec spec_;
  const runtime::Program* program_;
  int64_t tile_queries_;
};

struct DecodeAttentionSm90Spec {
  ir::Type dtype = ir::bf16;  // of q, keys, values and out: bf16 or f16; accumulation is f32
  int64_t q_heads = 32, kv_heads = 8;
  int64_t head_dim = 128;   // a multiple of 8 up to 256
  int64_t window = 0;       // the last `window` keys, the query's own included; 0: all
  int64_t block_size = 64;  // of the paged cache: 16, 32 or a multiple of 64
  double scale = 0;         // of q·k; 0: 1 / √head_dim
  double softcap = 0;       // scores become softcap · tanh(score / softcap); 0: they stay
  int64_t chunk = 512;  // least keys of a piece of a sequence, a multiple of 64; beyond 16 pieces they grow
  int stages = 0;       // pages of 64 keys in flight a block; 0: what suits
  int blocks = 0;       // blocks a multiprocessor, 1 to 4; 0: what suits
  bool pdl = false;     // may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of q, keys, values and out: bf16 or f16");
    f("q_heads", q_heads, "query heads");
    f("kv_heads", kv_heads, "key heads, and as many value heads; divides q_heads");
    f("head_dim", head_dim, "elements of a head, a multiple of 8 up to 256");
    f("window", window, "keys that a query sees; 0: all");
    f("block_size", block_size, "tokens of a block of the paged cache: 16, 32 or a multiple of 64");
    f("scale", scale, "factor of q·k; 0: one over the root of head_dim");
    f("softcap", softcap, "scores become softcap · tanh(score / softcap); 0: off");
    f("chunk", chunk, "keys of a piece of a sequence, a multiple of 64");
    f("stages", stages, "pages of 64 keys in flight a block; 0: what suits");
    f("blocks", blocks, "blocks a multiprocessor, 1 to 4; 0: what suits");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel decode_attention_sm90(const ir::Target& target, const DecodeAttentionSm90Spec& spec);
CatalogEntry decode_attention_sm90_entry();

// The small kernel that makes the list of pieces from the lengths.
struct DecodePlanSm90Spec {
  int64_t window = 0, chunk = 512;  // as in DecodeAttentionSm90Spec
  bool pdl = false;

  void fields(Fields& f) {
    f("window", window, "keys that a query sees; 0: all");
    f("chunk", chunk, "keys of a piece of a sequence, a multiple of 64");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel decode_plan_sm90(const ir::Target& target, const DecodePlanSm90Spec& spec);
CatalogEntry decode_plan_sm90_entry();

// One new token of each sequence. Everything that changes from step to step lies on the device, and the grid
// is fixed: plan() and the launches can be captured in a graph once and replayed with other lengths and block
// tables.
class DecodeAttentionSm90 {
 public:
  DecodeAttentionSm90(runtime::Context& context, const DecodeAttentionSm90Spec& spec);

  // Bytes of the plan: a step makes one for all layers of equal window and chunk.
  static int64_t plan_bytes(int64_t sequences);
  // Bytes of the workspace for sequences of at most `longest` keys. It must be zero before its first use (and
  // is left so that it can be used again); launches that share it must follow each other in one stream.
  int64_t workspace_bytes(int64_t sequences, int64_t longest) const;

  // Writes the plan from lengths: int32 [sequences], keys of each sequence, its new token included; 0: no
  // query, and its row of out is not written. With first_queries (int32 [sequences + 1]; may be null) the
  // query of sequence s is row first_queries[s] of q and out, and only sequences with exactly one query take
  // part; without, it is row s.
  void plan(runtime::Stream& stream, runtime::DevicePointer lengths, runtime::DevicePointer first_queries,
            int64_t sequences, runtime::DevicePointer plan) const;

  struct Arguments {
    runtime::DevicePointer q;  // [tokens, q_heads, head_dim], tokens q_stride elements apart; 16-byte aligned
    runtime::DevicePointer k, v;         // [blocks, block_size, kv_heads, head_dim]; 16-byte aligned
    runtime::DevicePointer out;          // [tokens, q_heads, head_dim]
    runtime::DevicePointer block_table;  // int32 [sequences, table_width]
    runtime::DevicePointer plan;         // of plan()
    runtime::DevicePointer workspace;
    int64_t sequences = 0;
    int64_t q_stride = 0;  // a multiple of 8; 0: without gaps
    int64_t table_width = 0;
    int64_t longest = 0;  // the bound that workspace_bytes was asked with
  };
  runtime::PreparedLaunch prepare(const Arguments& arguments) const;
  void operator()(runtime::Stream& stream, const Arguments& arguments) const {
    if (arguments.sequences > 0) stream.launch(prepare(arguments));
  }

 private:
  runtime::Context* context_;
  DecodeAttentionSm90Spec spec_;
  const runtime::Program *program_, *plan_;
  uint32_t grid_;
};

// The definition in double precision, for one sequence: q [queries, q_heads, head_dim] are the last of `keys`
// tokens, k and v [keys, kv_heads, head_dim].
void attention_sm90_reference(const AttentionSm90Spec& spec, const double* q, const double* k,
                              const double* v, double* out, int64_t queries, int64_t keys);

}  // namespace rose::kernels
