#include "layout/divide.h"

namespace rose::layout {

namespace {

// Divides by mode and collects the tile parts and the rest parts: ((tiles), (rests)).
Layout divide_and_zip(const Layout& layout, const Tiler& tiler) {
  if (tiler.is_wildcard()) return make_layout({Layout(1, 0), layout});
  if (tiler.is_layout()) return logical_divide(layout, tiler);
  std::vector<Layout> tiles, rests;
  for (int i = 0; i < layout.rank(); ++i) {
    if (i >= static_cast<int>(tiler.modes().size())) {
      rests.push_back(layout[i]);
      continue;
    }
    Layout both = divide_and_zip(layout[i], tiler.modes()[i]);
    tiles.push_back(both[0]);
    rests.push_back(both[1]);
  }
  return make_layout({make_layout(tiles), make_layout(rests)});
}

void check_rank(const char* operation, const Layout& layout, const Tiler& tiler) {
  if (tiler.is_tuple() && static_cast<int>(tiler.modes().size()) > layout.rank()) {
    fail(fmt::format("{}: {} has more modes than {}", operation, to_string(tiler), to_string(layout)));
  }
}

// `_` for a leaf, (_,_,...) for a tuple. Slicing with it keeps the modes of the tile as modes of the result:
// (128,64,k), not ((128,64),k).
IntTuple every_mode(const Layout& layout) {
  if (!layout.shape().is_tuple()) return _;
  return IntTuple::tuple(std::vector<IntTuple>(layout.rank(), IntTuple(_)));
}

void append_modes(std::vector<Layout>& out, const Layout& layout) {
  for (int i = 0; i < layout.rank(); ++i) out.push_back(layout[i]);
}

}  // namespace

Layout logical_divide(const Layout& layout, const Tiler& tiler) {
  check_rank("logical_divide", layout, tiler);
  if (tiler.is_wildcard()) return layout;
  if (tiler.is_layout()) {
    return composition(layout, make_layout({tiler.layout(), complement(tiler.layout(), layout.size())}));
  }
  std::vector<Layout> modes;
  for (int i = 0; i < layout.rank(); ++i) {
    bool divided = i < static_cast<int>(tiler.modes().size());
    modes.push_back(divided ? logical_divide(layout[i], tiler.modes()[i]) : layout[i]);
  }
  return make_layout(modes);
}

Layout zipped_divide(const Layout& layout, const Tiler& tiler) {
  check_rank("zipped_divide", layout, tiler);
  return divide_and_zip(layout, tiler);
}

Layout tiled_divide(const Layout& layout, const Tiler& tiler) {
  check_rank("tiled_divide", layout, tiler);
  Layout zipped = divide_and_zip(layout, tiler);
  std::vector<Layout> modes = {zipped[0]};
  append_modes(modes, zipped[1]);
  return make_layout(modes);
}

Layout flat_divide(const Layout& layout, const Tiler& tiler) {
  check_rank("flat_divide", layout, tiler);
  Layout zipped = divide_and_zip(layout, tiler);
  std::vector<Layout> modes;
  append_modes(modes, zipped[0]);
  append_modes(modes, zipped[1]);
  return make_layout(modes);
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
