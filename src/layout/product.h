// Products: a block layout repeated by the layout of its repetitions.
#pragma once

#include "layout/algebra.h"

namespace rose::layout {

// (block, complement of block o tiler): mode 0 runs inside the block, mode 1 over its repetitions, which
// tiler arranges. By mode for a tuple; an integer n is n:1.
Layout logical_product(const Layout& block, const Tiler& tiler);
Layout zipped_product(const Layout& block,
                      const Tiler& tiler);  // ((block modes), (tiler modes)); `_` repeats once
Layout tiled_product(const Layout& block, const Tiler& tiler);  // ((block modes), tiler0, tiler1, ...)
Layout flat_product(const Layout& block, const Tiler& tiler);   // (block0, ..., tiler0, ...)

// Mode i of the result pairs mode i of both: whole blocks side by side, ((block_i, tiler_i), ...).
Layout blocked_product(const Layout& block, const Layout& tiler);
// The same elements interleaved, as cards are dealt: ((tiler_i, block_i), ...).
Layout raked_product(const Layout& block, const Layout& tiler);

// The block repeated until it fills `shape` (rounded up to whole blocks); repetitions run through the
// modes in ascending order numbers, by default mode 0 first.
Layout tile_to_shape(const Layout& block, const IntTuple& shape);
Layout tile_to_shape(const Layout& block, const IntTuple& shape, const IntTuple& order);

}  // namespace rose::layout
