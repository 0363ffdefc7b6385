// What each operation refuses, and that the message shows why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layout/product.h"
#include "layout/svg.h"

namespace rose::layout {
namespace {

using ::testing::HasSubstr;

// The message of the LayoutError that the operation throws; fails the test if it throws none.
template <class Operation>
std::string message_of(const Operation& operation) {
  try {
    operation();
  } catch (const LayoutError& error) {
    return error.what();
  }
  return "(nothing was thrown)";
}

TEST(Errors, Text) {
  EXPECT_THAT(message_of([] { parse_tuple("(2,,3)"); }), HasSubstr("character 4: expected a 64-bit integer"));
  EXPECT_THAT(message_of([] { parse_tuple("(2,3"); }), HasSubstr("character 5: expected ',' or ')'"));
  EXPECT_THAT(message_of([] { parse_tuple("4 4"); }), HasSubstr("expected the end"));
  EXPECT_THAT(message_of([] { parse_tuple("99999999999999999999"); }),
              HasSubstr("expected a 64-bit integer"));
  EXPECT_THAT(message_of([] { parse_tuple(std::string(100000, '(')); }), HasSubstr("levels of nesting"));
  EXPECT_THAT(message_of([] { parse("(4,8)"); }), HasSubstr("no ':'"));
  EXPECT_THAT(message_of([] { parse("(4,8):(1,4):2"); }), HasSubstr("expected the end"));
}

TEST(Errors, Construction) {
  EXPECT_THAT(message_of([] { Layout({4, 8}, {1}); }), HasSubstr("(4,8) and stride (1) are not congruent"));
  EXPECT_THAT(message_of([] { Layout({4, 0}, {1, 4}); }), HasSubstr("extent 0"));
  EXPECT_THAT(message_of([] { Layout({4, _}, {1, 4}); }), HasSubstr("extent _"));
  EXPECT_THAT(message_of([] { parse("(4,8):(1,1@0)"); }), HasSubstr("mixes integers and basis vectors"));
  EXPECT_THAT(message_of([] { IntTuple::basis(-1); }), HasSubstr("axis -1"));
  EXPECT_THAT(message_of([] { IntTuple(uint64_t{1} << 63); }), HasSubstr("does not fit in 64 signed bits"));
  EXPECT_THAT(message_of([] { ordered({4, 8}, {0, 1, 2}); }),
              HasSubstr("2 modes in (4,8) but 3 order numbers"));
}

TEST(Errors, Overflow) {
  constexpr int64_t kHuge = int64_t{1} << 40;
  EXPECT_THAT(message_of([] { Layout({kHuge, kHuge}, {1, 1}); }), HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(message_of([] { Layout(kHuge, kHuge).cosize(); }), HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(message_of([] { Layout(4, kHuge)(kHuge); }), HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(message_of([] { composition(Layout(4, kHuge), Layout(4, kHuge)); }), HasSubstr("does not fit"));
  EXPECT_EQ(Layout({kHuge, 4}, {4, 1})(kHuge - 1, 3), 4 * kHuge - 1);  // far beyond 32 bits
}

TEST(Errors, Coordinates) {
  Layout layout({4, 8}, {8, 1});
  EXPECT_THAT(message_of([&] { layout.at({4, 0}); }), HasSubstr("coordinate 4 is outside [0, 4) of 4"));
  EXPECT_THAT(message_of([&] { layout.at(32); }), HasSubstr("coordinate 32 is outside [0, 32) of (4,8)"));
  EXPECT_THAT(message_of([&] { layout({1, 2, 3}); }), HasSubstr("rank 3"));
  EXPECT_THAT(message_of([&] { layout({{1, 1}, 2}); }), HasSubstr("(1,1) stands where the shape 4"));
  EXPECT_THAT(message_of([&] { layout(-1); }), HasSubstr("coordinate -1"));
  EXPECT_THAT(message_of([&] { layout({_, 1}); }), HasSubstr("coordinate _"));
  EXPECT_THAT(message_of([&] { layout[2]; }), HasSubstr("mode 2 asked of (4,8), which has rank 2"));
  EXPECT_THAT(message_of([] { idx2crd(32, {4, 8}); }), HasSubstr("32 is outside [0, 32)"));
  EXPECT_THAT(message_of([] { crd2crd(3, {4, 8}, {4, 4}); }), HasSubstr("32 elements but (4,4) has 16"));
  EXPECT_THAT(message_of([] { unflatten(parse("(2,2):(1,2)"), {1, {1, 1}}); }),
              HasSubstr("2 leaves for (1,(1,1))"));
}

TEST(Errors, Structure) {
  Layout layout({4, 8}, {8, 1});
  EXPECT_THAT(message_of([] { Layout(4, -1).cosize(); }), HasSubstr("indices run from -3 to 0"));
  EXPECT_THAT(message_of([&] { group_modes(layout, 1, 3); }), HasSubstr("modes [1, 3)"));
  EXPECT_THAT(message_of([&] { take(layout, 2, 1); }), HasSubstr("modes [2, 1)"));
  EXPECT_THAT(message_of([&] { select(layout, {0, 2}); }), HasSubstr("mode 2"));
  EXPECT_THAT(message_of([&] { append_to_rank(layout, 1); }), HasSubstr("rank 2 already"));
  EXPECT_THAT(message_of([&] { coalesce(layout, {1, 1, 1}); }), HasSubstr("more modes"));
  EXPECT_THAT(message_of([&] { slice({_, 1, 2}, layout); }),
              HasSubstr("(_,1,2) does not fit the shape (4,8)"));
  EXPECT_THAT(message_of([&] { slice({_, 8}, layout); }), HasSubstr("8 is outside [0, 8)"));
  EXPECT_THAT(message_of([&] { dice({_, 1, 2}, layout); }), HasSubstr("does not fit"));
}

TEST(Errors, Composition) {
  auto compose = [](const char* a, const char* b) {
    return message_of([=] { composition(parse(a), parse(b)); });
  };
  // CuTe C++ and pycute both give a wrong layout here; the values are 0,1,2,3,10,11.
  EXPECT_THAT(compose("(4,3):(1,10)", "6:1"),
              HasSubstr("6 positions cannot be split into runs of 4 / 1 = 4"));
  EXPECT_THAT(compose("(4,6):(1,10)", "3:3"), HasSubstr("extent 4 is no multiple of stride 3"));
  EXPECT_THAT(compose("(4,6):(1,10)", "2:6"), HasSubstr("stride 6 is no multiple of extent 4"));
  EXPECT_THAT(compose("4:1", "4:-1"), HasSubstr("4:-1 reaches below index 0"));
  // Each mode alone is fine, but 2 + 2 carries into the next mode of a: a(4) = 10, not 2 + 2.
  EXPECT_THAT(compose("(4,3):(1,10)", "(2,2):(2,2)"), HasSubstr("together reach position 4 of extent 4"));
  EXPECT_THAT(message_of([] { composition(Layout(4, 1), Tiler{2, 2}); }),
              HasSubstr("<2:1,2:1> has more modes than 4:1"));
}

TEST(Errors, Complement) {
  auto complete = [](const char* a) { return message_of([=] { complement(parse(a), 24); }); };
  EXPECT_THAT(complete("(2,2):(1,1)"), HasSubstr("stride 1 lies within the 2 indices reached before"));
  EXPECT_THAT(complete("(2,2):(1,3)"), HasSubstr("stride 3 is no multiple of 2"));
  EXPECT_THAT(complete("4:-1"), HasSubstr("stride -1 is negative"));
  EXPECT_THAT(complete("4:1@0"), HasSubstr("no integers"));
  EXPECT_THAT(message_of([] { complement(Layout(4, 1), 0); }), HasSubstr("below 0"));
}

TEST(Errors, Inverses) {
  EXPECT_THAT(message_of([] { right_inverse(parse("4:1@0")); }), HasSubstr("right_inverse of 4:1@0"));
  EXPECT_THAT(message_of([] { left_inverse(parse("(4,2):(1,0)")); }),
              HasSubstr("2 coordinates share one index"));
  EXPECT_THAT(message_of([] { left_inverse(parse("(2,2):(1,1)")); }), HasSubstr("not injective"));
  EXPECT_THAT(message_of([] { max_common_vector(Layout(4, 1), Layout(8, 1)); }),
              HasSubstr("4 coordinates but 8:1 has 8"));
}

TEST(Errors, Recast) {
  EXPECT_THAT(message_of([] { upcast(Layout(6, 1), 4); }),
              HasSubstr("6:1 does not fall into whole elements"));
  EXPECT_THAT(message_of([] { upcast(parse("(4,4):(1,6)"), 4); }),
              HasSubstr("6 does not fall into whole elements"));
  EXPECT_THAT(message_of([] { upcast(Layout(4, 2), 2); }), HasSubstr("no contiguous runs of 2"));
  EXPECT_THAT(message_of([] { upcast(parse("(2,2):(1,1)"), 4); }), HasSubstr("no contiguous runs of 4"));
  EXPECT_THAT(message_of([] { upcast(Layout(4, -1), 2); }), HasSubstr("4:-1 does not fall"));
  EXPECT_THAT(message_of([] { downcast(Layout(4, 2), 2); }), HasSubstr("no mode of stride 1"));
  EXPECT_THAT(message_of([] { recast(Layout(4, 1), 0, 8); }), HasSubstr("from 0 to 8 bits"));
}

TEST(Errors, DivideAndProduct) {
  Layout layout({4, 8}, {8, 1});
  EXPECT_THAT(message_of([&] { logical_divide(layout, {2, 2, 2}); }),
              HasSubstr("logical_divide: <2:1,2:1,2:1>"));
  EXPECT_THAT(message_of([&] { zipped_divide(layout, {2, 2, 2}); }), HasSubstr("zipped_divide"));
  EXPECT_THAT(message_of([&] { zipped_divide(layout, {{2, 2}, 2}); }),
              HasSubstr("<2:1,2:1> has more modes than 4:8"));
  EXPECT_THAT(message_of([&] { tiled_divide(layout, {2, 2, 2}); }), HasSubstr("tiled_divide"));
  EXPECT_THAT(message_of([&] { flat_divide(layout, {2, 2, 2}); }), HasSubstr("flat_divide"));
  EXPECT_THAT(message_of([&] { logical_divide(layout, parse("(2,2):(1,1)")); }), HasSubstr("not injective"));
  EXPECT_THAT(message_of([&] { local_tile(layout, {2, 2}, {2, 0}); }), HasSubstr("2 is outside [0, 2)"));
  EXPECT_THAT(message_of([&] { local_tile(layout, {2, 2}, {0, 0, 0}, {1, _, 1}); }), HasSubstr("one rank"));
  EXPECT_THAT(message_of([&] { local_partition(layout, Layout(4, 2), 0); }),
              HasSubstr("does not number its 4 threads"));
  EXPECT_THAT(message_of([&] { local_partition(layout, Layout(4, 1), 4); }),
              HasSubstr("thread 4 is outside [0, 4)"));
  EXPECT_THAT(message_of([&] { logical_product(layout, {2, 2, 2}); }), HasSubstr("logical_product"));
  EXPECT_THAT(message_of([&] { zipped_product(layout, {2, 2, 2}); }), HasSubstr("zipped_product"));
  EXPECT_THAT(message_of([&] { tiled_product(layout, {2, 2, 2}); }), HasSubstr("tiled_product"));
  EXPECT_THAT(message_of([&] { flat_product(layout, {2, 2, 2}); }), HasSubstr("flat_product"));
  EXPECT_THAT(message_of([&] { logical_product(parse("(2,2):(1,3)"), 4); }), HasSubstr("no multiple of 2"));
  EXPECT_THAT(message_of([&] { logical_product(Layout(4, 2), 3); }), HasSubstr("cannot be split"));
  EXPECT_THAT(message_of([&] { tile_to_shape(layout, 32); }), HasSubstr("rank 2 already"));
}

TEST(Errors, Swizzle) {
  EXPECT_THAT(message_of([] { Swizzle(3, 4, 2); }), HasSubstr("Sw<3,4,2>: needs"));
  EXPECT_THAT(message_of([] { Swizzle(-1, 4, 3); }), HasSubstr("bits >= 0"));
  EXPECT_THAT(message_of([] { Swizzle(2147483647, 2147483647, 2147483647); }), HasSubstr("<= 62"));
  EXPECT_THAT(message_of([] { Swizzle(3, 4, 3)(-16); }), HasSubstr("negative index -16"));
  EXPECT_THAT(message_of([] { recast(Swizzle(3, 1, 3), 8, 32); }), HasSubstr("the base would be -1"));
  EXPECT_THAT(message_of([] { recast(Swizzle(3, 4, 3), 8, 24); }), HasSubstr("powers of two"));
  EXPECT_THAT(message_of([] { recast(ComposedLayout{Swizzle(), 1, Layout(8, 1)}, 8, 32); }),
              HasSubstr("offset"));
  EXPECT_THAT(message_of([] { smem_atom_k_major(48, 16); }), HasSubstr("swizzle of 48 bytes"));
  EXPECT_THAT(message_of([] { smem_atom_mn_major(128, 12); }), HasSubstr("elements of 12 bits"));
}

TEST(Errors, CoordinateLayouts) {
  Layout identity = identity_layout({4, 8});
  EXPECT_THAT(message_of([&] { identity(1, 2); }), HasSubstr("1@0 stands where one integer is needed"));
  EXPECT_THAT(message_of([&] { identity.cosize(); }), HasSubstr("yields coordinates, not indices"));
  EXPECT_THAT(message_of([&] { coordinate_of(identity, 3, 1); }), HasSubstr("axis 1, but 1 axes"));
  EXPECT_THAT(message_of([] { coordinate_of(Layout(4, 1), 3, 1); }),
              HasSubstr("yields indices, not coordinates"));
  EXPECT_THAT(message_of([&] { upcast(identity, 2); }), HasSubstr("no integers"));
  EXPECT_THAT(message_of([] { in_bounds({1, 2}, {4, 4, 4}); }), HasSubstr("differ in rank"));
}

TEST(Errors, ThreadValueLayouts) {
  EXPECT_THAT(message_of([] { TvLayout({4, 4}, Layout(16, 1)); }), HasSubstr("two modes (thread, value)"));
  EXPECT_THAT(message_of([] { TvLayout({4, 4}, Layout({2, 16}, {1, 1})); }), HasSubstr("0 .. 16 of"));
  EXPECT_THAT(message_of([] { TvLayout({4, 4}, Layout({2, 4}, {-1, 1})); }), HasSubstr("-1 .. 3 of"));
  EXPECT_THAT(message_of([] { TvLayout({4, 4}, Layout({8, 4}, {1, 8})); }),
              HasSubstr("0 .. 31 of the tile (4,4)"));
  EXPECT_THAT(message_of([] { make_tv_layout(Layout({4, 2}, {1, 8}), Layout({1, 2}, {1, 1})); }),
              HasSubstr("does not number"));
  TvLayout shared({4, 4}, Layout({2, 4}, {0, 1}));
  EXPECT_THAT(message_of([&] { shared.owner({0, 0}); }), HasSubstr("exactly once"));
  EXPECT_THAT(message_of([&] { shared.coordinate(2, 0); }), HasSubstr("2 is outside [0, 2)"));
  EXPECT_THAT(message_of([] { wgmma_fragment(12); }), HasSubstr("multiple of 8 up to 256"));
  EXPECT_THAT(message_of([] { mma_fragment(24); }), HasSubstr("multiple of 8 up to 16"));
}

TEST(Errors, Pictures) {
  EXPECT_THAT(message_of([] { svg(Layout(4, 1)); }), HasSubstr("no two modes"));
  EXPECT_THAT(message_of([] { svg(col_major({512, 512})); }), HasSubstr("262144 cells"));
}

}  // namespace
}  // namespace rose::layout
