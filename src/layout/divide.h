// Division: a layout split into tiles and the layout of the tiles.
#pragma once

#include "layout/algebra.h"

namespace rose::layout {

// a o (t, complement of t): mode 0 runs inside a tile, mode 1 over the tiles. By mode for a tuple: each
// mode becomes (tile, rest). Where the tile does not divide, the rest rounds up (10:1 by 4 is (4,3):(1,4))
// and predicating the overhang is the caller's duty.
Layout logical_divide(const Layout& layout, const Tiler& tiler);
// Regrouped to ((tile modes), (rest modes)). A `_` counts as a tile of one element.
Layout zipped_divide(const Layout& layout, const Tiler& tiler);
Layout tiled_divide(const Layout& layout, const Tiler& tiler);  // ((tile modes), rest0, rest1, ...)
Layout flat_divide(const Layout& layout, const Tiler& tiler);   // (tile0, tile1, ..., rest0, rest1, ...)

// A divided layout and the coordinate that slices one part out of it.
struct Cut {
  Layout layout;
  IntTuple coord;
};
Cut cut_tile(const Layout& layout, const Tiler& tiler, const IntTuple& coord);
Cut cut_partition(const Layout& layout, const Layout& threads, int64_t index);

// The tile at tile coordinate coord of the layout cut by tiler. `_` in coord keeps that mode of the
// tile grid, after the modes of the tile: local_tile(A, {128, 64}, {2, _}) is (128,64,k) with an offset.
Sliced local_tile(const Layout& layout, const Tiler& tiler, const IntTuple& coord);
// The same with only the modes of tiler and coord that `kept` marks with an integer, not with `_`:
// a (M,N,K) tiler serves the (M,K) operand with kept = {1, _, 1}.
Sliced local_tile(const Layout& layout, const Tiler& tiler, const IntTuple& coord, const IntTuple& kept);

// The elements that thread `index` owns when the compact layout `threads` (coordinates -> thread) is laid
// over the layout again and again: one element in each repetition.
Sliced local_partition(const Layout& layout, const Layout& threads, int64_t index);

}  // namespace rose::layout
