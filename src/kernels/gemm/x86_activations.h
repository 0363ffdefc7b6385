// The first step of a matrix product on x86: rows of activations in the form that the product's inner loop
// reads.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

// What becomes of a row of k elements, in one record of `bytes` bytes (a multiple of 64):
//   as_is     nothing: the product reads the model's own rows
//   bf16      bf16[k]
//   bytes     u8[k]: 128 + the element over the row's scale, nearest, in 1 … 255; then, at a multiple of 4,
//             the f32 scale: the row's largest absolute value / 127
//   blocks    for each 32 elements one X86Group
enum class X86Form : uint8_t { kAsIs, kBf16, kBytes, kBlocks };

// 32 elements and what every quantised format wants to know of them, in one cache line.
struct X86Group {
  int8_t q[32];          // the element over `scale`, nearest
  float scale;           // the largest absolute value / 127
  float scaled_sum;      // scale · Σq
  int32_t sums[3];       // -8 · Σq, -16 · Σq, -128 · Σq
  int32_t half_sums[2];  // -32 · Σq of the first and of the last 16
  int32_t unused;
};
static_assert(sizeof(X86Group) == 64);

int64_t x86_record_bytes(X86Form form, int64_t k);
inline int64_t x86_scale_offset(int64_t k) { return (k + 3) / 4 * 4; }  // in a record of bytes

struct X86ActivationsSpec {
  ir::Type dtype = ir::bf16;    // of the model's activations: f32, bf16 or f16
  std::string form = "blocks";  // bf16, bytes or blocks
  int64_t k = 4096;             // elements of a row; blocks: a multiple of 32

  void fields(Fields& f) {
    f("dtype", dtype, "type of the activations: f32, bf16 or f16");
    f("form", form, "bf16, bytes (one scale a row) or blocks (one scale for 32 elements)");
    f("k", k, "elements of a row, up to 1048576");
  }
};

X86Form x86_form(std::string_view name);  // throws KernelError

ir::Kernel x86_activations(const ir::Target& target, const X86ActivationsSpec& spec);
CatalogEntry x86_activations_entry();

class X86Activations {
 public:
  X86Activations(runtime::Context& context, const X86ActivationsSpec& spec);
  // x: [rows, k]; records: rows × x86_record_bytes(form, k).
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer records,
                  int64_t rows) const;

 private:
  const runtime::Program* program_;
};

}  // namespace rose::kernels
