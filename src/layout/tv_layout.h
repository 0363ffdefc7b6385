// Thread-value layouts: which thread of a group holds which element of a tile, in which register.
#pragma once

#include "layout/coord.h"
#include "layout/swizzle.h"

namespace rose::layout {

// A layout of rank 2, (thread, value) -> element of the tile, counted colexicographically (m + M * n in an
// (M, N) tile). Several threads may hold one element (stride 0 in the thread mode).
class TvLayout {
 public:
  // tile is a flat tuple of extents. Throws unless the layout has rank 2 and stays inside the tile.
  TvLayout(IntTuple tile, Layout layout);

  const IntTuple& tile() const { return tile_; }
  const Layout& layout() const { return layout_; }
  int64_t threads() const { return layout_[0].size(); }
  int64_t values() const { return layout_[1].size(); }  // elements that each thread holds
  bool is_bijective() const;                            // each element of the tile is held exactly once

  // The tile coordinate of one value of one thread; throws outside the ranges.
  IntTuple coordinate(int64_t thread, int64_t value) const;

  struct Owner {
    int64_t thread = 0;
    int64_t value = 0;
    friend bool operator==(const Owner&, const Owner&) = default;
  };
  // Who holds the element; throws unless the layout is bijective.
  Owner owner(const IntTuple& coordinate) const;

  // What one thread holds of a tensor whose leading modes are cut into tiles: (value, rest0, rest1, ...).
  Sliced partition(const Layout& tensor, int64_t thread) const;
  ComposedLayout partition(const ComposedLayout& tensor, int64_t thread) const;
  CoordTensor partition(const CoordTensor& tensor, int64_t thread) const;

 private:
  Cut cut(const Layout& tensor, int64_t thread) const;
  IntTuple tile_;
  Layout layout_;
};

// Threads laid over the tile again and again, each holding a block of values at every place:
// `threads` maps (m, n) to a thread number, `values` maps (m, n) inside a block to a value number; both
// are compact. The tile has the size of both multiplied.
TvLayout make_tv_layout(const Layout& threads, const Layout& values);

// Registers of tensor-core instructions (PTX ISA, figures of the fragments), in the order of the operands.
// wgmma: the accumulator of m64nNk16 for N = columns, and the 16-bit A operand from registers (columns =
// 16); 128 threads, tile (64, columns).
TvLayout wgmma_fragment(int columns);
// mma.sync with 16-bit operands: the m16n8 accumulator (columns = 8) and the m16k16 A operand (16);
// 32 threads, tile (16, columns).
TvLayout mma_fragment(int columns);
// The B operand of mma.sync m16n8k16; 32 threads, tile (8 n, 16 k).
TvLayout mma_b_fragment();

}  // namespace rose::layout
