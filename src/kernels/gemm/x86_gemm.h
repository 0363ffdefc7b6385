// Matrix products on x86: out[M, N] = a[M, K] · W[N, K]ᵀ (+ bias) (+ residual), with W in any format of
// x86_weights.h and sums in f32 (s32 between 8-bit integers).
//
// What is computed, by the format of W:
//   f32, f16   f32 products
//   bf16       products of bf16 pairs; activations of another type are rounded to bf16 first. exact: f32
//   s8         products of 8-bit integers; activations are quantised, one scale a row
//   quantised  products of 8-bit integers; activations are quantised, one scale for 32 elements of a row.
//              exact: W is expanded to f32 while it is read, activations stay as they are
// A row of the result depends on its own activations alone, not on M: every tile adds its products in the
// same order. Rows of prompts (Operands::prompt) are computed in their own way where the machine has AMX with
// bf16: quantised weights are expanded to bf16 and meet bf16 activations, which is faster and closer to the
// truth; it, too, does not depend on M (but for activations that are bf16 already, below 32 rows).
#pragma once

#include <array>
#include <memory>

#include "kernels/gemm/x86_activations.h"
#include "kernels/gemm/x86_weights.h"

namespace rose::kernels {

struct X86GemmSpec {
  std::string weights = "bf16";  // a format of x86_weights.h
  ir::Type dtype = ir::bf16;     // of a: f32, bf16 or f16
  ir::Type out = ir::bf16;       // of out and residual: f32, bf16 or f16
  int64_t n = 4096, k = 4096;
  int64_t out_stride = 0;  // elements from row to row of out and residual; 0: n
  bool bias = false;       // out += bias; f32 [n]
  bool residual = false;   // out += residual [M, n], which may be out itself
  bool exact = false;      // no rounding of activations: see above
  bool amx = true;         // use AMX where the machine has it: rows of prompts, and s8 from 32 rows on
  int rows = 0;            // of a tile of this program; 0: chosen for many rows

  void fields(Fields& f) {
    f("weights", weights, "format of W: f32, f16, bf16, s8 or a GGUF format such as q4_k");
    f("dtype", dtype, "type of a: f32, bf16 or f16");
    f("out", out, "type of out and residual: f32, bf16 or f16");
    f("n", n, "columns of out, rows of W");
    f("k", k, "columns of a and of W; a multiple of the format's block");
    f("out_stride", out_stride, "elements from row to row of out and residual; 0: n");
    f("bias", bias, "1: add a bias, f32 [n]");
    f("residual", residual, "1: add a residual of out's type and shape");
    f("exact", exact, "1: keep activations as they are and expand W to f32");
    f("amx", amx,
      "1: use AMX for rows of prompts, and with s8 for 32 rows and more, where the machine has it");
    f("rows", rows, "rows of a tile, 1 to 16, or 32 for AMX; 0: chosen for many rows");
  }
};

// The form in which the product reads a.
X86Form x86_form(const X86GemmSpec& spec);

ir::Kernel gemm_x86(const ir::Target& target, const X86GemmSpec& spec);
CatalogEntry gemm_x86_entry();

class X86Gemm {
 public:
  // Programs (for 1, 2, 4 and many rows, and for AMX) are made when they are first needed.
  X86Gemm(runtime::Context& context, const X86GemmSpec& spec);
  // Makes those for one row and for prompts of many.
  void prepare() const;

  const X86GemmSpec& spec() const { return spec_; }
  int64_t weight_bytes() const;                 // of packed weights
  int64_t workspace_bytes(int64_t rows) const;  // of records of activations; 0 when a is read as it is
  // Whether another product of the same rows can read the records that this one makes.
  bool shares_records(const X86Gemm& other) const;

  struct Operands {
    runtime::DevicePointer a;          // [rows, k]; null when the workspace holds its records already
    runtime::DevicePointer weights;    // packed by x86_pack
    runtime::DevicePointer out;        // [rows, n]
    runtime::DevicePointer workspace;  // workspace_bytes(rows); holds the records of a afterwards
    runtime::DevicePointer bias, residual;
    bool prompt = false;  // all rows belong to prompts
  };
  // One thread at a time. Several products of equal k, dtype, form and `prompt` can share the records: the
  // first makes them, the others pass a = null. With out_stride they can write neighbouring columns of one
  // matrix.
  void operator()(runtime::Stream& stream, const Operands& operands, int64_t rows) const;

 private:
  struct Shape {
    int rows = 0, panels = 0;
    const runtime::Program* program = nullptr;  // null: not made yet
  };
  bool takes_amx(int64_t rows, bool prompt) const;
  const runtime::Program& program_of(Shape& shape) const;

  runtime::Context* context_;
  X86GemmSpec spec_;
  int threads_;                                                    // of the device
  mutable std::vector<Shape> shapes_;                              // by rising rows of a tile
  mutable Shape amx_;                                              // no rows: not on this machine
  std::unique_ptr<X86Activations> activations_, amx_activations_;  // null: a is read as it is
};

// The definition in double precision, nothing quantised. `w` holds the n × k values that the format stands
// for.
void x86_gemm_reference(const X86GemmSpec& spec, const double* a, const double* w, const double* bias,
                        const double* residual, double* out, int64_t rows);

}  // namespace rose::kernels
