#include "layout/swizzle.h"

#include <bit>
#include <cstdlib>

#include "layout/product.h"

namespace rose::layout {

Swizzle::Swizzle(int bits, int base, int shift) : bits_(bits), base_(base), shift_(shift) {
  constexpr int kHighest = 62;
  // Each value is bounded first, so that the sum cannot overflow.
  bool bounded = bits >= 0 && bits <= kHighest && base >= 0 && base <= kHighest && shift >= -kHighest &&
                 shift <= kHighest;
  if (!bounded || std::abs(shift) < bits || bits + base + std::abs(shift) > kHighest) {
    fail(fmt::format(
        "Sw<{},{},{}>: needs bits >= 0, base >= 0, |shift| >= bits and bits + base + |shift| <= {}", bits,
        base, shift, kHighest));
  }
}

int64_t Swizzle::operator()(int64_t index) const {
  if (bits_ == 0) return index;
  if (index < 0) fail(fmt::format("{} of the negative index {}", to_string(*this), index));
  int64_t mask = (int64_t{1} << bits_) - 1;
  if (shift_ > 0) return index ^ ((index >> (base_ + shift_) & mask) << base_);
  return index ^ ((index >> base_ & mask) << (base_ - shift_));
}

std::string to_string(const Swizzle& swizzle) {
  return fmt::format("Sw<{},{},{}>", swizzle.bits(), swizzle.base(), swizzle.shift());
}

Swizzle recast(const Swizzle& swizzle, int64_t old_bits, int64_t new_bits) {
  auto log2 = [&](int64_t bits) {
    if (bits < 1 || !std::has_single_bit(static_cast<uint64_t>(bits))) {
      fail(fmt::format("recast of {} from {} to {} bits: sizes must be powers of two", to_string(swizzle),
                       old_bits, new_bits));
    }
    return std::countr_zero(static_cast<uint64_t>(bits));
  };
  int base = swizzle.base() + log2(old_bits) - log2(new_bits);
  if (base < 0) {
    fail(fmt::format("recast of {} from {} to {} bits: the base would be {}", to_string(swizzle), old_bits,
                     new_bits, base));
  }
  return {swizzle.bits(), base, swizzle.shift()};
}

int64_t ComposedLayout::cosize() const {
  int64_t plain = checked_add(offset, layout.cosize());
  if (swizzle.bits() == 0) return plain;
  return checked_mul(ceil_div(plain, swizzle.block()), swizzle.block());
}

std::string to_string(const ComposedLayout& composed) {
  return fmt::format("{} o {} o {}", to_string(composed.swizzle), composed.offset,
                     to_string(composed.layout));
}

namespace {

ComposedLayout with_layout(const ComposedLayout& composed, const Layout& layout) {
  return {composed.swizzle, composed.offset, layout};
}

ComposedLayout with_slice(const ComposedLayout& composed, const Sliced& slice) {
  return {composed.swizzle, checked_add(composed.offset, slice.offset), slice.layout};
}

}  // namespace

ComposedLayout composition(const Swizzle& swizzle, const Layout& layout) { return {swizzle, 0, layout}; }

ComposedLayout composition(const ComposedLayout& a, const Tiler& b) {
  return with_layout(a, composition(a.layout, b));
}

ComposedLayout coalesce(const ComposedLayout& composed, const IntTuple& profile) {
  return with_layout(composed, coalesce(composed.layout, profile));
}

ComposedLayout group_modes(const ComposedLayout& composed, int begin, int end) {
  return with_layout(composed, group_modes(composed.layout, begin, end));
}

ComposedLayout logical_divide(const ComposedLayout& composed, const Tiler& tiler) {
  return with_layout(composed, logical_divide(composed.layout, tiler));
}

ComposedLayout zipped_divide(const ComposedLayout& composed, const Tiler& tiler) {
  return with_layout(composed, zipped_divide(composed.layout, tiler));
}

ComposedLayout tiled_divide(const ComposedLayout& composed, const Tiler& tiler) {
  return with_layout(composed, tiled_divide(composed.layout, tiler));
}

ComposedLayout flat_divide(const ComposedLayout& composed, const Tiler& tiler) {
  return with_layout(composed, flat_divide(composed.layout, tiler));
}

ComposedLayout tile_to_shape(const ComposedLayout& block, const IntTuple& shape) {
  return with_layout(block, tile_to_shape(block.layout, shape));
}

ComposedLayout tile_to_shape(const ComposedLayout& block, const IntTuple& shape, const IntTuple& order) {
  return with_layout(block, tile_to_shape(block.layout, shape, order));
}

ComposedLayout slice(const IntTuple& coord, const ComposedLayout& composed) {
  return with_slice(composed, slice_and_offset(coord, composed.layout));
}

ComposedLayout local_tile(const ComposedLayout& composed, const Tiler& tiler, const IntTuple& coord) {
  return with_slice(composed, local_tile(composed.layout, tiler, coord));
}

ComposedLayout local_partition(const ComposedLayout& composed, const Layout& threads, int64_t index) {
  return with_slice(composed, local_partition(composed.layout, threads, index));
}

ComposedLayout recast(const ComposedLayout& composed, int64_t old_bits, int64_t new_bits) {
  int64_t offset_bits = checked_mul(composed.offset, old_bits);
  if (new_bits < 1 || offset_bits % new_bits != 0) {
    fail(fmt::format("recast of {} from {} to {} bits: the offset does not divide", to_string(composed),
                     old_bits, new_bits));
  }
  return {recast(composed.swizzle, old_bits, new_bits), offset_bits / new_bits,
          recast(composed.layout, old_bits, new_bits)};
}

namespace {

constexpr int kChunkBits = 128;  // the hardware moves runs of 16 bytes, whatever the element

void check_element_bits(int element_bits) {
  if (element_bits != 4 && element_bits != 8 && element_bits != 16 && element_bits != 32) {
    fail(fmt::format("shared-memory atom for elements of {} bits: 4, 8, 16 and 32 exist", element_bits));
  }
}

int row_bits(int swizzle_bytes) {
  if (swizzle_bytes == 0) return kChunkBits;
  if (swizzle_bytes != 32 && swizzle_bytes != 64 && swizzle_bytes != 128) {
    fail(
        fmt::format("shared-memory atom with a swizzle of {} bytes: 0, 32, 64 and 128 exist", swizzle_bytes));
  }
  return swizzle_bytes * 8;
}

// The swizzle that spreads the 16-byte chunks of a row over the banks, on indices of elements.
Swizzle row_swizzle(int row_bits, int element_bits) {
  int chunks = row_bits / kChunkBits;
  return recast(Swizzle(std::countr_zero(static_cast<unsigned>(chunks)), 4, 3), 8, element_bits);
}

}  // namespace

ComposedLayout smem_atom_k_major(int swizzle_bytes, int element_bits) {
  check_element_bits(element_bits);
  int bits = row_bits(swizzle_bytes), row = bits / element_bits;
  return {row_swizzle(bits, element_bits), 0, Layout({8, row}, {row, 1})};
}

ComposedLayout smem_atom_mn_major(int swizzle_bytes, int element_bits) {
  check_element_bits(element_bits);
  int bits = row_bits(swizzle_bytes), row = bits / element_bits;
  return {row_swizzle(bits, element_bits), 0, Layout({row, 8}, {1, row})};
}

ComposedLayout smem_atom_mn_major_128_base32(int element_bits) {
  check_element_bits(element_bits);
  int row = 1024 / element_bits;
  return {recast(Swizzle(2, 5, 2), 8, element_bits), 0, Layout({row, 4}, {1, row})};
}

}  // namespace rose::layout
