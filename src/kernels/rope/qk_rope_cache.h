// What stands between the QKV projection and attention, in one pass over the packed rows: an optional norm of
// each query and key head, rotary embedding, and the write of keys and values into a paged cache.
#pragma once

#include "kernels/catalog.h"
#include "kernels/rope/rotation.h"

namespace rose::kernels {

struct QkRopeCacheSpec {
  ir::Type dtype = ir::bf16;      // of qkv, weights and q; arithmetic is f32
  ir::Type kv_dtype = ir::bf16;   // of the caches: bf16, f16, f32 or e4m3 (then with scales)
  ir::Type slot_dtype = ir::s64;  // of the slot mapping: s32 or s64
  int64_t q_heads = 32, kv_heads = 8;
  int64_t head_dim = 128;
  int64_t rotary_dim = 128;    // the first elements of a head turn; 0: no rotation
  std::string style = "half";  // or interleaved
  bool norm = false;           // root-mean-square norm of each query and key head, before the rotation
  double epsilon = 1e-6;
  bool weight_plus_one = false;  // the norm multiplies by (1 + weight), as Gemma's does
  bool q_out = false;            // queries go to an output of their own; else they stay in qkv
  bool pdl = false;  // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of qkv, weights and q: bf16, f16 or f32");
    f("kv_dtype", kv_dtype, "type of the caches: bf16, f16, f32 or e4m3");
    f("slot_dtype", slot_dtype, "type of the slot mapping: s32 or s64");
    f("q_heads", q_heads, "query heads");
    f("kv_heads", kv_heads, "key heads, and as many value heads");
    f("head_dim", head_dim, "elements of a head");
    f("rotary_dim", rotary_dim, "leading elements of a head that turn, even; 0: none");
    f("style", style, "pairs of elements: half or interleaved");
    f("norm", norm, "1: root-mean-square norm of query and key heads first");
    f("epsilon", epsilon, "added to the mean of squares");
    f("weight_plus_one", weight_plus_one, "1: the norm multiplies by 1 + weight (Gemma)");
    f("q_out", q_out, "1: write queries to an output of their own");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel qk_rope_cache(const ir::Target& target, const QkRopeCacheSpec& spec);
CatalogEntry qk_rope_cache_entry();

class QkRopeCache {
 public:
  QkRopeCache(runtime::Context& context, const QkRopeCacheSpec& spec);

  struct Arguments {
    runtime::DevicePointer qkv;        // [tokens, q_heads + 2·kv_heads, head_dim]: queries, keys, values
    runtime::DevicePointer q_weight;   // [head_dim]; with norm
    runtime::DevicePointer k_weight;   // [head_dim]; with norm
    runtime::DevicePointer positions;  // int32 [tokens], clamped to the table; with rotary_dim > 0
    runtime::DevicePointer table;      // f32 [table_rows, rotary_dim] of rope_table(); with rotary_dim > 0
    runtime::DevicePointer slots;  // [tokens]: block · block_size + place in the block; negative: not cached
    runtime::DevicePointer k_cache;  // [blocks, block_size, kv_heads, head_dim]; slots must lie inside
    runtime::DevicePointer v_cache;  // the same
    runtime::DevicePointer
        kv_scales;  // f32 [2], of keys and of values, with e4m3: what is stored is value / scale
    runtime::DevicePointer q_out;  // [tokens, q_heads, head_dim]; with q_out
    int64_t tokens = 0;
    int64_t table_rows = 0;
  };
  void operator()(runtime::Stream& stream, const Arguments& arguments) const;

 private:
  const runtime::Program* program_;
  QkRopeCacheSpec spec_;
  ir::Target target_;
};

// The definition in double precision, before the values are stored: qkv [tokens, q_heads + 2·kv_heads,
// head_dim] is normalised and rotated in place; weights are null without norm.
void qk_rope_cache_reference(const QkRopeCacheSpec& spec, double* qkv, const double* q_weight,
                             const double* k_weight, const int32_t* positions, const float* table,
                             int64_t tokens, int64_t table_rows);

}  // namespace rose::kernels
