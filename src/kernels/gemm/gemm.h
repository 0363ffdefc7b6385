// The matrix product of a layer on Hopper, for any number of rows:
//   out = activation(a · weightsᵀ + bias) + residual, summed in f32;
//   gated: out = activation(gate) · up + residual, where gate and up are two halves of one weight matrix.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/catalog.h"

namespace rose::kernels {

struct GemmSpec {
  ir::Type dtype = ir::bf16;        // of a, weights and residual: bf16 or f16
  ir::Type out_dtype = ir::bf16;    // dtype, or f32
  int64_t n = 4096, k = 4096;       // rows and columns of the weights; multiples of 8 (gated: n of 16)
  bool bias = false;                // f32, one for each row of the weights
  bool residual = false;            // of dtype, added last
  std::string activation = "none";  // none, silu, gelu_tanh, gelu_erf, relu, tanh or sigmoid
  bool gated = false;               // out has n / 2 columns; weights are packed by pack_gated
  bool pdl = false;                 // programmatic dependent launch: see Gemm

  int64_t out_columns() const { return gated ? n / 2 : n; }
  void fields(Fields& f) {
    f("dtype", dtype, "type of a, weights and residual: bf16 or f16");
    f("out_dtype", out_dtype, "type of out: dtype or f32");
    f("n", n, "rows of the weights; a multiple of 8 (gated: of 16)");
    f("k", k, "columns of a and of the weights; a multiple of 8");
    f("bias", bias, "1: add f32 bias");
    f("residual", residual, "1: add a tensor like out");
    f("activation", activation, "none, silu, gelu_tanh, gelu_erf, relu, tanh or sigmoid");
    f("gated", gated, "1: activation(gate) * up of interleaved weights");
    f("pdl", pdl, "1: programmatic dependent launch");
  }
};

// Weights in device memory are [n, k], row-major, without gaps. Gated, row i of the gate projection is row
// gated_row(i, false), and row i of the up projection row gated_row(i, true): eight rows of one, then eight
// of the other. A bias of a gated product is permuted in the same way.
constexpr int64_t gated_row(int64_t i, bool up) { return i / 8 * 16 + (up ? 8 : 0) + i % 8; }
// Interleaves gate and up, each `rows` rows (a multiple of 8) of `row_bytes`, into `packed` (host memory).
void pack_gated(const std::byte* gate, const std::byte* up, std::byte* packed, int64_t rows,
                size_t row_bytes);
inline int64_t weight_bytes(const GemmSpec& spec) { return spec.n * spec.k * spec.dtype.bits() / 8; }

// Used by one thread at a time, and its launches by one stream at a time. Launches may be captured in a
// graph; nothing is allocated and nobody waits then. With `pdl` a launch may begin before the kernel ahead of
// it has ended: it reads weights at once, and everything else once that kernel is done; so weights must not
// be written by a kernel that comes shortly before.
//
// A row's bits depend on nothing but the row and the Spec for up to 64 rows, and beyond them on the range of
// rows alone (see gemm.cpp); the order of every sum is fixed.
class Gemm {
 public:
  // Throws KernelError for a Spec out of range, or a device that is not Hopper. Compiles nothing yet.
  Gemm(runtime::Context& context, const GemmSpec& spec);

  static constexpr size_t kPrograms = 10;
  const GemmSpec& spec() const { return spec_; }

  // Compiles, or finds in the cache, all that products of up to `max_m` rows need. Otherwise the first launch
  // of each range of rows does.
  void prepare(int64_t max_m);
  // Numbers of rows up to `max_m`, one for each program that they need: prepare_for each, perhaps with Gemms
  // of their own on several threads, does the same.
  std::vector<int64_t> program_rows(int64_t max_m) const;
  void prepare_for(int64_t m) { program_of(program_number(m)); }

  // Bytes of workspace that products of up to `max_m` rows need; perhaps 0. Products may share a workspace
  // when they run one after the other.
  int64_t workspace_bytes(int64_t max_m) const;

  struct Operands {
    runtime::DevicePointer a;  // [m, k], 16-byte aligned
    int64_t a_stride = 0;      // elements between rows, a multiple of 8; 0: k
    runtime::DevicePointer weights;
    runtime::DevicePointer out;        // [m, out_columns], 16-byte aligned
    int64_t out_stride = 0;            // elements between rows, a multiple of 8; 0: out_columns
    runtime::DevicePointer bias;       // f32 [n], with bias
    runtime::DevicePointer residual;   // [m, out_columns], with residual; may be out
    int64_t residual_stride = 0;       // elements between rows, a multiple of 8; 0: out_columns
    runtime::DevicePointer workspace;  // workspace_bytes(m), 256-byte aligned, not initialised
  };
  void operator()(runtime::Stream& stream, const Operands& operands, int64_t m);

 private:
  size_t program_number(int64_t m) const;
  const runtime::Program& program_of(size_t number);

  runtime::Context* context_;
  GemmSpec spec_;
  runtime::Buffer counters_;  // of tiles that blocks share; zero between launches
  int few_blocks_ = 0;        // of launches whose blocks share tiles
  std::array<const runtime::Program*, kPrograms> programs_{};  // for ranges of rows
};

// The definition in double precision. residual and bias may be null when the Spec has none.
void gemm_reference(const GemmSpec& spec, const double* a, const double* weights, const double* bias,
                    const double* residual, double* out, int64_t m);

CatalogEntry gemm_entry();

}  // namespace rose::kernels
