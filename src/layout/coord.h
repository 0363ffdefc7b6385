// Coordinate layouts: layouts whose values are coordinates, for TMA coordinates and predicates.
#pragma once

#include "layout/divide.h"

namespace rose::layout {

// The layout that maps each coordinate to itself: basis strides, one axis per leaf of shape in order.
// identity_layout({4, 8}) is (4,8):(1@0,1@1). It divides, composes and slices as any other layout.
Layout identity_layout(const IntTuple& shape);

// The flat tuple of `axes` integers that a coordinate layout maps coord to.
IntTuple coordinate_of(const Layout& layout, const IntTuple& coord, int axes);

// The function c -> origin + layout(c) into flat coordinates: what a tensor is, without memory.
struct CoordTensor {
  IntTuple origin;  // one integer per axis
  Layout layout;

  IntTuple operator()(const IntTuple& coord) const;
  friend bool operator==(const CoordTensor&, const CoordTensor&) = default;
};
std::string to_string(const CoordTensor& tensor);  // "(0,0) o (4,8):(1@0,1@1)"

CoordTensor identity_tensor(const IntTuple& shape);
CoordTensor composition(const CoordTensor& a, const Tiler& b);
CoordTensor logical_divide(const CoordTensor& tensor, const Tiler& tiler);
CoordTensor zipped_divide(const CoordTensor& tensor, const Tiler& tiler);
CoordTensor slice(const IntTuple& coord, const CoordTensor& tensor);
CoordTensor local_tile(const CoordTensor& tensor, const Tiler& tiler, const IntTuple& coord);
CoordTensor local_partition(const CoordTensor& tensor, const Layout& threads, int64_t index);

// True where 0 <= coordinate < bound in every axis: the predicate of a partial tile. bounds is flat.
bool in_bounds(const IntTuple& coordinate, const IntTuple& bounds);

}  // namespace rose::layout
