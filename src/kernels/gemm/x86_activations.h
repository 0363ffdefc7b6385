// The first step of a matrix product on x86: rows of activations in the form that the product's inner loop
// reads.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

// What becomes of a row of k elements, in one record of `bytes` bytes (a multiple of 64):
//   as_is     nothing: the product reads the model's own rows
//   bf16      bf16[k]
//   bytes     u8[k]: 128 + the element over the row's scale, nearest, in 1 … 255; then f32 scale, the row's
//   largest
//             absolute value / 127
//   blocks    s8[k]: the element over the scale of its 32 neighbours; then f32 scale[k / 32]; s32 -Σq[k /
//   32];
//             f32 scale·Σq[k / 32]; s32 -Σq[k / 16] of 16 neighbours
enum class X86Form : uint8_t { kAsIs, kBf16, kBytes, kBlocks };

struct X86Record {
  int64_t bytes = 0;
  int64_t scales = 0, sums = 0, scaled_sums = 0, half_sums = 0;  // byte offsets
};
X86Record x86_record(X86Form form, int64_t k);

struct X86ActivationsSpec {
  ir::Type dtype = ir::bf16;    // of the model's activations: f32, bf16 or f16
  std::string form = "blocks";  // bf16, bytes or blocks
  int64_t k = 4096;             // elements of a row; blocks: a multiple of 32

  void fields(Fields& f) {
    f("dtype", dtype, "type of the activations: f32, bf16 or f16");
    f("form", form, "bf16, bytes (one scale a row) or blocks (one scale for 32 elements)");
    f("k", k, "elements of a row, up to 65536");
  }
};

X86Form x86_form(std::string_view name);  // throws KernelError

ir::Kernel x86_activations(const ir::Target& target, const X86ActivationsSpec& spec);
CatalogEntry x86_activations_entry();

class X86Activations {
 public:
  X86Activations(runtime::Context& context, const X86ActivationsSpec& spec);
  // x: [rows, k]; records: rows × x86_record(form, k).bytes.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer records,
                  int64_t rows) const;

 private:
  const runtime::Program* program_;
};

}  // namespace rose::kernels
