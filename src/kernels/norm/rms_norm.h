// Root-mean-square norm of rows: out = x / sqrt(mean(x²) + epsilon) · weight (Zhang and Sennrich, 2019), and
// the same fused with the residual addition before it.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct RmsNormSpec {
  ir::Type dtype = ir::bf16;  // of x, residual, weight and out; sums are f32
  int64_t hidden = 4096;      // elements of a row: 1 … 65536
  double epsilon = 1e-6;
  bool residual = false;         // x += residual first; the sum, rounded to dtype, replaces residual
  bool weight_plus_one = false;  // multiply by (1 + weight), as Gemma does
  int threads = 0;               // of a GPU block; 0: chosen from hidden
  bool pdl = false;  // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of x, weight and out: bf16, f16 or f32");
    f("hidden", hidden, "elements of a row, 1 to 65536");
    f("epsilon", epsilon, "added to the mean of squares");
    f("residual", residual, "1: add the residual first and write the sum back to it");
    f("weight_plus_one", weight_plus_one, "1: multiply by 1 + weight (Gemma)");
    f("threads", threads, "threads of a GPU block; 0: chosen from hidden");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel rms_norm(const ir::Target& target, const RmsNormSpec& spec);
CatalogEntry rms_norm_entry();

class RmsNorm {
 public:
  RmsNorm(runtime::Context& context, const RmsNormSpec& spec);

  // x and out: [rows, hidden]; weight: [hidden]. out may be x.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer weight,
                  runtime::DevicePointer out, int64_t rows) const;
  // With spec.residual: residual [rows, hidden] is read and replaced by residual + x.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer residual,
                  runtime::DevicePointer weight, runtime::DevicePointer out, int64_t rows) const;

 private:
  const runtime::Program* program_;
  bool residual_;
};

// The definition in double precision. `residual` (may be null) is replaced by the sum.
void rms_norm_reference(const RmsNormSpec& spec, const double* x, double* residual, const double* weight,
                        double* out, int64_t rows);

}  // namespace rose::kernels
