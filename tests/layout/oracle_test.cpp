// The values of published examples, reproduced with pycute and CuTe C++ (docs/facts.md names the versions).
#include <gtest/gtest.h>

#include "layout/divide.h"
#include "layout/product.h"
#include "layout/swizzle.h"

namespace rose::layout {
namespace {

TEST(Oracle, Composition) {
  EXPECT_EQ(to_string(composition(parse("(6,2):(8,2)"), parse("(4,3):(3,1)"))), "((2,2),3):((24,2),8)");
  EXPECT_EQ(to_string(composition(parse("(10,2):(16,4)"), parse("(5,4):(1,5)"))), "(5,(2,2)):(16,(80,4))");
  EXPECT_EQ(to_string(composition(parse("(3,6,2,8):(1,10,100,1000)"), parse("16:9"))),
            "(2,2,4):(30,100,1000)");
  EXPECT_EQ(to_string(composition(parse("(4,6,8,10):(2,3,5,7)"), parse("6:12"))), "(2,3):(9,5)");
  EXPECT_EQ(to_string(composition(parse("4:1"), parse("8:1"))), "8:1");
  EXPECT_EQ(to_string(composition(parse("4:1"), parse("8:0"))), "8:0");
  EXPECT_EQ(to_string(composition(parse("(4,3):(1,10)"), parse("1:-3"))), "1:0");
  EXPECT_EQ(to_string(composition(parse("(4,3):(1,10)"), {2, _})), "(2,3):(1,10)");
}

TEST(Oracle, Complement) {
  EXPECT_EQ(to_string(complement(parse("(2,2):(4,1)"), 24)), "(2,3):(2,8)");
  EXPECT_EQ(to_string(complement(parse("4:2"), 24)), "(2,3):(1,8)");
  EXPECT_EQ(to_string(complement(parse("4:1"), 10)), "3:4");
}

TEST(Oracle, Inverses) {
  EXPECT_EQ(to_string(right_inverse(parse("(2,4,6):(4,1,8)"))), "(4,2,6):(2,1,8)");
  EXPECT_EQ(to_string(right_inverse(parse("(2,2,4,3,2):(1,1,2,0,-1)"))), "(2,4):(1,4)");
  EXPECT_EQ(to_string(left_inverse(parse("4:2"))), "(2,4):(4,1)");
}

TEST(Oracle, Divide) {
  EXPECT_EQ(to_string(logical_divide(parse("(4,2,3):(2,1,8)"), parse("4:2"))), "((2,2),(2,3)):((4,1),(2,8))");
  Layout wide = parse("(9,(4,8)):(59,(13,1))");
  Tiler tiler = {parse("3:3"), parse("(2,4):(1,8)")};
  EXPECT_EQ(to_string(logical_divide(wide, tiler)), "((3,3),((2,4),(2,2))):((177,59),((13,2),(26,1)))");
  EXPECT_EQ(to_string(zipped_divide(wide, tiler)), "((3,(2,4)),(3,(2,2))):((177,(13,2)),(59,(26,1)))");
  EXPECT_EQ(to_string(tiled_divide(wide, tiler)), "((3,(2,4)),3,(2,2)):((177,(13,2)),59,(26,1))");
  EXPECT_EQ(to_string(flat_divide(wide, tiler)), "(3,(2,4),3,(2,2)):(177,(13,2),59,(26,1))");
  EXPECT_EQ(to_string(zipped_divide(wide, {parse("3:3"), _})), "((3,1),(3,(4,8))):((177,0),(59,(13,1)))");
  EXPECT_EQ(to_string(logical_divide(parse("10:1"), 4)), "(4,3):(1,4)");
}

TEST(Oracle, Product) {
  EXPECT_EQ(to_string(logical_product(parse("(2,2):(4,1)"), parse("(4,2):(2,1)"))),
            "((2,2),(4,2)):((4,1),(8,2))");
  EXPECT_EQ(to_string(blocked_product(parse("(2,5):(5,1)"), parse("(3,4):(1,3)"))),
            "((2,3),(5,4)):((5,10),(1,30))");
  EXPECT_EQ(to_string(raked_product(parse("(2,5):(5,1)"), parse("(3,4):(1,3)"))),
            "((3,2),(4,5)):((10,5),(30,1))");
  EXPECT_EQ(to_string(tile_to_shape(parse("(2,2):(1,2)"), {5, 4})),
            "((2,3),(2,2)):((1,4),(2,12))");  // rounds up
  EXPECT_EQ(to_string(tile_to_shape(parse("2:1"), {4, 3})), "((2,2),(1,3)):((1,2),(0,4))");
  EXPECT_EQ(to_string(blocked_product(parse("2:1"), parse("(3,4):(1,3)"))), "((2,3),(1,4)):((1,2),(0,6))");
  Layout block = parse("(2,2):(4,1)");
  EXPECT_EQ(to_string(zipped_product(block, {2, 3})), "((2,2),(2,3)):((4,1),(1,2))");
  EXPECT_EQ(to_string(tiled_product(block, {2, _})), "((2,2),2,1):((4,1),1,0)");
  EXPECT_EQ(to_string(flat_product(block, parse("(4,2):(2,1)"))), "(2,2,4,2):(4,1,8,2)");
  EXPECT_EQ(to_string(tile_to_shape(parse("(2,2):(1,2)"), {8, 8})), "((2,4),(2,4)):((1,4),(2,16))");
}

TEST(Oracle, CoordinatesAndSimplification) {
  EXPECT_EQ(parse("(4,8):(8,1)")(9, 1), 73);  // beyond the shape: extended, not checked
  EXPECT_EQ(to_string(coalesce(parse("1:5"))), "1:0");
  EXPECT_EQ(to_string(coalesce(parse("(2,(1,6)):(1,(6,2))"))), "12:1");
  EXPECT_EQ(to_string(coalesce(parse("(2,(1,6)):(1,(6,2))"), {1, 1})), "(2,6):(1,2)");
  EXPECT_EQ(max_common_vector(parse("(8,4):(1,16)"), parse("(8,4):(1,8)")), 8);
  EXPECT_EQ(Layout().size(), 1);
  EXPECT_EQ(to_string(Layout()), "():()");
}

TEST(Oracle, Swizzle) { EXPECT_EQ(Swizzle(3, 4, 3)(0x90), 0x80); }

}  // namespace
}  // namespace rose::layout
