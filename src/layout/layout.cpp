#include "layout/layout.h"

#include <algorithm>
#include <numeric>

namespace rose::layout {

namespace {

// Calls visit(extent leaf, stride leaf) for all leaves of two congruent tuples. Recursion, instead of lists
// of leaves, because every layout that is made passes here.
template <class Visit>
void for_each_leaf(const IntTuple& shape, const IntTuple& stride, const Visit& visit) {
  if (!shape.is_tuple()) {
    visit(shape, stride);
    return;
  }
  for (int i = 0; i < shape.rank(); ++i) for_each_leaf(shape[i], stride[i], visit);
}

}  // namespace

Layout::Layout(IntTuple shape, IntTuple stride) : shape_(std::move(shape)), stride_(std::move(stride)) {
  if (!congruent(shape_, stride_)) {
    fail(fmt::format("shape {} and stride {} are not congruent", to_string(shape_), to_string(stride_)));
  }
  int64_t size = 1;  // computed to know that it fits in 64 bits
  bool axes = false, plain = false;
  for_each_leaf(shape_, stride_, [&](const IntTuple& extent, const IntTuple& step) {
    if (!extent.is_int() || extent.value() < 1) {
      fail(
          fmt::format("{}: extent {} is not an integer of at least 1", to_string(shape_), to_string(extent)));
    }
    size = checked_mul(size, extent.value());
    plain |= step.scale() != 0 && step.is_int();
    axes |= step.is_basis();
  });
  if (axes && plain) fail(fmt::format("stride {} mixes integers and basis vectors", to_string(stride_)));
}

Layout Layout::from_modes(const std::vector<Mode>& modes) {
  if (modes.empty()) return {1, 0};
  std::vector<IntTuple> shape, stride;
  for (const Mode& mode : modes) {
    shape.emplace_back(mode.shape);
    stride.push_back(mode.axis < 0 ? IntTuple(mode.stride) : IntTuple::basis(mode.axis, mode.stride));
  }
  if (modes.size() == 1) return {shape[0], stride[0]};
  return {IntTuple::tuple(std::move(shape)), IntTuple::tuple(std::move(stride))};
}

int64_t Layout::cosize() const {
  IndexRange range = index_range(*this);
  if (range.first < 0) {
    fail(fmt::format("cosize of {}: its indices run from {} to {}; add {} first", to_string(*this),
                     range.first, range.last, -range.first));
  }
  return checked_add(range.last, 1);
}

Layout Layout::operator[](int mode) const { return {shape_[mode], stride_[mode]}; }

std::vector<Mode> Layout::modes() const {
  std::vector<Mode> result;
  for_each_leaf(shape_, stride_, [&](const IntTuple& extent, const IntTuple& step) {
    result.push_back({extent.value(), step.scale(), step.axis()});
  });
  return result;
}

int64_t Layout::at(const IntTuple& coord) const {
  check_coordinate(coord, shape_);
  return (*this)(coord);
}

std::string to_string(const Layout& layout) {
  return to_string(layout.shape()) + ":" + to_string(layout.stride());
}

Layout parse(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) fail(fmt::format("\"{}\" has no ':' between shape and stride", text));
  return {parse_tuple(text.substr(0, colon)), parse_tuple(text.substr(colon + 1))};
}

IndexRange index_range(const Layout& layout) {
  if (has_basis(layout)) {
    fail(fmt::format("{} yields coordinates, not indices: it has no cosize", to_string(layout)));
  }
  IndexRange range;
  for (const Mode& mode : layout.modes()) {
    int64_t reach = checked_mul(mode.shape - 1, mode.stride);
    (reach < 0 ? range.first : range.last) = checked_add(reach < 0 ? range.first : range.last, reach);
  }
  return range;
}

bool has_basis(const Layout& layout) {
  return std::ranges::any_of(layout.modes(), [](const Mode& mode) { return mode.axis >= 0; });
}

Layout make_layout(const std::vector<Layout>& modes) {
  std::vector<IntTuple> shape, stride;
  for (const Layout& mode : modes) {
    shape.push_back(mode.shape());
    stride.push_back(mode.stride());
  }
  return {IntTuple::tuple(std::move(shape)), IntTuple::tuple(std::move(stride))};
}

namespace {

std::vector<IntTuple> running_products(std::span<const IntTuple> extents) {
  std::vector<IntTuple> result;
  int64_t stride = 1;
  for (const IntTuple& extent : extents) {
    result.emplace_back(stride);
    stride = checked_mul(stride, extent.value());
  }
  return result;
}

std::vector<Layout> top_modes(const Layout& layout) {
  std::vector<Layout> modes;
  for (int i = 0; i < layout.rank(); ++i) modes.push_back(layout[i]);
  return modes;
}

void check_mode_range(const char* operation, const Layout& layout, int begin, int end) {
  if (begin < 0 || end < begin || end > layout.rank()) {
    fail(fmt::format("{}: modes [{}, {}) of {}, which has rank {}", operation, begin, end, to_string(layout),
                     layout.rank()));
  }
}

// Sorts the modes of layout into those under `_` and those under integers.
void split_by_wildcard(const IntTuple& coord, const Layout& layout, std::vector<Layout>& kept,
                       std::vector<Layout>& fixed) {
  if (coord.is_wildcard()) {
    kept.push_back(layout);
  } else if (coord.is_tuple()) {
    if (!layout.shape().is_tuple() || coord.rank() != layout.rank()) {
      fail(fmt::format("coordinate {} does not fit the shape {}", to_string(coord),
                       to_string(layout.shape())));
    }
    for (int i = 0; i < coord.rank(); ++i) split_by_wildcard(coord[i], layout[i], kept, fixed);
  } else {
    check_coordinate(coord, layout.shape());
    fixed.push_back(layout);
  }
}

}  // namespace

