// Swizzles, layouts behind a swizzle, and the shared-memory atoms of wgmma and tcgen05.
#pragma once

#include "layout/divide.h"

namespace rose::layout {

// Swizzle<B,M,S>: XORs B bits of an index, starting at bit M, with the B bits that stand S higher (S < 0:
// the bits at M - S are changed, by those at M). It is its own inverse. On byte addresses (1,4,3), (2,4,3)
// and (3,4,3) are the hardware's 32-, 64- and 128-byte swizzles; on elements M falls by log2 of their bytes.
class Swizzle {
 public:
  Swizzle() = default;  // the identity (0,4,3)
  // Throws unless bits and base are at least 0, |shift| >= bits and all bits lie below bit 62.
  Swizzle(int bits, int base, int shift);

  int bits() const { return bits_; }
  int base() const { return base_; }
  int shift() const { return shift_; }
  int64_t operator()(int64_t index) const;  // index >= 0
  // Aligned blocks of this many indices are mapped onto themselves.
  int64_t block() const { return int64_t{1} << (base_ + bits_ + (shift_ < 0 ? -shift_ : 0)); }

  friend bool operator==(const Swizzle&, const Swizzle&) = default;

 private:
  int bits_ = 0, base_ = 4, shift_ = 3;
};
std::string to_string(const Swizzle& swizzle);  // "Sw<3,4,3>"
// The same permutation of memory on indices of elements of another size. The sizes must differ by a power
// of two, and new elements must not be longer than the runs that stay together.
Swizzle recast(const Swizzle& swizzle, int64_t old_bits, int64_t new_bits);

// The function c -> swizzle(offset + layout(c)).
struct ComposedLayout {
  Swizzle swizzle;
  int64_t offset = 0;
  Layout layout;

  const IntTuple& shape() const { return layout.shape(); }
  int rank() const { return layout.rank(); }
  int64_t size() const { return layout.size(); }
  // A bound above all indices: offset + cosize, rounded up to whole blocks of the swizzle.
  int64_t cosize() const;
  int64_t operator()(const IntTuple& coord) const { return swizzle(checked_add(offset, layout(coord))); }
  int64_t operator()(int64_t row, int64_t column) const { return (*this)(IntTuple{row, column}); }
  int64_t at(const IntTuple& coord) const { return swizzle(checked_add(offset, layout.at(coord))); }

  friend bool operator==(const ComposedLayout&, const ComposedLayout&) = default;
};
std::string to_string(const ComposedLayout& composed);  // "Sw<3,4,3> o 0 o (8,64):(64,1)"

// The algebra acts on the inner layout; slices add to the offset and keep the swizzle.
ComposedLayout composition(const Swizzle& swizzle, const Layout& layout);
ComposedLayout composition(const ComposedLayout& a, const Tiler& b);
ComposedLayout coalesce(const ComposedLayout& composed, const IntTuple& profile);
ComposedLayout group_modes(const ComposedLayout& composed, int begin, int end);
ComposedLayout logical_divide(const ComposedLayout& composed, const Tiler& tiler);
ComposedLayout zipped_divide(const ComposedLayout& composed, const Tiler& tiler);
ComposedLayout tiled_divide(const ComposedLayout& composed, const Tiler& tiler);
ComposedLayout flat_divide(const ComposedLayout& composed, const Tiler& tiler);
ComposedLayout tile_to_shape(const ComposedLayout& block, const IntTuple& shape);
ComposedLayout tile_to_shape(const ComposedLayout& block, const IntTuple& shape, const IntTuple& order);
ComposedLayout slice(const IntTuple& coord, const ComposedLayout& composed);
ComposedLayout local_tile(const ComposedLayout& composed, const Tiler& tiler, const IntTuple& coord);
ComposedLayout local_partition(const ComposedLayout& composed, const Layout& threads, int64_t index);
ComposedLayout recast(const ComposedLayout& composed, int64_t old_bits, int64_t new_bits);

// The smallest shared-memory tiles that wgmma and tcgen05 matrix descriptors can address, in elements.
// swizzle_bytes is 0 (no swizzle: rows of 16 bytes), 32, 64 or 128; element_bits a power of two from 4 to
// 32. Larger tiles are made with tile_to_shape. Source: PTX ISA, "Shared Memory Matrix Layout" of
// wgmma and the canonical layouts of tcgen05.
ComposedLayout smem_atom_k_major(int swizzle_bytes, int element_bits);   // (8 rows, k) with k contiguous
ComposedLayout smem_atom_mn_major(int swizzle_bytes, int element_bits);  // (mn, 8 k) with mn contiguous
// tcgen05's fifth mode for MN-major tf32: 128 bytes wide, swizzled in runs of 32 bytes; (mn, 4 k).
ComposedLayout smem_atom_mn_major_128_base32(int element_bits);

}  // namespace rose::layout
