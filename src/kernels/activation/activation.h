// Elementwise activations of rows: out = f(x), and the gated form of transformer feed-forward layers,
// out = f(gate) · up (Shazeer, "GLU variants improve transformer", 2020).
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct ActivationSpec {
  ir::Type dtype = ir::bf16;      // of all tensors; arithmetic is f32
  int64_t width = 4096;           // elements of a row of out: 1 … 65536
  std::string function = "silu";  // silu, gelu_tanh, gelu_erf, relu, tanh or sigmoid
  std::string form =
      "packed";      // packed: x is [rows, 2·width], gate first; separate: gate and up; plain: no gate
  double cap = 0;    // not 0: cap · f(x / cap); with tanh, values stay within ±cap (Gemma 2)
  int threads = 0;   // of a GPU block; 0: chosen from width
  bool pdl = false;  // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of all tensors: bf16, f16 or f32");
    f("width", width, "elements of a row of out, 1 to 65536");
    f("function", function, "silu, gelu_tanh, gelu_erf, relu, tanh or sigmoid");
    f("form", form, "packed (f(x[:width]) * x[width:]), separate (f(gate) * up) or plain (f(x))");
    f("cap", cap, "cap · f(x / cap) instead of f(x); 0: off");
    f("threads", threads, "threads of a GPU block; 0: chosen from width");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

ir::Kernel activation(const ir::Target& target, const ActivationSpec& spec);
CatalogEntry activation_entry();

class ActivationKernel {
 public:
  ActivationKernel(runtime::Context& context, const ActivationSpec& spec);

  // packed: x [rows, 2·width]. plain: x [rows, width]. out [rows, width]; plain: may be x.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                  int64_t rows) const;
  // separate: gate, up and out [rows, width]; out may be gate or up.
  void operator()(runtime::Stream& stream, runtime::DevicePointer gate, runtime::DevicePointer up,
                  runtime::DevicePointer out, int64_t rows) const;

 private:
  const runtime::Program* program_;
  bool separate_;
};

// The definition in double precision. `up` is null unless the form is separate.
void activation_reference(const ActivationSpec& spec, const double* x, const double* up, double* out,
                          int64_t rows);

}  // namespace rose::kernels
