// What the Hopper products share: checks of their Specs, tensor maps, and arguments by name.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "dsl/hopper.h"
#include "kernels/gemm/gemm.h"

namespace rose::kernels {

constexpr int kGemmTileK = 64;  // elements along K of one box: 128 bytes, a row of the swizzle
constexpr int kGemmRowBytes = 128;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Throws KernelError unless the target is sm_90a and the Spec is in range.
void check_gemm(const ir::Target& target, const GemmSpec& spec, const char* kernel);

// f32 in, f32 out: the Spec's activation.
dsl::Val gemm_activation(const GemmSpec& spec, const dsl::Val& x);

struct GemmTensors {
  dsl::Tensor out, bias, residual;
};
// The epilogue of a warpgroup whose accumulators have 64 rows of the weights, from `row` (u32) on, as rows
// and tokens as columns: everything behind the sum, and the stores. Rows at `end` (s64) and beyond are left
// out. The kernel's dimension "m" is the number of tokens.
void store_swapped(dsl::Block& block, const GemmSpec& spec, const dsl::Accumulator& sums,
                   const GemmTensors& tensors, const dsl::Val& row, const std::optional<dsl::Val>& end);

// A row-major matrix whose boxes are 64 elements (one row of the 128-byte swizzle) by `box_rows`.
runtime::TensorMap gemm_map(runtime::Context& context, ir::Type dtype, runtime::DevicePointer base,
                            int64_t rows, int64_t columns, int64_t stride, int box_rows,
                            runtime::TensorMapL2 l2);

// The arguments in the order of the program's parameters.
std::vector<runtime::Argument> arguments_by_name(
    const runtime::Program& program,
    std::initializer_list<std::pair<std::string_view, runtime::Argument>> values);

// Strides with their defaults filled in, checked with the pointers; throws KernelError.
Gemm::Operands checked_operands(const GemmSpec& spec, const Gemm::Operands& operands, int64_t m);

// A problem for benchmarks. Weights, activations and outputs are rotated so that every launch finds its
// operands in memory, not in the L2 cache.
using GemmLaunch = std::function<void(runtime::Stream&, const Gemm::Operands&, int64_t m)>;
Case gemm_case(runtime::Context& context, const GemmSpec& spec, int64_t m, int64_t workspace_bytes,
               GemmLaunch launch);

}  // namespace rose::kernels
