// The layout algebra proper: composition, complement, inverses, and what follows from them.
// Every result is exact: where CuTe leaves a precondition to the caller, these functions check it.
#pragma once

#include <variant>

#include "layout/layout.h"

namespace rose::layout {

// What to apply to a layout: one layout over all its coordinates, or, mode by mode, a tuple of tilers.
// Written as Layout(...), as {128, 64} (by mode; an integer n is the layout n:1), or `_` (leave alone).
class Tiler {
 public:
  Tiler(Layout layout) : value_(std::move(layout)) {}
  template <std::integral T>
  Tiler(T extent) : value_(Layout(extent, 1)) {}
  Tiler(Wildcard) : value_(_) {}
  Tiler(const IntTuple& shape);  // by mode for a tuple
  Tiler(std::initializer_list<Tiler> modes) : value_(std::vector<Tiler>(modes)) {}
  static Tiler by_mode(std::vector<Tiler> modes);

  bool is_layout() const { return std::holds_alternative<Layout>(value_); }
  bool is_wildcard() const { return std::holds_alternative<Wildcard>(value_); }
  bool is_tuple() const { return std::holds_alternative<std::vector<Tiler>>(value_); }
  const Layout& layout() const { return std::get<Layout>(value_); }
  const std::vector<Tiler>& modes() const { return std::get<std::vector<Tiler>>(value_); }

 private:
  Tiler() = default;
  std::variant<Wildcard, Layout, std::vector<Tiler>> value_;
};
std::string to_string(const Tiler& tiler);  // "<3:1,_,(2,4):(1,8)>" for a tuple

// R(c) = a(b(c)) for every coordinate c of b; R has the shape of b with leaves split where a bends.
// Beyond its size, coalesced a is extended along its last mode. Throws where a stride or extent of
// b does not divide into a's modes, or the modes of b together carry from one mode of a into the next.
// With a tuple, mode by mode; modes of a beyond the tuple stay.
Layout composition(const Layout& a, const Tiler& b);

// The ordered layout of what `layout` leaves out below `extent`: together they reach every index once, and
// the size is at least extent / size. Rounds up (complement(4:1, 10) is 3:4). Modes of stride 0 or size 1
// are ignored; throws for negative, overlapping or non-dividing strides.
Layout complement(const Layout& layout, int64_t extent = 1);

// R with layout(R(i)) = i on a contiguous run of indices from 0: modes are taken in the order of their
// strides, each where the run so far ends; others are skipped. The longest run, if layout is injective.
Layout right_inverse(const Layout& layout);
// L with L(layout(c)) = c for every integer coordinate c. Throws where layout is not injective or its
// strides do not divide. Outside the image the values of L mean nothing.
Layout left_inverse(const Layout& layout);

// N with layout(N(i)) = 0: the coordinates that modes of stride 0 run through.
Layout nullspace(const Layout& layout);

// V with a(V(i)) = b(V(i)) = i: the contiguous vector that both layouts share; its size is the number of
// elements that one instruction may copy between them (alignment apart).
Layout max_common_layout(const Layout& a, const Layout& b);
int64_t max_common_vector(const Layout& a, const Layout& b);

// The same memory in units `factor` times as large (upcast) or small (downcast). upcast throws unless the
// layout consists of whole, aligned runs of `factor` elements; downcast throws without a contiguous mode.
Layout upcast(const Layout& layout, int64_t factor);
Layout downcast(const Layout& layout, int64_t factor);
// The same memory seen as elements of new_bits instead of old_bits bits.
Layout recast(const Layout& layout, int64_t old_bits, int64_t new_bits);

}  // namespace rose::layout
