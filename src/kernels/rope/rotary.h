// Rotary position embedding: turns pairs of elements of each head by angles that grow with the token's
// position (Su et al., "RoFormer", 2021). The angles come from a table made by rope_table().
#pragma once

#include "kernels/catalog.h"
#include "kernels/rope/rotation.h"

namespace rose::kernels {

struct RotarySpec {
  ir::Type dtype = ir::bf16;  // of x and out; arithmetic is f32
  int64_t heads = 32;
  int64_t head_dim = 128;
  int64_t rotary_dim = 128;   // elements of a head that turn; the others are copied
  int64_t rotary_offset = 0;  // where they begin in the head
  std::string style =
      "half";  // which elements make a pair: half (i, i + rotary_dim/2), interleaved (2i, 2i + 1)
  bool in_place = true;
  bool pdl = false;  // programmatic dependent launch: may start before the kernel ahead of it has ended

  void fields(Fields& f) {
    f("dtype", dtype, "type of x and out: bf16, f16 or f32");
    f("heads", heads, "heads of a token");
    f("head_dim", head_dim, "elements of a head");
    f("rotary_dim", rotary_dim, "elements of a head that turn, even");
    f("rotary_offset", rotary_offset, "first element of a head that turns");
    f("style", style, "pairs of elements: half (i, i + rotary_dim/2) or interleaved (2i, 2i + 1)");
    f("in_place", in_place, "1: x is changed; 0: out is written");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

RopeStyle parse_rope_style(std::string_view kernel, std::string_view style);  // throws KernelError

ir::Kernel rotary(const ir::Target& target, const RotarySpec& spec);
CatalogEntry rotary_entry();

class Rotary {
 public:
  Rotary(runtime::Context& context, const RotarySpec& spec);

  struct Arguments {
    runtime::DevicePointer x;          // [tokens, heads, head_dim], tokens x_stride elements apart
    runtime::DevicePointer out;        // [tokens, heads, head_dim] without gaps; unless in place
    runtime::DevicePointer positions;  // int32 [tokens]; clamped to the table
    runtime::DevicePointer table;      // f32 [table_rows, rotary_dim] of rope_table()
    int64_t tokens = 0;
    int64_t table_rows = 0;
    int64_t x_stride = 0;  // 0: heads · head_dim. A multiple of alignment(); so must be x's first element
  };
  void operator()(runtime::Stream& stream, const Arguments& arguments) const;
  // Elements of which x_stride and offsets into larger rows must be multiples.
  int64_t alignment() const;

 private:
  const runtime::Program* program_;
  RotarySpec spec_;
  ir::Target target_;
};

// The definition in double precision, with angles from the table. x: [tokens, heads, head_dim], changed in
// place.
void rotary_reference(const RotarySpec& spec, double* x, const int32_t* positions, const float* table,
                      int64_t tokens, int64_t table_rows);
// The same for one head's rotary_dim elements.
void rotate_reference(RopeStyle style, double* elements, const float* angles, int64_t rotary_dim);

}  // namespace rose::kernels
