#include "layout/product.h"

#include <algorithm>
#include <numeric>

#include "layout/regroup.h"

namespace rose::layout {

namespace {

Layout block_and_repetition(const Layout& block, const Tiler& tiler) {
  return tiler.is_wildcard() ? make_layout({block, Layout(1, 0)}) : logical_product(block, tiler);
}

Layout paired_product(const Layout& block, const Layout& tiler, bool block_first) {
  int rank = std::max(block.rank(), tiler.rank());
  Layout both = logical_product(append_to_rank(block, rank), append_to_rank(tiler, rank));
  std::vector<Layout> modes;
  for (int i = 0; i < rank; ++i) {
    Layout inner = both[0][i], outer = both[1][i];
    modes.push_back(block_first ? make_layout({inner, outer}) : make_layout({outer, inner}));
  }
  return make_layout(modes);
}

}  // namespace

Layout logical_product(const Layout& block, const Tiler& tiler) {
  if (tiler.is_wildcard()) return block;
  if (tiler.is_tuple()) return by_mode("logical_product", block, tiler, logical_product);
  int64_t extent = checked_mul(block.size(), tiler.layout().cosize());
  return make_layout({block, composition(complement(block, extent), tiler.layout())});
}

Layout zipped_product(const Layout& block, const Tiler& tiler) {
  return zip_parts("zipped_product", block, tiler, block_and_repetition);
}

Layout tiled_product(const Layout& block, const Tiler& tiler) {
  return tiled_parts(zip_parts("tiled_product", block, tiler, block_and_repetition));
}

Layout flat_product(const Layout& block, const Tiler& tiler) {
  return flat_parts(zip_parts("flat_product", block, tiler, block_and_repetition));
}

Layout blocked_product(const Layout& block, const Layout& tiler) {
  return paired_product(block, tiler, true);
}

Layout raked_product(const Layout& block, const Layout& tiler) { return paired_product(block, tiler, false); }

Layout tile_to_shape(const Layout& block, const IntTuple& shape) {
  std::vector<IntTuple> order(shape.rank());
  std::iota(order.begin(), order.end(), 0);
  return tile_to_shape(block, shape, IntTuple::tuple(std::move(order)));
}

Layout tile_to_shape(const Layout& block, const IntTuple& shape, const IntTuple& order) {
  Layout padded = append_to_rank(block, shape.rank());
  std::vector<IntTuple> repetitions;
  for (int i = 0; i < shape.rank(); ++i) {
    repetitions.emplace_back(ceil_div(product(shape[i]), padded[i].size()));
  }
  return blocked_product(padded, ordered(IntTuple::tuple(std::move(repetitions)), order));
}

}  // namespace rose::layout