Layout col_major(const IntTuple& shape) { return {shape, unflatten(running_products(leaves(shape)), shape)}; }

Layout row_major(const IntTuple& shape) {
  std::vector<IntTuple> extents = leaves(shape);
  std::ranges::reverse(extents);
  std::vector<IntTuple> strides = running_products(extents);
  std::ranges::reverse(strides);
  return {shape, unflatten(strides, shape)};
}

Layout ordered(const IntTuple& shape, const IntTuple& order) {
  if (shape.rank() != order.rank()) {
    fail(fmt::format("ordered: {} modes in {} but {} order numbers", shape.rank(), to_string(shape),
                     order.rank()));
  }
  std::vector<int> by_order(shape.rank());
  std::iota(by_order.begin(), by_order.end(), 0);
  std::ranges::sort(by_order, {}, [&](int i) { return std::pair(order[i].value(), i); });

  std::vector<Layout> modes(shape.rank());
  int64_t stride = 1;
  for (int i : by_order) {
    std::vector<IntTuple> steps;
    for (const IntTuple& extent : leaves(shape[i])) {
      steps.emplace_back(stride);
      stride = checked_mul(stride, extent.value());
    }
    modes[i] = Layout(shape[i], unflatten(steps, shape[i]));
  }
  return shape.is_tuple() ? make_layout(modes) : modes[0];
}

Layout group_modes(const Layout& layout, int begin, int end) {
  check_mode_range("group_modes", layout, begin, end);
  std::vector<Layout> modes = top_modes(layout);
  Layout group = make_layout({modes.begin() + begin, modes.begin() + end});
  modes.erase(modes.begin() + begin, modes.begin() + end);
  modes.insert(modes.begin() + begin, group);
  return make_layout(modes);
}

Layout append(const Layout& layout, const Layout& mode) {
  std::vector<Layout> modes = top_modes(layout);
  modes.push_back(mode);
  return make_layout(modes);
}

Layout prepend(const Layout& layout, const Layout& mode) {
  std::vector<Layout> modes = top_modes(layout);
  modes.insert(modes.begin(), mode);
  return make_layout(modes);
}

Layout append_to_rank(const Layout& layout, int rank) {
  if (layout.rank() > rank) {
    fail(fmt::format("append_to_rank: {} has rank {} already, above {}", to_string(layout), layout.rank(),
                     rank));
  }
  if (layout.rank() == rank) return layout;
  std::vector<Layout> modes = top_modes(layout);
  modes.resize(rank, Layout(1, 0));
  return make_layout(modes);
}

Layout select(const Layout& layout, std::span<const int> modes) {
  std::vector<Layout> chosen;
  for (int mode : modes) chosen.push_back(layout[mode]);
  return make_layout(chosen);
}

Layout select(const Layout& layout, std::initializer_list<int> modes) {
  return select(layout, std::span<const int>(modes.begin(), modes.size()));
}

Layout take(const Layout& layout, int begin, int end) {
  check_mode_range("take", layout, begin, end);
  std::vector<Layout> modes = top_modes(layout);
  return make_layout({modes.begin() + begin, modes.begin() + end});
}

Layout flatten(const Layout& layout) { return {flatten(layout.shape()), flatten(layout.stride())}; }

Layout unflatten(const Layout& flat, const IntTuple& profile) {
  return {unflatten(leaves(flat.shape()), profile), unflatten(leaves(flat.stride()), profile)};
}

Layout coalesce(const Layout& layout) {
  std::vector<Mode> result;
  for (const Mode& mode : layout.modes()) {
    if (mode.shape == 1) continue;
    // Two modes are one when the second starts where the first would go on.
    if (!result.empty() && mode.axis == result.back().axis &&
        mode.stride == checked_mul(result.back().shape, result.back().stride)) {
      result.back().shape *= mode.shape;
    } else {
      result.push_back(mode);
    }
  }
  return Layout::from_modes(result);
}

Layout coalesce(const Layout& layout, const IntTuple& profile) {
  if (!profile.is_tuple()) return coalesce(layout);
  if (profile.rank() > layout.rank()) {
    fail(fmt::format("coalesce: profile {} has more modes than {}", to_string(profile), to_string(layout)));
  }
  std::vector<Layout> modes = top_modes(layout);
  for (int i = 0; i < profile.rank(); ++i) modes[i] = coalesce(modes[i], profile[i]);
  return make_layout(modes);
}

Layout filter_zeros(const Layout& layout) {
  std::vector<IntTuple> extents = leaves(layout.shape()), steps = leaves(layout.stride());
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].scale() == 0) extents[i] = 1;
  }
  return {unflatten(extents, layout.shape()), layout.stride()};
}

Layout filter(const Layout& layout) { return coalesce(filter_zeros(layout)); }

Layout slice(const IntTuple& coord, const Layout& layout) {
  if (coord.is_wildcard()) return layout;
  std::vector<Layout> kept, fixed;
  split_by_wildcard(coord, layout, kept, fixed);
  return make_layout(kept);
}

Sliced slice_and_offset(const IntTuple& coord, const Layout& layout) {
  return {slice(coord, layout), layout(zero_wildcards(coord))};
}

Layout dice(const IntTuple& coord, const Layout& layout) {
  std::vector<Layout> kept, fixed;
  split_by_wildcard(coord, layout, kept, fixed);
  return make_layout(fixed);
}

IntTuple zero_wildcards(const IntTuple& coord) {
  if (coord.is_wildcard()) return 0;
  if (!coord.is_tuple()) return coord;
  std::vector<IntTuple> modes;
  for (const IntTuple& mode : coord.modes()) modes.push_back(zero_wildcards(mode));
  return IntTuple::tuple(std::move(modes));
}

}  // namespace rose::layout
