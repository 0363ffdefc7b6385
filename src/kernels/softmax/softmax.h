// Softmax of rows: out = e^(v - max v) / Σ e^(v - max v) with v = x · scale + mask, or its logarithm.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct SoftmaxSpec {
  ir::Type dtype = ir::bf16;  // of x and mask; arithmetic is f32
  ir::Type out_dtype = ir::bf16;
  int64_t width = 4096;  // elements of a row: 1 … 65536
  bool mask = false;     // an additive mask, one row of it for several rows of x
  bool lengths = false;  // elements from lengths[row] on count as -infinity
  bool log = false;      // log-softmax
  int threads = 0;       // of a GPU block; 0: chosen from width
  bool pdl = false;      // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of x and mask: bf16, f16 or f32");
    f("out_dtype", out_dtype, "type of out: bf16, f16 or f32");
    f("width", width, "elements of a row, 1 to 65536");
    f("mask", mask, "1: add a mask");
    f("lengths", lengths, "1: a valid length for each row");
    f("log", log, "1: the logarithm of the softmax");
    f("threads", threads, "threads of a GPU block; 0: chosen from width");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel softmax(const ir::Target& target, const SoftmaxSpec& spec);
CatalogEntry softmax_entry();

class Softmax {
 public:
  Softmax(runtime::Context& context, const SoftmaxSpec& spec);

  // A row without any finite element gives zeros (log: -infinity), a row with a NaN or +infinity gives NaN.
  struct Arguments {
    runtime::DevicePointer x;    // [rows, width]
    runtime::DevicePointer out;  // [rows, width]; may be x where the types are equal
    runtime::DevicePointer
        mask;  // [ceil(rows / rows_per_mask), width]; row r of x takes row r / rows_per_mask
    runtime::DevicePointer lengths;  // int32 [rows]
    int64_t rows = 0;
    int64_t rows_per_mask = 1;
    float scale = 1;
  };
  void operator()(runtime::Stream& stream, const Arguments& arguments) const;

 private:
  const runtime::Program* program_;
  SoftmaxSpec spec_;
};

// The definition in double precision; mask and lengths may be null.
void softmax_reference(const SoftmaxSpec& spec, const double* x, const double* mask, const int32_t* lengths,
                       double* out, int64_t rows, int64_t rows_per_mask, double scale);

}  // namespace rose::kernels
