// Thread-value layouts, coordinate layouts and partitions: every element has its owner, every owner its
// element.
#include "layout/tv_layout.h"

#include <gtest/gtest.h>

#include "layout/svg.h"
#include "random_layouts.h"

namespace rose::layout {
namespace {

void expect_owners_and_coordinates_agree(const TvLayout& layout) {
  ASSERT_TRUE(layout.is_bijective()) << to_string(layout.layout());
  for (int64_t thread = 0; thread < layout.threads(); ++thread) {
    for (int64_t value = 0; value < layout.values(); ++value) {
      TvLayout::Owner owner = layout.owner(layout.coordinate(thread, value));
      ASSERT_EQ(owner, (TvLayout::Owner{thread, value})) << to_string(layout.layout());
    }
  }
}

TEST(TvLayout, FromThreadsAndValues) {
  // 4 x 8 threads row by row, each with 2 x 4 neighbouring values row by row: an (8, 32) tile.
  TvLayout layout = make_tv_layout(row_major({4, 8}), row_major({2, 4}));
  EXPECT_EQ(layout.tile(), (IntTuple{8, 32}));
  EXPECT_EQ(layout.coordinate(0, 0), (IntTuple{0, 0}));
  EXPECT_EQ(layout.coordinate(0, 5), (IntTuple{1, 1}));
  EXPECT_EQ(layout.coordinate(9, 6), (IntTuple{2 + 1, 4 + 2}));
  EXPECT_EQ(layout.owner({3, 6}), (TvLayout::Owner{9, 6}));
}

TEST(TvLayout, BijectiveMeansEveryElementOnce) {
  EXPECT_TRUE(TvLayout({4, 4}, Layout({4, 4}, {4, 1})).is_bijective());
  EXPECT_FALSE(TvLayout({4, 4}, Layout({2, 4}, {1, 2})).is_bijective());  // half of the tile
  EXPECT_FALSE(TvLayout({4, 4}, Layout({4, 4}, {1, 0})).is_bijective());
}

TEST(TvLayout, RandomThreadsAndValues) {
  RandomLayouts random(31);
  for (int i = 0; i < 500; ++i) {
    int64_t m = random.between(1, 4), n = random.between(1, 4), p = random.between(1, 4),
            q = random.between(1, 4);
    Layout threads = random.nested_strides({m, n}, false), values = random.nested_strides({p, q}, false);
    TvLayout layout = make_tv_layout(threads, values);
    expect_owners_and_coordinates_agree(layout);
    for (int64_t row = 0; row < m * p; ++row) {
      for (int64_t column = 0; column < n * q; ++column) {
        TvLayout::Owner expected{threads(row / p, column / q), values(row % p, column % q)};
        ASSERT_EQ(layout.owner({row, column}), expected);
      }
    }
  }
}

// The PTX manual's formulas: lane = 4 * group + place; the value index walks columns, rows, then 8 columns
// on.
TEST(TvLayout, TensorCoreFragments) {
  TvLayout accumulator = wgmma_fragment(64);
  for (int64_t t = 0; t < 128; ++t) {
    for (int64_t i = 0; i < 32; ++i) {
      int64_t row = 16 * (t / 32) + t % 32 / 4 + 8 * (i % 4 / 2), column = 8 * (i / 4) + 2 * (t % 4) + i % 2;
      ASSERT_EQ(accumulator.coordinate(t, i), (IntTuple{row, column}));
    }
  }
  expect_owners_and_coordinates_agree(accumulator);
  TvLayout a = mma_fragment(16), b = mma_b_fragment();
  for (int64_t t = 0; t < 32; ++t) {
    for (int64_t i = 0; i < 8; ++i) {
      int64_t row = t / 4 + (i < 2 || (i >= 4 && i < 6) ? 0 : 8),
              column = t % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0);
      ASSERT_EQ(a.coordinate(t, i), (IntTuple{row, column}));
    }
    for (int64_t i = 0; i < 4; ++i) {
      int64_t k = t % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0);
      ASSERT_EQ(b.coordinate(t, i), (IntTuple{t / 4, k}));
    }
  }
  expect_owners_and_coordinates_agree(mma_fragment(8));
  expect_owners_and_coordinates_agree(b);
}

