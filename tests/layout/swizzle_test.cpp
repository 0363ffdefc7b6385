// Swizzles permute and undo themselves; the shared-memory atoms are what the PTX manual draws.
#include "layout/swizzle.h"

#include <gtest/gtest.h>

#include "random_layouts.h"

namespace rose::layout {
namespace {

TEST(Swizzle, IsAnInvolutionThatPermutesItsBlocks) {
  for (int bits = 0; bits <= 3; ++bits) {
    for (int base = 0; base <= 4; ++base) {
      for (int shift = -4; shift <= 4; ++shift) {
        if (std::abs(shift) < bits) continue;
        Swizzle swizzle(bits, base, shift);
        for (int64_t index = 0; index < 4096; ++index) {
          ASSERT_EQ(swizzle(swizzle(index)), index) << to_string(swizzle);
          ASSERT_EQ(swizzle(index) / swizzle.block(), index / swizzle.block()) << to_string(swizzle);
          ASSERT_EQ(swizzle(index) % (int64_t{1} << base), index % (int64_t{1} << base))
              << to_string(swizzle);
        }
      }
    }
  }
}

TEST(Swizzle, BytesAndElementsAgree) {
  Swizzle bytes(3, 4, 3);
  for (int element_bytes : {1, 2, 4, 8, 16}) {
    Swizzle elements = recast(bytes, 8, 8 * element_bytes);
    for (int64_t i = 0; i < 1024; ++i) ASSERT_EQ(elements(i) * element_bytes, bytes(i * element_bytes));
    EXPECT_EQ(recast(elements, 8 * element_bytes, 8), bytes);
  }
}

// The definition on bytes: within 8 rows of `width` bytes, 16-byte chunk c of 128-byte line r moves to
// chunk c ^ (r mod width/16).
TEST(SmemAtom, ChunksAreSpreadOverTheBanks) {
  for (int width : {32, 64, 128}) {
    for (int bits : {4, 8, 16, 32}) {
      ComposedLayout k_major = smem_atom_k_major(width, bits), mn_major = smem_atom_mn_major(width, bits);
      int row = width * 8 / bits, chunk = 128 / bits;
      ASSERT_EQ(k_major.shape(), (IntTuple{8, row}));
      ASSERT_EQ(mn_major.shape(), (IntTuple{row, 8}));
      ASSERT_EQ(k_major.cosize(), 8 * row);
      for (int64_t r = 0; r < 8; ++r) {
        for (int64_t k = 0; k < row; ++k) {
          int64_t line = (r * row + k) / (1024 / bits);
          int64_t moved = (k / chunk) ^ (line % (width / 16));
          ASSERT_EQ(k_major(r, k), r * row + moved * chunk + k % chunk)
              << width << " bytes, " << bits << " bits";
          ASSERT_EQ(mn_major(k, r), k_major(r, k));
        }
      }
    }
  }
}

TEST(SmemAtom, Notation) {
  EXPECT_EQ(to_string(smem_atom_k_major(128, 16)), "Sw<3,3,3> o 0 o (8,64):(64,1)");
  EXPECT_EQ(to_string(smem_atom_k_major(0, 8)), "Sw<0,4,3> o 0 o (8,16):(16,1)");
  EXPECT_EQ(to_string(smem_atom_mn_major(64, 16)), "Sw<2,3,3> o 0 o (32,8):(1,32)");
  EXPECT_EQ(to_string(smem_atom_mn_major_128_base32(32)), "Sw<2,3,2> o 0 o (32,4):(1,32)");
}

TEST(SmemAtom, EightRowsOfOneChunkHitAllBanks) {
  ComposedLayout tile = tile_to_shape(smem_atom_k_major(128, 16), {128, 64});
  std::set<int64_t> banks;
  for (int64_t r = 0; r < 8; ++r) banks.insert(tile(r, 8) * 2 / 4 % 32);
  EXPECT_EQ(banks.size(), 8u);
  EXPECT_EQ(tile.size(), 128 * 64);
  EXPECT_EQ(tile(8, 0), 8 * 64);
}

TEST(ComposedLayout, SlicesAndTilesAreThePartsOfTheWhole) {
  RandomLayouts random(21);
  for (int i = 0; i < 2000; ++i) {
    ComposedLayout atom = smem_atom_k_major(random.pick(std::vector<int64_t>{0, 32, 64, 128}), 16);
    ComposedLayout whole =
        tile_to_shape(atom, {32, 64}, random.between(0, 1) ? IntTuple{0, 1} : IntTuple{1, 0});
    int64_t m = random.between(0, 31), k = random.between(0, 63);
    ASSERT_EQ(slice({m, _}, whole)(k), whole(m, k));
    ASSERT_EQ(slice({_, k}, whole)(m), whole(m, k));
    ComposedLayout tile = local_tile(whole, {8, 16}, {m / 8, k / 16});
    ASSERT_EQ(slice({m % 8, k % 16}, tile)(0), whole(m, k));  // offsets add up
    ASSERT_EQ(local_tile(whole, {8, 16}, {m / 8, k / 16})(m % 8, k % 16), whole(m, k));
    ASSERT_EQ(zipped_divide(whole, {8, 16})({{m % 8, k % 16}, {m / 8, k / 16}}), whole(m, k));
    ASSERT_EQ(logical_divide(whole, {8, 16})({{m % 8, m / 8}, {k % 16, k / 16}}), whole(m, k));
    ASSERT_EQ(composition(whole, {Layout(16, 2), Layout(32, 2)})(m / 2, k / 2), whole(m / 2 * 2, k / 2 * 2));
    ASSERT_EQ(local_partition(whole, Layout({4, 8}, {8, 1}), m)(0), whole(m / 8, m % 8));
    // Sixteen-byte vectors stay whole: an element's vector is the recast layout's element.
    ComposedLayout vectors = recast(whole, 16, 128);
    ASSERT_EQ(vectors(m, k / 8), whole(m, k) / 8);
    ASSERT_LT(whole(m, k), whole.cosize());
  }
}

}  // namespace
}  // namespace rose::layout
