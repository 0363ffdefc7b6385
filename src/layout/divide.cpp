#include "layout/divide.h"

#include "layout/regroup.h"

namespace rose::layout {

namespace {

Layout tile_and_rest(const Layout& layout, const Tiler& tiler) {
  return tiler.is_wildcard() ? make_layout({Layout(1, 0), layout}) : logical_divide(layout, tiler);
}

// `_` for a leaf, (_,_,...) for a tuple. Slicing with it keeps the modes of the tile as modes of the result:
// (128,64,k), not ((128,64),k).
IntTuple every_mode(const Layout& layout) {
  if (!layout.shape().is_tuple()) return _;
  return IntTuple::tuple(std::vector<IntTuple>(layout.rank(), IntTuple(_)));
}

}  // namespace

Layout logical_divide(const Layout& layout, const Tiler& tiler) {
  if (tiler.is_wildcard()) return layout;
  if (tiler.is_tuple()) return by_mode("logical_divide", layout, tiler, logical_divide);
  return composition(layout, make_layout({tiler.layout(), complement(tiler.layout(), layout.size())}));
}

Layout zipped_divide(const Layout& layout, const Tiler& tiler) {
  return zip_parts("zipped_divide", layout, tiler, tile_and_rest);
}

Layout tiled_divide(const Layout& layout, const Tiler& tiler) {
  return tiled_parts(zip_parts("tiled_divide", layout, tiler, tile_and_rest));
}

Layout flat_divide(const Layout& layout, const Tiler& tiler) {
  return flat_parts(zip_parts("flat_divide", layout, tiler, tile_and_rest));
}

Cut cut_tile(const Layout& layout, const Tiler& tiler, const IntTuple& coord) {
  Layout zipped = zipped_divide(layout, tiler);
  IntTuple place = coord;
  if (coord.is_tuple() && coord.rank() < zipped[1].rank()) {  // modes that the tiler does not name
    std::vector<IntTuple> padded(coord.modes().begin(), coord.modes().end());
    padded.resize(zipped[1].rank(), IntTuple(_));
    place = IntTuple::tuple(std::move(padded));
  }
  IntTuple cut = IntTuple::tuple({every_mode(zipped[0]), place});
  return {std::move(zipped), std::move(cut)};
}

Sliced local_tile(const Layout& layout, const Tiler& tiler, const IntTuple& coord) {
  Cut cut = cut_tile(layout, tiler, coord);
  return slice_and_offset(cut.coord, cut.layout);
}

Sliced local_tile(const Layout& layout, const Tiler& tiler, const IntTuple& coord, const IntTuple& kept) {
  if (!tiler.is_tuple() || kept.rank() != static_cast<int>(tiler.modes().size()) ||
      coord.rank() != kept.rank()) {
    fail(fmt::format("local_tile: tiler {}, coordinate {} and projection {} must have one rank",
                     to_string(tiler), to_string(coord), to_string(kept)));
  }
  std::vector<Tiler> tiler_modes;
  std::vector<IntTuple> coord_modes;
  for (int i = 0; i < kept.rank(); ++i) {
    if (kept[i].is_wildcard()) continue;
    tiler_modes.push_back(tiler.modes()[i]);
    coord_modes.push_back(coord[i]);
  }
  return local_tile(layout, Tiler::by_mode(std::move(tiler_modes)), IntTuple::tuple(std::move(coord_modes)));
}

Cut cut_partition(const Layout& layout, const Layout& threads, int64_t index) {
  if (right_inverse(threads).size() != threads.size() || threads.cosize() != threads.size()) {
    fail(fmt::format("local_partition: {} does not number its {} threads 0 .. {} once each",
                     to_string(threads), threads.size(), threads.size() - 1));
  }
  if (index < 0 || index >= threads.size()) {
    fail(fmt::format("local_partition: thread {} is outside [0, {})", index, threads.size()));
  }
  // Where the thread stands: one integer per top mode of `threads`.
  int64_t element = right_inverse(threads)(index);
  IntTuple place = idx2crd(element, product_each(threads.shape()));
  Layout zipped = zipped_divide(layout, product_each(threads.shape()));
  IntTuple cut = IntTuple::tuple({place, every_mode(zipped[1])});
  return {std::move(zipped), std::move(cut)};
}

Sliced local_partition(const Layout& layout, const Layout& threads, int64_t index) {
  Cut cut = cut_partition(layout, threads, index);
  return slice_and_offset(cut.coord, cut.layout);
}

}  // namespace rose::layout