TEST(TvLayout, PartitionsCoverATensorOnce) {
  TvLayout layout = make_tv_layout(Layout({4, 8}, {8, 1}), Layout({2, 4}, {4, 1}));  // (8, 32) tiles
  Layout tensor = row_major({16, 64});
  ComposedLayout swizzled = composition(Swizzle(3, 3, 3), tensor);
  CoordTensor coordinates = identity_tensor({16, 64});
  std::vector<int> seen(tensor.size(), 0);
  for (int64_t thread = 0; thread < 32; ++thread) {
    Sliced part = layout.partition(tensor, thread);
    ComposedLayout swizzled_part = layout.partition(swizzled, thread);
    CoordTensor coordinate_part = layout.partition(coordinates, thread);
    ASSERT_EQ(part.layout.rank(), 3);
    ASSERT_EQ(product_each(part.layout.shape()), (IntTuple{8, 2, 2}));
    for (int64_t i = 0; i < part.layout.size(); ++i) {
      IntTuple place = idx2crd(i, part.layout.shape());
      int64_t index = part.offset + part.layout(place);
      ++seen[index];
      IntTuple coordinate = coordinate_part(place);
      ASSERT_EQ(tensor(coordinate), index);
      ASSERT_EQ(swizzled_part(place), swizzled(coordinate));
      IntTuple in_tile = {coordinate[0].value() % 8, coordinate[1].value() % 32};
      ASSERT_EQ(layout.owner(in_tile), (TvLayout::Owner{thread, i % 8}));
    }
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), tensor.size());
}

TEST(CoordTensor, TilesNameTheirCoordinatesAndOverhang) {
  CoordTensor whole = identity_tensor({100, 70});
  EXPECT_EQ(to_string(whole), "(0,0) o (100,70):(1@0,1@1)");
  CoordTensor tile = local_tile(whole, {32, 64}, {3, 1});
  EXPECT_EQ(tile.origin, (IntTuple{96, 64}));
  EXPECT_EQ(tile({5, 7}), (IntTuple{101, 71}));
  EXPECT_EQ(tile(32 + 2), (IntTuple{98, 65}));
  int64_t inside = 0;
  for (int64_t i = 0; i < tile.layout.size(); ++i) inside += in_bounds(tile(i), {100, 70});
  EXPECT_EQ(inside, 4 * 6);
  EXPECT_FALSE(in_bounds({-1, 0}, {4, 4}));
  // All tiles along one axis: TMA coordinates of a k loop.
  CoordTensor row_of_tiles = local_tile(whole, {32, 64}, {1, _});
  EXPECT_EQ(row_of_tiles({0, 0, 1}), (IntTuple{32, 64}));
  EXPECT_EQ(composition(whole, {Layout(50, 2), _})({3, 4}), (IntTuple{6, 4}));
  EXPECT_EQ(coordinate_of(parse("((4,2),8):((2@1,1@0),0)"), {{3, 1}, 5}, 2), (IntTuple{1, 6}));
  EXPECT_EQ(to_string(coalesce(parse("(4,8,2):(1@0,4@1,32@1)"))), "(4,16):(1@0,4@1)");  // axes never merge
}

TEST(LocalPartition, DealsElementsToThreads) {
  RandomLayouts random(32);
  for (int i = 0; i < 500; ++i) {
    int64_t m = random.between(1, 4), n = random.between(1, 4), p = random.between(1, 4),
            q = random.between(1, 4);
    Layout threads = random.nested_strides({m, n}, false);
    Layout tensor = random.nested_strides({m * p, n * q}, true);
    CoordTensor coordinates = identity_tensor({m * p, n * q});
    for (int64_t row = 0; row < m * p; ++row) {
      for (int64_t column = 0; column < n * q; ++column) {
        int64_t thread = threads(row % m, column % n);
        Sliced part = local_partition(tensor, threads, thread);
        ASSERT_EQ(part.offset + part.layout(row / m, column / n), tensor(row, column));
        ASSERT_EQ(local_partition(coordinates, threads, thread)({row / m, column / n}),
                  (IntTuple{row, column}));
      }
    }
  }
}

TEST(LocalTile, ProjectionDropsModes) {
  Layout a = row_major({256, 128});  // (M, K) of an (M, N, K) problem
  Sliced tiles = local_tile(a, {64, 32, 16}, {2, 5, _}, {1, _, 1});
  EXPECT_EQ(to_string(tiles.layout), "(64,16,8):(128,1,16)");
  EXPECT_EQ(tiles.offset, 2 * 64 * 128);
}

size_t occurrences(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(Svg, DrawsEveryCell) {
  std::string picture = svg(Layout({4, 8}, {8, 1}));
  EXPECT_EQ(occurrences(picture, "<rect "), 32u);
  EXPECT_EQ(occurrences(picture, ">31</text>"), 1u);
  EXPECT_EQ(occurrences(picture, "<text "), 32u + 4 + 8);
  EXPECT_EQ(picture.rfind("</svg>\n"), picture.size() - 7);
  EXPECT_EQ(occurrences(svg(smem_atom_k_major(128, 16)), "<rect "), 512u);

  std::string fragment = svg(mma_fragment(8));
  EXPECT_EQ(occurrences(fragment, ">T31 V3</text>"), 1u);
  EXPECT_EQ(occurrences(fragment, "fill=\"white\""), 0u);
  // Two threads share four elements; the other four belong to nobody.
  std::string shared = svg(TvLayout({2, 4}, Layout({2, 4}, {0, 1})));
  EXPECT_EQ(occurrences(shared, "+</text>"), 4u);
  EXPECT_EQ(occurrences(shared, "fill=\"white\""), 4u);
}

}  // namespace
}  // namespace rose::layout
