// Random small layouts for the law tests, and the table of a layout's values.
#pragma once

#include <algorithm>
#include <ostream>
#include <random>
#include <set>

#include "layout/layout.h"

namespace rose::layout {

inline void PrintTo(const Layout& layout, std::ostream* out) { *out << to_string(layout); }
inline void PrintTo(const IntTuple& tuple, std::ostream* out) { *out << to_string(tuple); }

class RandomLayouts {
 public:
  explicit RandomLayouts(uint32_t seed) : engine_(seed) {}

  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  template <class T>
  const T& pick(const std::vector<T>& choices) {
    return choices[between(0, static_cast<int64_t>(choices.size()) - 1)];
  }

  // A leaf, or a tuple of 0 to 3 modes, nested at most `nesting` deep; extents mostly small powers of 2
  // and 3.
  IntTuple shape(int nesting) {
    if (nesting == 0 || between(0, 3) == 0) return pick(kExtents);
    std::vector<IntTuple> modes(between(nesting == 1 ? 1 : 0, 3));
    for (IntTuple& mode : modes) mode = shape(nesting - 1);
    return IntTuple::tuple(modes);
  }

  // Any strides, also zero; negative ones where asked for.
  Layout any(int nesting = 2, bool negative = false) {
    IntTuple extents = shape(nesting);
    std::vector<IntTuple> strides(leaves(extents).size());
    for (IntTuple& stride : strides) stride = pick(kStrides) * (negative && between(0, 3) == 0 ? -1 : 1);
    return {extents, unflatten(strides, extents)};
  }

  // Compact strides in a random order of the leaves, with gaps where asked for: injective, and every
  // stride is a multiple of what lies below it.
  Layout nested_strides(const IntTuple& extents, bool gaps) {
    std::vector<IntTuple> sizes = leaves(extents), strides(sizes.size());
    std::vector<size_t> order(sizes.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), engine_);
    int64_t stride = 1;
    for (size_t i : order) {
      if (gaps && between(0, 2) == 0) stride *= between(2, 3);
      strides[i] = stride;
      stride *= sizes[i].value();
    }
    return {extents, unflatten(strides, extents)};
  }
  Layout permuted(int nesting = 2) { return nested_strides(shape(nesting), false); }
  Layout injective(int nesting = 2) { return nested_strides(shape(nesting), true); }

 private:
  const std::vector<int64_t> kExtents = {1, 2, 2, 3, 4, 4, 6, 8};
  const std::vector<int64_t> kStrides = {0, 1, 1, 2, 2, 3, 4, 6, 8, 12, 16, 24, 64};
  std::mt19937 engine_;
};

// layout(0), layout(1), ..., layout(size - 1).
inline std::vector<int64_t> values_of(const Layout& layout) {
  std::vector<int64_t> values(layout.size());
  for (int64_t i = 0; i < layout.size(); ++i) values[i] = layout(i);
  return values;
}

inline std::vector<int64_t> sorted_values_of(const Layout& layout) {
  std::vector<int64_t> values = values_of(layout);
  std::sort(values.begin(), values.end());
  return values;
}

inline bool is_injective(const Layout& layout) {
  std::vector<int64_t> values = sorted_values_of(layout);
  return std::adjacent_find(values.begin(), values.end()) == values.end();
}

}  // namespace rose::layout
