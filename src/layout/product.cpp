#include "layout/product.h"

#include <numeric>

namespace rose::layout {

namespace {

// Multiplies by mode and collects the block parts and the tiler parts: ((blocks), (tilers)).
Layout multiply_and_zip(const Layout& block, const Tiler& tiler) {
  if (tiler.is_wildcard()) return make_layout({block, Layout(1, 0)});
  if (tiler.is_layout()) return logical_product(block, tiler);
  std::vector<Layout> blocks, tilers;
  for (int i = 0; i < block.rank(); ++i) {
    if (i >= static_cast<int>(tiler.modes().size())) {
      blocks.push_back(block[i]);
      continue;
    }
    Layout both = multiply_and_zip(block[i], tiler.modes()[i]);
    blocks.push_back(both[0]);
    tilers.push_back(both[1]);
  }
  return make_layout({make_layout(blocks), make_layout(tilers)});
}

void check_rank(const char* operation, const Layout& block, const Tiler& tiler) {
  if (tiler.is_tuple() && static_cast<int>(tiler.modes().size()) > block.rank()) {
    fail(fmt::format("{}: {} has more modes than {}", operation, to_string(tiler), to_string(block)));
  }
}

void append_modes(std::vector<Layout>& out, const Layout& layout) {
  for (int i = 0; i < layout.rank(); ++i) out.push_back(layout[i]);
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
  check_rank("logical_product", block, tiler);
  if (tiler.is_wildcard()) return block;
  if (tiler.is_layout()) {
    int64_t extent = checked_mul(block.size(), tiler.layout().cosize());
    return make_layout({block, composition(complement(block, extent), tiler.layout())});
  }
  std::vector<Layout> modes;
  for (int i = 0; i < block.rank(); ++i) {
    bool multiplied = i < static_cast<int>(tiler.modes().size());
    modes.push_back(multiplied ? logical_product(block[i], tiler.modes()[i]) : block[i]);
  }
  return make_layout(modes);
}

Layout zipped_product(const Layout& block, const Tiler& tiler) {
  check_rank("zipped_product", block, tiler);
  return multiply_and_zip(block, tiler);
}

Layout tiled_product(const Layout& block, const Tiler& tiler) {
  check_rank("tiled_product", block, tiler);
  Layout zipped = multiply_and_zip(block, tiler);
  std::vector<Layout> modes = {zipped[0]};
  append_modes(modes, zipped[1]);
  return make_layout(modes);
}

Layout flat_product(const Layout& block, const Tiler& tiler) {
  check_rank("flat_product", block, tiler);
  Layout zipped = multiply_and_zip(block, tiler);
  std::vector<Layout> modes;
  append_modes(modes, zipped[0]);
  append_modes(modes, zipped[1]);
  return make_layout(modes);
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
