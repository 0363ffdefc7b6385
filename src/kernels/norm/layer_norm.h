// Layer norm of rows: out = (x - mean) / sqrt(variance + epsilon) · weight + bias (Ba, Kiros and Hinton,
// 2016), and the same fused with the residual addition before it.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct LayerNormSpec {
  ir::Type dtype = ir::bf16;  // of x, residual, weight, bias and out; sums are f32
  int64_t hidden = 4096;      // elements of a row: 1 … 65536
  double epsilon = 1e-5;
  bool weight = true;  // false: weight is 1 (and a bias is not allowed)
  bool bias = true;
  bool residual = false;  // x += residual first; the sum, rounded to dtype, replaces residual
  int threads = 0;        // of a GPU block; 0: chosen from hidden
  bool pdl = false;       // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of x, weight, bias and out: bf16, f16 or f32");
    f("hidden", hidden, "elements of a row, 1 to 65536");
    f("epsilon", epsilon, "added to the variance");
    f("weight", weight, "1: multiply by a weight");
    f("bias", bias, "1: add a bias after the weight");
    f("residual", residual, "1: add the residual first and write the sum back to it");
    f("threads", threads, "threads of a GPU block; 0: chosen from hidden");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel layer_norm(const ir::Target& target, const LayerNormSpec& spec);
CatalogEntry layer_norm_entry();

class LayerNorm {
 public:
  LayerNorm(runtime::Context& context, const LayerNormSpec& spec);

  // Pointers that the Spec does not ask for may stay empty; a missing one throws KernelError.
  struct Arguments {
    runtime::DevicePointer x;         // [rows, hidden]
    runtime::DevicePointer residual;  // [rows, hidden], replaced by residual + x
    runtime::DevicePointer weight;    // [hidden]
    runtime::DevicePointer bias;      // [hidden]
    runtime::DevicePointer out;       // [rows, hidden]; may be x
    int64_t rows = 0;
  };
  void operator()(runtime::Stream& stream, const Arguments& arguments) const;

 private:
  const runtime::Program* program_;
  LayerNormSpec spec_;
};

// The definition in double precision. `residual` (may be null) is replaced by the sum; weight and bias may be
// null.
void layer_norm_reference(const LayerNormSpec& spec, const double* x, double* residual, const double* weight,
                          const double* bias, double* out, int64_t rows);

}  // namespace rose::kernels
