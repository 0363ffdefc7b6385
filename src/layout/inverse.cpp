#include <algorithm>
#include <numeric>

#include "layout/algebra.h"

namespace rose::layout {

namespace {

// A leaf of a layout together with the distance of its steps in the layout's integer coordinate.
struct PlacedMode {
  int64_t shape, stride, coordinate_step;
};

// The leaves that move the index (size above 1, stride not 0), in the order of their strides.
std::vector<PlacedMode> moving_modes_by_stride(const char* operation, const Layout& layout) {
  if (has_basis(layout))
    fail(fmt::format("{} of {}: its strides are no integers", operation, to_string(layout)));
  std::vector<PlacedMode> result;
  int64_t coordinate_step = 1;
  for (const Mode& mode : layout.modes()) {
    if (mode.shape > 1 && mode.stride != 0) result.push_back({mode.shape, mode.stride, coordinate_step});
    coordinate_step *= mode.shape;
  }
  std::ranges::sort(result, {},
                    [](const PlacedMode& mode) { return std::pair(mode.stride, mode.coordinate_step); });
  return result;
}

}  // namespace

Layout complement(const Layout& layout, int64_t extent) {
  if (extent < 1) fail(fmt::format("complement of {} below {}", to_string(layout), extent));
  std::vector<Mode> holes;
  int64_t covered = 1;  // layout and holes together reach each of [0, covered) once
  for (const PlacedMode& mode : moving_modes_by_stride("complement", layout)) {
    if (mode.stride < 0)
      fail(fmt::format("complement of {}: stride {} is negative", to_string(layout), mode.stride));
    if (mode.stride < covered) {
      fail(fmt::format("complement of {}: stride {} lies within the {} indices reached before: not injective",
                       to_string(layout), mode.stride, covered));
    }
    if (mode.stride % covered != 0) {
      fail(fmt::format("complement of {}: stride {} is no multiple of {}, the indices reached before",
                       to_string(layout), mode.stride, covered));
    }
    holes.push_back({mode.stride / covered, covered});
    covered = checked_mul(mode.stride, mode.shape);
  }
  holes.push_back({ceil_div(extent, covered), covered});
  return coalesce(Layout::from_modes(holes));
}

Layout right_inverse(const Layout& layout) {
  std::vector<Mode> result;
  int64_t reached = 1;
  for (const PlacedMode& mode : moving_modes_by_stride("right_inverse", layout)) {
    if (mode.stride < reached) continue;  // negative, or a second way to indices that are reached already
    if (mode.stride > reached) break;
    result.push_back({mode.shape, mode.coordinate_step});
    reached = checked_mul(reached, mode.shape);
  }
  return coalesce(Layout::from_modes(result));
}

Layout left_inverse(const Layout& layout) {
  for (const Mode& mode : layout.modes()) {
    if (mode.shape > 1 && mode.stride == 0) {
      fail(fmt::format("left_inverse of {}: {} coordinates share one index (stride 0)", to_string(layout),
                       mode.shape));
    }
  }
  return right_inverse(make_layout({layout, complement(layout)}));
}

Layout nullspace(const Layout& layout) {
  std::vector<Mode> result;
  int64_t coordinate_step = 1;
  for (const Mode& mode : layout.modes()) {
    if (mode.stride == 0) result.push_back({mode.shape, coordinate_step});
    coordinate_step *= mode.shape;
  }
  return coalesce(Layout::from_modes(result));
}

Layout max_common_layout(const Layout& a, const Layout& b) {
  if (a.size() != b.size()) {
    fail(fmt::format("{} has {} coordinates but {} has {}", to_string(a), a.size(), to_string(b), b.size()));
  }
  // Both inverses list the coordinate of element 0, 1, 2 ...; the common vector is their common prefix.
  std::vector<Mode> in_a = right_inverse(a).modes(), in_b = right_inverse(b).modes(), common;
  for (size_t i = 0; i < std::min(in_a.size(), in_b.size()) && in_a[i].stride == in_b[i].stride; ++i) {
    common.push_back({std::min(in_a[i].shape, in_b[i].shape), in_a[i].stride});
    if (in_a[i].shape != in_b[i].shape) break;
  }
  return Layout::from_modes(common);
}

int64_t max_common_vector(const Layout& a, const Layout& b) { return max_common_layout(a, b).size(); }

Layout upcast(const Layout& layout, int64_t factor) {
  if (factor < 1) fail(fmt::format("upcast of {} by {}", to_string(layout), factor));
  std::vector<IntTuple> shape, stride;
  std::vector<Mode> absorbed;  // the parts of modes that disappear inside one new element
  for (const Mode& mode : layout.modes()) {
    int64_t extent = mode.shape, step = mode.stride;
    if (mode.axis >= 0) fail(fmt::format("upcast of {}: its strides are no integers", to_string(layout)));
    if (extent == 1) {
      step = 0;
    } else if (step % factor == 0) {
      step /= factor;
    } else {
      int64_t run = step > 0 && factor % step == 0 ? factor / step : 0;  // steps to cross one new element
      int64_t inside = run == 0 ? 0 : std::min(run, extent);
      if (inside == 0 || (extent % run != 0 && run % extent != 0)) {
        fail(fmt::format("upcast of {} by {}: mode {}:{} does not fall into whole elements",
                         to_string(layout), factor, extent, step));
      }
      absorbed.push_back({inside, step});
      extent /= inside;
      step = extent == 1 ? 0 : 1;
    }
    shape.emplace_back(extent);
    stride.emplace_back(step);
  }
  std::ranges::sort(absorbed, {}, &Mode::stride);
  int64_t filled = 1;
  for (const Mode& mode : absorbed) filled = mode.stride == filled ? filled * mode.shape : -1;
  if (filled != factor) {
    fail(fmt::format("upcast of {} by {}: it holds no contiguous runs of {} elements", to_string(layout),
                     factor, factor));
  }
  return {unflatten(shape, layout.shape()), unflatten(stride, layout.shape())};
}

Layout downcast(const Layout& layout, int64_t factor) {
  if (factor < 1) fail(fmt::format("downcast of {} by {}", to_string(layout), factor));
  std::vector<Mode> modes = layout.modes();
  auto contiguous =
      std::ranges::find_if(modes, [](const Mode& m) { return m.stride == 1 && m.shape > 1 && m.axis < 0; });
  if (contiguous == modes.end()) contiguous = std::ranges::find(modes, Mode{1, 1});
  if (contiguous == modes.end() && factor > 1) {
    fail(fmt::format("downcast of {} by {}: no mode of stride 1 to hold the new elements", to_string(layout),
                     factor));
  }
  std::vector<IntTuple> shape, stride;
  for (auto mode = modes.begin(); mode != modes.end(); ++mode) {
    bool grows = mode == contiguous;
    shape.emplace_back(grows ? checked_mul(mode->shape, factor) : mode->shape);
    stride.emplace_back(grows ? mode->stride : checked_mul(mode->stride, factor));
  }
  return {unflatten(shape, layout.shape()), unflatten(stride, layout.shape())};
}

Layout recast(const Layout& layout, int64_t old_bits, int64_t new_bits) {
  if (old_bits < 1 || new_bits < 1) fail(fmt::format("recast from {} to {} bits", old_bits, new_bits));
  int64_t common = std::gcd(old_bits, new_bits);
  return upcast(downcast(layout, old_bits / common), new_bits / common);
}

}  // namespace rose::layout
