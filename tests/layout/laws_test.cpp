// Each operation obeys its law on thousands of random layouts: at every coordinate, not at samples. Layouts
// are kept small (at most kLargest elements) so that all of them can be looked at.
#include <gtest/gtest.h>

#include "layout/divide.h"
#include "layout/product.h"
#include "random_layouts.h"

namespace rose::layout {
namespace {

constexpr int64_t kLargest = 600;

// Runs the operation; false where it rejects its operands.
template <class Result, class Operation>
bool admitted(Result& result, const Operation& operation) {
  try {
    result = operation();
    return true;
  } catch (const LayoutError&) {
    return false;
  }
}

TEST(Laws, TextRoundTrip) {
  RandomLayouts random(1);
  for (int i = 0; i < 5000; ++i) {
    Layout layout = random.any(3, true);
    ASSERT_EQ(parse(to_string(layout)), layout);
  }
}

TEST(Laws, CoordinatesRoundTrip) {
  RandomLayouts random(2);
  for (int i = 0; i < 2000; ++i) {
    Layout layout = random.any();
    if (layout.size() > kLargest) continue;
    for (int64_t index = 0; index < layout.size(); ++index) {
      IntTuple coord = idx2crd(index, layout.shape());
      ASSERT_TRUE(congruent(coord, layout.shape()));
      ASSERT_EQ(crd2idx(coord, layout.shape()), index);
      ASSERT_EQ(layout(coord), layout(index)) << to_string(layout);
      ASSERT_EQ(idx2crd(index, layout.shape(), col_major(layout.shape()).stride()), coord);
      ASSERT_EQ(crd2crd(coord, layout.shape(), flatten(layout.shape())),
                idx2crd(index, flatten(layout.shape())));
    }
  }
}

TEST(Laws, IndexRangeHoldsAllIndices) {
  RandomLayouts random(3);
  for (int i = 0; i < 5000; ++i) {
    Layout layout = random.any(2, true);
    if (layout.size() > kLargest) continue;
    std::vector<int64_t> values = sorted_values_of(layout);
    ASSERT_EQ(index_range(layout).first, values.front()) << to_string(layout);
    ASSERT_EQ(index_range(layout).last, values.back()) << to_string(layout);
  }
}

TEST(Laws, CoalesceKeepsTheFunction) {
  RandomLayouts random(4);
  for (int i = 0; i < 15000; ++i) {
    Layout layout = random.any(3, true);
    if (layout.size() > kLargest) continue;
    Layout flat = coalesce(layout);
    ASSERT_LE(flat.depth(), 1);
    ASSERT_LE(flat.rank(), std::max<int>(1, leaves(layout.shape()).size()));
    ASSERT_EQ(values_of(flat), values_of(layout)) << to_string(layout);
    ASSERT_EQ(coalesce(flat), flat);
    if (layout.shape().is_tuple()) {
      Layout by_mode = coalesce(layout, IntTuple::tuple(std::vector<IntTuple>(layout.rank(), 1)));
      ASSERT_EQ(product_each(by_mode.shape()), product_each(layout.shape()));
      ASSERT_EQ(values_of(by_mode), values_of(layout)) << to_string(layout);
    }
    std::vector<int64_t> kept = sorted_values_of(filter(layout)), all = sorted_values_of(layout);
    ASSERT_EQ(std::set<int64_t>(kept.begin(), kept.end()), std::set<int64_t>(all.begin(), all.end()));
  }
}

TEST(Laws, CompositionIsFunctionComposition) {
  RandomLayouts random(5);
  int admissible = 0;
  for (int i = 0; i < 60000; ++i) {
    Layout a = random.any(2, true), b = random.any();
    if (b.size() > kLargest) continue;
    Layout r;
    if (!admitted(r, [&] { return composition(a, b); })) continue;
    ASSERT_TRUE(compatible(b.shape(), r.shape()))
        << to_string(a) << " o " << to_string(b) << " = " << to_string(r);
    bool tested = false;
    for (int64_t c = 0; c < b.size(); ++c) {
      if (b(c) >= a.size()) continue;  // there a itself is not defined
      ASSERT_EQ(r(c), a(b(c))) << to_string(a) << " o " << to_string(b) << " = " << to_string(r) << " at "
                               << c;
      tested |= c > 0;
    }
    admissible += tested;
  }
  EXPECT_GT(admissible, 15000);
}

// No false alarms: where strides and extents divide all the way, composition never rejects.
TEST(Laws, CompositionAdmitsEveryDividingLayout) {
  RandomLayouts random(6);
  for (int i = 0; i < 10000; ++i) {
    Layout a = random.injective(1);
    // Divisors all the way: a sub-rectangle of a's coordinates, from the first mode on, in steps.
    std::vector<Mode> modes = coalesce(a).modes();
    int64_t step = 1, extent = 1;
    size_t first = random.between(0, static_cast<int64_t>(modes.size()) - 1);
    for (size_t k = 0; k < first; ++k) step *= modes[k].shape;
    for (size_t k = first; k < modes.size(); ++k) extent *= modes[k].shape;
    for (int64_t divisor = 1; divisor <= modes[first].shape; ++divisor) {
      if (modes[first].shape % divisor != 0) continue;
      Layout b(extent / divisor, step * divisor);
      Layout r = composition(a, b);
      for (int64_t c = 0; c < b.size(); ++c)
        ASSERT_EQ(r(c), a(b(c))) << to_string(a) << " o " << to_string(b);
    }
  }
}

TEST(Laws, ComplementIsDisjointOrderedAndCovers) {
  RandomLayouts random(7);
  int admissible = 0;
  for (int i = 0; i < 20000; ++i) {
    Layout layout = i % 2 == 0 ? random.injective() : random.any();
    if (layout.size() > 64) continue;
    int64_t extent = random.between(1, 200);
    Layout rest;
    if (!admitted(rest, [&] { return complement(layout, extent); })) {
      ASSERT_EQ(i % 2, 1) << to_string(layout) << " is admissible";
      continue;
    }
    ++admissible;
    Layout moving = filter(layout);
    ASSERT_GE(rest.size() * moving.size(), extent);
    Layout both = make_layout({moving, rest});
    if (both.size() > 20000) continue;
    std::vector<int64_t> values = sorted_values_of(both);
    for (size_t k = 0; k < values.size(); ++k)
      ASSERT_EQ(values[k], static_cast<int64_t>(k)) << to_string(both);
    std::vector<int64_t> ascending = values_of(rest);
    ASSERT_TRUE(std::is_sorted(ascending.begin(), ascending.end())) << to_string(rest);
  }
  EXPECT_GT(admissible, 8000);
}

TEST(Laws, RightInverse) {
  RandomLayouts random(8);
  for (int i = 0; i < 20000; ++i) {
    Layout layout = i % 2 == 0 ? random.permuted() : random.any(2, true);
    if (layout.size() > kLargest) continue;
    Layout inverse = right_inverse(layout);
    for (int64_t k = 0; k < inverse.size(); ++k) ASSERT_EQ(layout(inverse(k)), k) << to_string(layout);
    if (i % 2 == 0) {
      ASSERT_EQ(inverse.size(), layout.size()) << to_string(layout);
      ASSERT_EQ(values_of(right_inverse(inverse)), values_of(layout));
    }
  }
}

TEST(Laws, LeftInverse) {
  RandomLayouts random(9);
  int admissible = 0;
  for (int i = 0; i < 20000; ++i) {
    Layout layout = i % 2 == 0 ? random.injective() : random.any();
    if (layout.size() > kLargest) continue;
    Layout inverse;
    if (!admitted(inverse, [&] { return left_inverse(layout); })) {
      ASSERT_EQ(i % 2, 1) << to_string(layout) << " is admissible";
      continue;
    }
    ++admissible;
    for (int64_t c = 0; c < layout.size(); ++c) {
      ASSERT_EQ(inverse(layout(c)), c) << to_string(inverse) << " for " << to_string(layout);
    }
  }
  EXPECT_GT(admissible, 8000);
}

TEST(Laws, NullspaceIsTheKernelOfZeroStrides) {
  RandomLayouts random(10);
  for (int i = 0; i < 10000; ++i) {
    Layout layout = random.any();
    if (layout.size() > kLargest) continue;
    Layout kernel = nullspace(layout);
    for (int64_t k = 0; k < kernel.size(); ++k) ASSERT_EQ(layout(kernel(k)), 0) << to_string(layout);
    ASSERT_TRUE(is_injective(kernel));
    ASSERT_EQ(kernel.size() * filter_zeros(layout).size(), layout.size());
  }
}

TEST(Laws, MaxCommonLayoutIsContiguousInBoth) {
  RandomLayouts random(11);
  int wide = 0;
  for (int i = 0; i < 10000; ++i) {
    IntTuple shape = random.shape(2);
    Layout a = random.nested_strides(shape, random.between(0, 1)), b = random.nested_strides(shape, false);
    if (a.size() > kLargest) continue;
    Layout common = max_common_layout(a, b);
    for (int64_t k = 0; k < common.size(); ++k) {
      ASSERT_EQ(a(common(k)), k) << to_string(a) << " and " << to_string(b);
      ASSERT_EQ(b(common(k)), k) << to_string(a) << " and " << to_string(b);
    }
    // And it is the longest: the coordinates of the next element differ, or one layout has no such element.
    std::vector<int64_t> in_a = values_of(a), in_b = values_of(b);
    auto next_a = std::find(in_a.begin(), in_a.end(), common.size()) - in_a.begin();
    auto next_b = std::find(in_b.begin(), in_b.end(), common.size()) - in_b.begin();
    ASSERT_TRUE(next_a == a.size() || next_b == b.size() || next_a != next_b)
        << to_string(a) << " and " << to_string(b);
    wide += common.size() > 1;
  }
  EXPECT_GT(wide, 1000);
}

TEST(Laws, DivideSplitsIntoTileAndRest) {
  RandomLayouts random(12);
  int admissible = 0;
  for (int i = 0; i < 20000; ++i) {
    Layout layout = random.any(), tile = random.injective(1);
    if (layout.size() > kLargest || tile.size() > 64) continue;
    Layout divided;
    if (!admitted(divided, [&] { return logical_divide(layout, tile); })) continue;
    ASSERT_EQ(divided.rank(), 2);
    for (int64_t k = 0; k < tile.size(); ++k) {
      if (tile(k) >= layout.size()) continue;
      ASSERT_EQ(divided[0](k), layout(tile(k))) << to_string(layout) << " by " << to_string(tile);
    }
    // Whole tiles: nothing is lost and nothing comes twice.
    if (divided.size() != layout.size()) continue;
    ASSERT_EQ(sorted_values_of(divided), sorted_values_of(layout))
        << to_string(layout) << " by " << to_string(tile);
    ++admissible;
  }
  EXPECT_GT(admissible, 2000);
}

TEST(Laws, DivideByModeRegroupsTheSameModes) {
  RandomLayouts random(13);
  for (int i = 0; i < 500; ++i) {
    int64_t m = random.between(1, 4), n = random.between(1, 4), tile_m = random.between(1, 4),
            tile_n = random.between(1, 4);
    Layout layout = random.nested_strides({m * tile_m, n * tile_n, 3}, true);
    Tiler tiler = {tile_m, tile_n};
    Layout by_mode = logical_divide(layout, tiler), zipped = zipped_divide(layout, tiler);
    Layout tiled = tiled_divide(layout, tiler), flat = flat_divide(layout, tiler);
    ASSERT_EQ(zipped.shape(), (IntTuple{{tile_m, tile_n}, {m, n, 3}}));
    for (int64_t row = 0; row < m * tile_m; ++row) {
      for (int64_t column = 0; column < n * tile_n; ++column) {
        int64_t r0 = row % tile_m, r1 = row / tile_m, c0 = column % tile_n, c1 = column / tile_n;
        int64_t expected = layout({row, column, 2});
        ASSERT_EQ(by_mode({{r0, r1}, {c0, c1}, 2}), expected);
        ASSERT_EQ(zipped({{r0, c0}, {r1, c1, 2}}), expected);
        ASSERT_EQ(tiled({{r0, c0}, r1, c1, 2}), expected);
        ASSERT_EQ(flat({r0, c0, r1, c1, 2}), expected);
        Sliced tile = local_tile(layout, tiler, {r1, c1});
        ASSERT_EQ(tile.offset + tile.layout({r0, c0, 2}), expected);
      }
    }
  }
}

TEST(Laws, ProductRepeatsTheBlock) {
  RandomLayouts random(14);
  int admissible = 0;
  for (int i = 0; i < 20000; ++i) {
    Layout block = random.injective(1), tiler = random.permuted(1);
    if (block.size() > 64 || tiler.size() > 64) continue;
    Layout result;
    if (!admitted(result, [&] { return logical_product(block, tiler); })) continue;
    ++admissible;
    ASSERT_EQ(result[0], block);
    ASSERT_TRUE(compatible(tiler.shape(), result[1].shape()));
    ASSERT_TRUE(is_injective(result))
        << to_string(block) << " by " << to_string(tiler) << " = " << to_string(result);
    // The repetitions run through the complement in the order of the tiler.
    std::vector<int64_t> places = values_of(result[1]), order = values_of(tiler);
    for (size_t j = 0; j + 1 < places.size(); ++j)
      ASSERT_EQ(places[j] < places[j + 1], order[j] < order[j + 1]);
  }
  EXPECT_GT(admissible, 8000);
}

TEST(Laws, BlockedAndRakedProducts) {
  RandomLayouts random(15);
  for (int i = 0; i < 5000; ++i) {
    int64_t m = random.between(1, 4), n = random.between(1, 4), p = random.between(1, 4),
            q = random.between(1, 4);
    Layout block = random.nested_strides({m, n}, false), tiler = random.nested_strides({p, q}, false);
    Layout blocked = blocked_product(block, tiler), raked = raked_product(block, tiler);
    for (int64_t row = 0; row < m * p; ++row) {
      for (int64_t column = 0; column < n * q; ++column) {
        int64_t repetition = m * n;  // the block is compact, so repetition r starts at r * size
        ASSERT_EQ(blocked(row, column), block(row % m, column % n) + repetition * tiler(row / m, column / n));
        ASSERT_EQ(raked(row, column), block(row / p, column / q) + repetition * tiler(row % p, column % q));
      }
    }
    bool row_first = random.between(0, 1);
    Layout filled = tile_to_shape(block, {m * p, n * q}, row_first ? IntTuple{0, 1} : IntTuple{1, 0});
    ASSERT_EQ(filled(m * p - 1, 0), block(m - 1, 0) + m * n * (p - 1) * (row_first ? 1 : q));
    ASSERT_EQ(sorted_values_of(filled), sorted_values_of(col_major({m * n, p * q})));
  }
}

TEST(Laws, SliceIsTheLayoutWithSomeCoordinatesFixed) {
  RandomLayouts random(16);
  for (int i = 0; i < 10000; ++i) {
    Layout layout = random.any(2, true);
    if (!layout.shape().is_tuple() || layout.rank() == 0 || layout.size() > kLargest) continue;
    // Fix a random set of top modes.
    std::vector<IntTuple> coord(layout.rank());
    for (int mode = 0; mode < layout.rank(); ++mode) {
      coord[mode] = random.between(0, 1) ? IntTuple(_) : IntTuple(random.between(0, layout[mode].size() - 1));
    }
    IntTuple cut = IntTuple::tuple(coord);
    Sliced slice = slice_and_offset(cut, layout);
    Layout kept = layout::slice(cut, layout), fixed = dice(cut, layout);
    ASSERT_EQ(slice.layout, kept);
    ASSERT_EQ(kept.size() * fixed.size(), layout.size());
    for (int64_t k = 0; k < kept.size(); ++k) {
      IntTuple inner = idx2crd(k, kept.shape());
      std::vector<IntTuple> full = coord;
      for (int mode = 0, used = 0; mode < layout.rank(); ++mode) {
        if (coord[mode].is_wildcard()) full[mode] = inner[used++];
      }
      ASSERT_EQ(slice.offset + slice.layout(k), layout(IntTuple::tuple(full))) << to_string(layout);
    }
  }
}

TEST(Laws, RecastKeepsTheBytes) {
  RandomLayouts random(17);
  int admissible = 0;
  for (int i = 0; i < 20000; ++i) {
    Layout layout = random.any();
    if (layout.size() > kLargest) continue;
    int64_t factor = random.pick(std::vector<int64_t>{1, 2, 3, 4, 8});
    Layout wide;
    if (!admitted(wide, [&] { return upcast(layout, factor); })) continue;
    ++admissible;
    // Each new element stands for `factor` old ones, and stride-0 modes repeat as they did.
    std::vector<int64_t> expected;
    for (int64_t element : values_of(wide)) {
      for (int64_t part = 0; part < factor; ++part) expected.push_back(element * factor + part);
    }
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(expected, sorted_values_of(layout)) << to_string(layout) << " in units of " << factor;
    Layout back;
    if (admitted(back, [&] { return downcast(wide, factor); })) {
      ASSERT_EQ(sorted_values_of(back), sorted_values_of(layout)) << to_string(wide);
      ASSERT_EQ(recast(wide, 8 * factor, 8), back);
    }
  }
  EXPECT_GT(admissible, 4000);
}

TEST(Laws, StructureKeepsTheFunction) {
  RandomLayouts random(18);
  for (int i = 0; i < 10000; ++i) {
    Layout layout = random.any(3, true);
    if (layout.size() > kLargest) continue;
    std::vector<int64_t> values = values_of(layout);
    ASSERT_EQ(values_of(flatten(layout)), values);
    ASSERT_EQ(unflatten(flatten(layout), layout.shape()), layout);
    int begin = random.between(0, layout.rank()), end = random.between(begin, layout.rank());
    ASSERT_EQ(values_of(group_modes(layout, begin, end)), values);
    ASSERT_EQ(values_of(append_to_rank(layout, layout.rank() + 2)), values);
    ASSERT_EQ(values_of(prepend(layout, Layout(1, 7))), values);
    ASSERT_EQ(append(take(layout, 0, layout.rank()), Layout(2, 5)), append(layout, Layout(2, 5)));
    ASSERT_EQ(select(append(Layout({2, 3}, {3, 1}), layout), {2, 0}), make_layout({layout, Layout(2, 3)}));
  }
}

}  // namespace
}  // namespace rose::layout
