#include "layout/tv_layout.h"

#include "layout/product.h"

namespace rose::layout {

TvLayout::TvLayout(IntTuple tile, Layout layout) : tile_(std::move(tile)), layout_(std::move(layout)) {
  if (!layout_.shape().is_tuple() || layout_.rank() != 2) {
    fail(fmt::format("thread-value layout {}: needs the two modes (thread, value)", to_string(layout_)));
  }
  IndexRange range = index_range(layout_);
  if (range.first < 0 || range.last >= product(tile_)) {
    fail(fmt::format("thread-value layout {} reaches the elements {} .. {} of the tile {}, which has {}",
                     to_string(layout_), range.first, range.last, to_string(tile_), product(tile_)));
  }
}

bool TvLayout::is_bijective() const {
  return layout_.size() == product(tile_) && right_inverse(layout_).size() == layout_.size();
}

IntTuple TvLayout::coordinate(int64_t thread, int64_t value) const {
  return idx2crd(layout_.at({thread, value}), tile_);
}

TvLayout::Owner TvLayout::owner(const IntTuple& coordinate) const {
  if (!is_bijective()) {
    fail(fmt::format("owner: {} does not hold each element of {} exactly once", to_string(layout_),
                     to_string(tile_)));
  }
  check_coordinate(coordinate, tile_);
  int64_t held = right_inverse(layout_)(crd2idx(coordinate, tile_));  // thread + threads * value
  return {held % threads(), held / threads()};
}

Cut TvLayout::cut(const Layout& tensor, int64_t thread) const {
  Layout tiles = zipped_divide(tensor, tile_);
  std::vector<IntTuple> rest(tiles[1].rank(), IntTuple(_));
  return {composition(tiles, {layout_, _}), {{thread, _}, IntTuple::tuple(std::move(rest))}};
}

Sliced TvLayout::partition(const Layout& tensor, int64_t thread) const {
  Cut part = cut(tensor, thread);
  return slice_and_offset(part.coord, part.layout);
}

ComposedLayout TvLayout::partition(const ComposedLayout& tensor, int64_t thread) const {
  Cut part = cut(tensor.layout, thread);
  return slice(part.coord, ComposedLayout{tensor.swizzle, tensor.offset, part.layout});
}

CoordTensor TvLayout::partition(const CoordTensor& tensor, int64_t thread) const {
  Cut part = cut(tensor.layout, thread);
  return slice(part.coord, CoordTensor{tensor.origin, part.layout});
}

TvLayout make_tv_layout(const Layout& threads, const Layout& values) {
  for (const Layout* layout : {&threads, &values}) {
    if (layout->cosize() != layout->size() || right_inverse(*layout).size() != layout->size()) {
      fail(fmt::format("make_tv_layout: {} does not number its {} coordinates 0 .. {} once each",
                       to_string(*layout), layout->size(), layout->size() - 1));
    }
  }
  // Element -> thread + threads * value; its inverse is the layout we want, once its domain is split.
  Layout held = raked_product(threads, values);
  Layout elements = right_inverse(held);
  return {product_each(held.shape()),
          composition(elements, Layout({threads.size(), values.size()}, {1, threads.size()}))};
}

namespace {

void check_columns(const char* fragment, int columns, int largest) {
  if (columns < 8 || columns > largest || columns % 8 != 0) {
    fail(fmt::format("{} of {} columns: needs a multiple of 8 up to {}", fragment, columns, largest));
  }
}

}  // namespace

TvLayout wgmma_fragment(int columns) {
  check_columns("wgmma_fragment", columns, 256);
  // Thread: pair of columns, row, warp (16 rows). Value: column of the pair, upper or lower 8 rows, 8 columns
  // on.
  return {{64, columns}, Layout({{4, 8, 4}, {2, 2, columns / 8}}, {{2 * 64, 1, 16}, {64, 8, 8 * 64}})};
}

TvLayout mma_fragment(int columns) {
  check_columns("mma_fragment", columns, 16);
  return {{16, columns}, Layout({{4, 8}, {2, 2, columns / 8}}, {{2 * 16, 1}, {16, 8, 8 * 16}})};
}

TvLayout mma_b_fragment() { return {{8, 16}, Layout({{4, 8}, {2, 2}}, {{2 * 8, 1}, {8, 8 * 8}})}; }

}  // namespace rose::layout
