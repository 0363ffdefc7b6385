// Embedding lookup: out[t] = table[ids[t] - first_id] · scale, and zeros for ids outside of the table. So
// tables split by vocabulary over several devices add up to the whole.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct EmbeddingSpec {
  ir::Type dtype = ir::bf16;  // of the table
  ir::Type out_dtype = ir::bf16;
  int64_t hidden = 4096;  // elements of a row: 1 … 65536
  double scale = 1;       // Gemma multiplies by the root of hidden
  int threads = 0;        // of a GPU block; 0: chosen from hidden
  bool pdl = false;       // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of the table: bf16, f16 or f32");
    f("out_dtype", out_dtype, "type of out: bf16, f16 or f32");
    f("hidden", hidden, "elements of a row, 1 to 65536");
    f("scale", scale, "factor of every element");
    f("threads", threads, "threads of a GPU block; 0: chosen from hidden");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel embedding(const ir::Target& target, const EmbeddingSpec& spec);
CatalogEntry embedding_entry();

class Embedding {
 public:
  Embedding(runtime::Context& context, const EmbeddingSpec& spec);

  // ids: int32 [tokens]; table: [table_rows, hidden], row 0 of which belongs to the id first_id; out:
  // [tokens, hidden].
  void operator()(runtime::Stream& stream, runtime::DevicePointer ids, runtime::DevicePointer table,
                  runtime::DevicePointer out, int64_t tokens, int64_t table_rows, int64_t first_id = 0) const;

 private:
  const runtime::Program* program_;
};

// The definition in double precision.
void embedding_reference(const EmbeddingSpec& spec, const int32_t* ids, const double* table, double* out,
                         int64_t tokens, int64_t table_rows, int64_t first_id);

}  // namespace rose::kernels
