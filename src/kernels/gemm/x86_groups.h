// Panels of quantised weights taken apart in registers, a group of 32 elements at a time. Private to the x86
// products.
#pragma once

#include "kernels/gemm/x86_tile.h"

namespace rose::kernels::x86 {

// Where 16 elements share a scale, q is taken 32 / zero times as large as it is, and the scale smaller, so
// that all such formats have the same zero.
int lift_of(const X86WeightFormat& format);
inline int zero_of(const X86WeightFormat& f) { return f.zero << lift_of(f); }

// What a group of 32 elements of 16 columns says, in registers. Vectors have one lane a column.
struct Group {
  std::vector<Val> words;            // u8x64: q of elements 4w … 4w+3, as they enter the product
  std::vector<Val> scales, offsets;  // f32, one a sub-block; value = scale × (q - zero) + offset
};

class Panel {
 public:
  Panel(const X86WeightFormat& format, const Tensor& panel) : f_(format), panel_(panel) {}

  // Calls body(group, number of the group in the row) for each group; the loops are recorded.
  void for_each_group(int64_t k, const std::function<void(const Group&, const Val&)>& body);

 private:
  Val vector(const Val& byte, int64_t constant, Type dtype);
  Val header_scale(const Val& at);
  Group group(const Val& at, int64_t constant, const Val& scale, const std::optional<Val>& minimum);
  Val bits_of(const std::vector<Val>& plane, int w, int shift);
  void words(const Val& at, int64_t constant, Group& group);

  const X86WeightFormat& f_;
  Tensor panel_;
};

// A number of one row's group, spread over the lanes.
Val spread(const Tensor& group, size_t byte, Type dtype);

// Adds a group's products with the activations of one row (an X86Group) to `sum`; `dots` has for each
// sub-block Σ (q - zero)·aq. All paths add in this order, so that a row's result does not depend on the path.
//   Σ value · a = a_scale · Σ_sub scale · Σ (q - zero)·aq + offset · a_scale · Σ aq
void add_dots(const Tensor& a, const std::vector<Val>& dots, const std::vector<Val>& scales,
              const std::vector<Val>& offsets, Var& sum);

}  // namespace rose::kernels::x86
