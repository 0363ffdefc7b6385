// Layouts: functions from coordinates to indices, written (shape:stride) as in CuTe, as plain values.
#pragma once

#include "layout/int_tuple.h"

namespace rose::layout {

// One leaf of a layout: shape positions, stride apart. axis >= 0 makes the stride a basis vector.
struct Mode {
  int64_t shape = 1;
  int64_t stride = 0;
  int axis = -1;
  friend bool operator==(const Mode&, const Mode&) = default;
};

// A shape and a stride of the same nesting. Layout({8, 4}, {4, 1}) is (8,4):(4,1), row by row.
// Extents are at least 1. Strides are integers (also zero or negative), or basis vectors (coord.h).
class Layout {
 public:
  Layout() = default;  // ():() of rank 0 and size 1
  Layout(IntTuple shape, IntTuple stride);
  static Layout from_modes(const std::vector<Mode>& modes);  // flat; a leaf if one, 1:0 if none

  const IntTuple& shape() const { return shape_; }
  const IntTuple& stride() const { return stride_; }
  int rank() const { return shape_.rank(); }
  int depth() const { return layout::depth(shape_); }
  int64_t size() const { return product(shape_); }
  // One more than the largest index. Throws where negative strides reach below index 0 (see
  // index_range) and for coordinate layouts.
  int64_t cosize() const;

  Layout operator[](int mode) const;  // the sub-layout of one top mode
  std::vector<Mode> modes() const;    // all leaves in order

  // The index of an integer or hierarchical coordinate; extrapolates out of range as crd2idx does.
  int64_t operator()(const IntTuple& coord) const { return crd2idx(coord, shape_, stride_); }
  int64_t operator()(int64_t row, int64_t column) const { return (*this)(IntTuple{row, column}); }
  // The same, but throws unless the coordinate lies inside the shape.
  int64_t at(const IntTuple& coord) const;

  friend bool operator==(const Layout&, const Layout&) = default;

 private:
  IntTuple shape_;
  IntTuple stride_;
};

std::string to_string(const Layout& layout);  // "((2,2),3):((24,2),8)"
Layout parse(std::string_view text);          // the inverse; throws LayoutError on anything else

// The smallest and the largest index of the layout.
struct IndexRange {
  int64_t first = 0;
  int64_t last = 0;
};
IndexRange index_range(const Layout& layout);
bool has_basis(const Layout& layout);  // true for coordinate layouts

// Construction.
Layout make_layout(const std::vector<Layout>& modes);  // the layouts become the modes of one
Layout col_major(const IntTuple& shape);               // compact, first leaf fastest: (4,8):(1,4)
Layout row_major(const IntTuple& shape);               // compact, last leaf fastest: (4,8):(8,1)
// Compact; the top mode with the smallest order number runs fastest: ordered((4,8),(1,0)) is row major.
Layout ordered(const IntTuple& shape, const IntTuple& order);

// Structure.
Layout group_modes(const Layout& layout, int begin, int end);  // modes [begin, end) become one
Layout append(const Layout& layout, const Layout& mode);
Layout prepend(const Layout& layout, const Layout& mode);
Layout append_to_rank(const Layout& layout, int rank);  // with modes 1:0
Layout select(const Layout& layout, std::span<const int> modes);
Layout select(const Layout& layout, std::initializer_list<int> modes);
Layout take(const Layout& layout, int begin, int end);
Layout flatten(const Layout& layout);
Layout unflatten(const Layout& flat, const IntTuple& profile);

// Simplification: the same function of an integer coordinate with fewer modes.
Layout coalesce(const Layout& layout);  // flat; 1:0 if nothing is left
// Mode by mode where profile is a tuple; modes beyond its rank stay as they are.
Layout coalesce(const Layout& layout, const IntTuple& profile);
Layout filter_zeros(const Layout& layout);  // modes of stride 0 get size 1
Layout filter(const Layout& layout);        // drops modes of stride 0 or size 1, then coalesces

// Slices: integers of coord fix a mode, `_` keeps it. slice keeps the modes under `_`, as the modes of
// one tuple; dice keeps the others.
struct Sliced {
  Layout layout;
  int64_t offset = 0;  // index of the slice's first element
};
Layout slice(const IntTuple& coord, const Layout& layout);
Sliced slice_and_offset(const IntTuple& coord, const Layout& layout);
Layout dice(const IntTuple& coord, const Layout& layout);
// coord with 0 in place of each `_`.
IntTuple zero_wildcards(const IntTuple& coord);

}  // namespace rose::layout
