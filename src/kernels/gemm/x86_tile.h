// The frame of a matrix product under construction: its parameters, and what its inner loops share. Private
// to the x86 products.
#pragma once

#include "dsl/block.h"
#include "kernels/gemm/x86_gemm.h"

namespace rose::kernels::x86 {

using namespace dsl;

inline constexpr int kLanes = kX86PanelColumns;

// A tile's sums, f32 of kLanes columns each: [row][panel].
using Sums = std::vector<std::vector<Val>>;

// The parameters in their order, as tensors.
struct Product {
  Product(Block& block, const X86GemmSpec& spec);

  const X86GemmSpec& spec;
  const X86WeightFormat& format;
  X86Form form;
  Block& block;
  Tensor a;  // u8 [rows, bytes of a row or record]
  Tensor w;  // u8 [panels, bytes of a panel]
  Tensor bias, residual, out;
  Val rows;        // of a and out
  Val block_rows;  // rows of one block of the grid, a multiple of a tile's

  int64_t panels() const { return (spec.n + kLanes - 1) / kLanes; }
};

// `length` elements of `dtype` at the given byte of a row of bytes.
Tensor part(const Tensor& bytes, int64_t byte, Type dtype, int64_t length);
// The same at a byte that is known at run time, with a constant added.
Tensor part_at(const Tensor& bytes, const Val& byte, int64_t constant, Type dtype, int64_t length);

// The rows of `a` that a tile reads. There are records for whole tiles; of activations as they are, the last
// row stands in for those from `end` on.
std::vector<Tensor> tile_rows(Product& p, const Val& row, const Val& end);

// Vectors of accumulators. A Var that is copied becomes another variable, so they are never moved.
std::vector<std::vector<Var>> accumulators(size_t rows, int panels, Type type);
Sums read(const std::vector<std::vector<Var>>& accumulators);

// Of s8 weights, for the columns of a panel: -128 · Σ w, which undoes that activations are 128 too large, and
// the scales.
Val correction_of(Product& p, const Val& panel);
Val scale_of(Product& p, const Val& panel);
// The scale of a row of 8-bit activations.
Val activation_scale(Product& p, const Tensor& a_row);

// The inner loops: the sums of `a_rows` (rows of Product::a) times `panels` panels from `panel` on.
Sums plain_sums(Product& p, const std::vector<Tensor>& a_rows, const Val& panel, int panels);
Sums integer_sums(Product& p, const std::vector<Tensor>& a_rows, const Val& panel,
                  int panels);  // quantised W
Sums expanded_sums(Product& p, const std::vector<Tensor>& a_rows, const Val& panel,
                   int panels);  // the same, exact

// AMX, for spec.rows = kAmxRows: two panels at once.
inline constexpr int kAmxRows = 32;
bool amx_fits(const ir::Target& target, const X86GemmSpec& spec);
// The rows [first, end) and two panels from `panel` on; of an odd number of panels the last pair begins
// early. finish(row, panel, which of the two, raw sums: f32 or s32) stores a row's columns.
using AmxFinish = std::function<void(const Val&, const Val&, int, const Val&)>;
void amx_tiles(Product& p, const Val& first, const Val& end, const Val& panel, const AmxFinish& finish);

// One element of a row of activations as they are, as f32.
Val activation(const Product& p, const Tensor& a_row, const Val& index, int64_t constant);

}  // namespace rose::kernels::x86
