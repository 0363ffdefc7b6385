// Quantisation of activations to 8 bits: q = x / scale, rounded to nearest even and saturated, with a scale
// that is given for the whole tensor, or found for each row (token) or each block of a row: max |x| / largest
// value of the type.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct QuantizeSpec {
  ir::Type dtype = ir::bf16;      // of x: bf16, f16 or f32
  ir::Type out_dtype = ir::e4m3;  // e4m3, e5m2, or s8 (symmetric: -127 … 127)
  int64_t width = 4096;           // elements of a row: 1 … 65536
  std::string scales = "token";   // tensor (given), token, or block
  int64_t block = 128;            // elements of a block: a power of two from 16 to 1024 that divides width
  bool power_of_two = false;      // scales are rounded up to powers of two (the ue8m0 scales of Blackwell)
  bool transposed = false;        // block scales as [width / block, rows] instead of [rows, width / block]

  void fields(Fields& f) {
    f("dtype", dtype, "type of x: bf16, f16 or f32");
    f("out_dtype", out_dtype, "e4m3, e5m2 or s8");
    f("width", width, "elements of a row, 1 to 65536");
    f("scales", scales, "tensor (given), token or block");
    f("block", block, "elements of a block, a power of two from 16 to 1024");
    f("power_of_two", power_of_two, "1: round scales up to powers of two");
    f("transposed", transposed, "1: block scales lie as [width / block, rows]");
  }
};

ir::Kernel quantize(const ir::Target& target, const QuantizeSpec& spec);
CatalogEntry quantize_entry();

class Quantize {
 public:
  Quantize(runtime::Context& context, const QuantizeSpec& spec);

  // x and out: [rows, width]. scales, f32: [1], read (tensor); [rows], written (token); [rows, width / block]
  // or its transpose, written (block). Where all of x is zero, the scale is 1. NaN stays NaN (s8: -128); an
  // infinity makes the scale infinite.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                  runtime::DevicePointer scales, int64_t rows) const;

 private:
  const runtime::Program* program_;
  QuantizeSpec spec_;
  ir::Target target_;
};

double quantize_limit(ir::Type out_dtype);  // largest value used: 448, 57344 or 127

// The definition in double precision. `scales` is read (tensor) or written; out holds the values of the
// stored numbers.
void quantize_reference(const QuantizeSpec& spec, const double* x, double* out, double* scales, int64_t rows);

}  // namespace rose::kernels
