#include "layout/coord.h"

namespace rose::layout {

Layout identity_layout(const IntTuple& shape) {
  std::vector<IntTuple> axes;
  int count = static_cast<int>(leaves(shape).size());
  for (int axis = 0; axis < count; ++axis) axes.push_back(IntTuple::basis(axis));
  return {shape, unflatten(axes, shape)};
}

IntTuple coordinate_of(const Layout& layout, const IntTuple& coord, int axes) {
  std::vector<int64_t> totals(axes, 0);
  // The digit of one leaf is the value of a layout that steps by 1 there and by 0 everywhere else.
  std::vector<Mode> modes = layout.modes();
  for (size_t leaf = 0; leaf < modes.size(); ++leaf) {
    if (modes[leaf].axis < 0) {
      if (modes[leaf].stride != 0) fail(fmt::format("{} yields indices, not coordinates", to_string(layout)));
      continue;
    }
    if (modes[leaf].axis >= axes) {
      fail(fmt::format("{} has axis {}, but {} axes were asked for", to_string(layout), modes[leaf].axis,
                       axes));
    }
    std::vector<IntTuple> pick(modes.size(), IntTuple(0));
    pick[leaf] = 1;
    int64_t digit = crd2idx(coord, layout.shape(), unflatten(pick, layout.shape()));
    int64_t& total = totals[modes[leaf].axis];
    total = checked_add(total, checked_mul(digit, modes[leaf].stride));
  }
  return IntTuple::tuple({totals.begin(), totals.end()});
}

IntTuple CoordTensor::operator()(const IntTuple& coord) const {
  IntTuple step = coordinate_of(layout, coord, origin.rank());
  std::vector<IntTuple> sum;
  for (int axis = 0; axis < origin.rank(); ++axis) {
    sum.emplace_back(checked_add(origin[axis].value(), step[axis].value()));
  }
  return IntTuple::tuple(std::move(sum));
}

std::string to_string(const CoordTensor& tensor) {
  return to_string(tensor.origin) + " o " + to_string(tensor.layout);
}

CoordTensor identity_tensor(const IntTuple& shape) {
  std::vector<IntTuple> zeros(leaves(shape).size(), IntTuple(0));
  return {IntTuple::tuple(std::move(zeros)), identity_layout(shape)};
}

CoordTensor composition(const CoordTensor& a, const Tiler& b) { return {a.origin, composition(a.layout, b)}; }

CoordTensor logical_divide(const CoordTensor& tensor, const Tiler& tiler) {
  return {tensor.origin, logical_divide(tensor.layout, tiler)};
}

CoordTensor zipped_divide(const CoordTensor& tensor, const Tiler& tiler) {
  return {tensor.origin, zipped_divide(tensor.layout, tiler)};
}

CoordTensor slice(const IntTuple& coord, const CoordTensor& tensor) {
  return {tensor(zero_wildcards(coord)), slice(coord, tensor.layout)};
}

CoordTensor local_tile(const CoordTensor& tensor, const Tiler& tiler, const IntTuple& coord) {
  Cut cut = cut_tile(tensor.layout, tiler, coord);
  return slice(cut.coord, CoordTensor{tensor.origin, cut.layout});
}

CoordTensor local_partition(const CoordTensor& tensor, const Layout& threads, int64_t index) {
  Cut cut = cut_partition(tensor.layout, threads, index);
  return slice(cut.coord, CoordTensor{tensor.origin, cut.layout});
}

bool in_bounds(const IntTuple& coordinate, const IntTuple& bounds) {
  if (coordinate.rank() != bounds.rank()) {
    fail(fmt::format("coordinate {} and bounds {} differ in rank", to_string(coordinate), to_string(bounds)));
  }
  for (int axis = 0; axis < bounds.rank(); ++axis) {
    int64_t at = coordinate[axis].value();
    if (at < 0 || at >= bounds[axis].value()) return false;
  }
  return true;
}

}  // namespace rose::layout
