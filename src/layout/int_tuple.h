// Hierarchical tuples of 64-bit integers: the shapes, strides and coordinates of the layout algebra.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layout/checked.h"

namespace rose::layout {

// "Every coordinate of this mode" in slices, and "leave this mode alone" in tilers. Written `_`.
struct Wildcard {};
inline constexpr Wildcard _{};

// A leaf or a tuple of IntTuples. A leaf is an integer; or a scaled basis vector `2@1` (2 steps along
// axis 1), which only strides of coordinate layouts use; or the wildcard `_`, which only slices use.
// Integers convert implicitly and braces make tuples, so that IntTuple{{2, 2}, 3} is ((2,2),3).
// Note that IntTuple{3} is the tuple (3) of rank 1; IntTuple(3) is the integer.
class IntTuple {
 public:
  IntTuple() = default;  // the empty tuple ()
  template <std::integral T>
  IntTuple(T value) : kind_(Kind::kInt), value_(static_cast<int64_t>(value)) {
    if (!std::in_range<int64_t>(value)) fail(fmt::format("{} does not fit in 64 signed bits", value));
  }
  IntTuple(Wildcard) : kind_(Kind::kWildcard) {}
  IntTuple(std::initializer_list<IntTuple> modes) : modes_(modes) {}

  static IntTuple tuple(std::vector<IntTuple> modes);
  // scale steps along the axis; a scale of zero gives the plain integer 0.
  static IntTuple basis(int axis, int64_t scale = 1);

  bool is_tuple() const { return kind_ == Kind::kTuple; }
  bool is_int() const { return kind_ == Kind::kInt; }
  bool is_basis() const { return kind_ == Kind::kBasis; }
  bool is_wildcard() const { return kind_ == Kind::kWildcard; }

  int64_t value() const;              // of an integer leaf; throws on anything else
  int64_t scale() const;              // the integer, or the factor of a basis vector
  int axis() const { return axis_; }  // -1 where the leaf is no basis vector

  // A leaf counts as its own only mode: rank 1, [0] is the leaf itself.
  int rank() const { return is_tuple() ? static_cast<int>(modes_.size()) : 1; }
  const IntTuple& operator[](int mode) const;
  std::span<const IntTuple> modes() const;

  friend bool operator==(const IntTuple&, const IntTuple&) = default;

 private:
  enum class Kind { kTuple, kInt, kBasis, kWildcard };
  Kind kind_ = Kind::kTuple;
  int axis_ = -1;
  int64_t value_ = 0;
  std::vector<IntTuple> modes_;
};

// CuTe's notation: "((2,2),3)", "1@0" for a basis vector, "_" for the wildcard.
std::string to_string(const IntTuple& tuple);
// The inverse of to_string. Spaces are skipped; throws with the place of the first wrong character.
IntTuple parse_tuple(std::string_view text);

int depth(const IntTuple& tuple);        // 0 for a leaf, 1 + the deepest mode for a tuple
int64_t product(const IntTuple& tuple);  // of all integer leaves; 1 for ()
std::vector<IntTuple> leaves(const IntTuple& tuple);
IntTuple flatten(const IntTuple& tuple);  // a tuple of the leaves; a leaf stays a leaf
// Gives the leaves, in order, the nesting of profile; their number must be that of profile's leaves.
IntTuple unflatten(std::span<const IntTuple> leaves, const IntTuple& profile);
IntTuple product_each(const IntTuple& tuple);  // the tuple of the top modes' products

bool congruent(const IntTuple& a, const IntTuple& b);  // the same nesting
// a is a coarser shape than b: every coordinate of a is one of b (each leaf of a has the size of the
// part of b that stands in its place).
bool compatible(const IntTuple& a, const IntTuple& b);

// Index of a coordinate: the inner product of coordinate and stride. Where the coordinate is an integer
// and the shape a tuple, it is split colexicographically (mode 0 runs fastest); the last mode takes what
// is left, so an out-of-range coordinate extrapolates. Strides must be integers.
int64_t crd2idx(const IntTuple& coord, const IntTuple& shape, const IntTuple& stride);
// Index among the coordinates of shape in colexicographic order.
int64_t crd2idx(const IntTuple& coord, const IntTuple& shape);
// The coordinate, congruent to shape, of the index-th element; index must lie in [0, product(shape)).
IntTuple idx2crd(int64_t index, const IntTuple& shape);
// Per leaf (index / stride) % shape: right for compact layouts and where other modes contribute nothing.
IntTuple idx2crd(int64_t index, const IntTuple& shape, const IntTuple& stride);
// The same element under another shape of the same size.
IntTuple crd2crd(const IntTuple& coord, const IntTuple& from_shape, const IntTuple& to_shape);
// Throws unless every integer of coord lies inside the part of shape that it addresses.
void check_coordinate(const IntTuple& coord, const IntTuple& shape);

}  // namespace rose::layout
