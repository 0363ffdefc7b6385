#include "runtime/tensor_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_support.h"

namespace rose::runtime {
namespace {

using ::testing::HasSubstr;

// A right map of a bf16 matrix, 4096 × 1000, moved in boxes of 64 × 128.
TensorMapSpec matrix() {
  TensorMapSpec spec;
  spec.base = DevicePointer(uint64_t{0x7f0000000000});
  spec.rank = 2;
  spec.dims = {4096, 1000};
  spec.strides = {8192};
  spec.box = {64, 128};
  spec.swizzle = TensorMapSwizzle::k128Bytes;
  return spec;
}

template <class Change>
std::string complaint(Change change) {
  TensorMapSpec spec = matrix();
  change(spec);
  const auto [kind, text] = error_of([&] { check_tensor_map(spec); });
  EXPECT_EQ(kind, ErrorKind::kInvalidArgument) << text;
  return text;
}

TEST(TensorMapTest, RightMapsPass) {
  EXPECT_NO_THROW(check_tensor_map(matrix()));
  TensorMapSpec spec = matrix();
  spec.rank = 5;
  spec.dims = {4096, 1000, 3, 2, uint64_t{1} << 32};
  spec.strides = {8192, 8192000, 1 << 25, (uint64_t{1} << 40) - 16};
  spec.box = {64, 256, 1, 1, 1};
  EXPECT_NO_THROW(check_tensor_map(spec));
  spec = matrix();
  spec.type = TensorMapType::kU4Align16;
  spec.dims[0] = 4096;
  spec.box[0] = 128;
  spec.strides[0] = 2048;
  EXPECT_NO_THROW(check_tensor_map(spec));
  spec = matrix();
  spec.type = TensorMapType::kU8;
  spec.strides[0] = 4096;
  spec.box[0] = 128;
  EXPECT_NO_THROW(check_tensor_map(spec));
  spec = matrix();
  spec.rank = 1;
  EXPECT_NO_THROW(check_tensor_map(spec));
}

TEST(TensorMapTest, EachRuleNamesItsField) {
  EXPECT_THAT(complaint([](auto& s) { s.rank = 0; }), HasSubstr("rank is 0, must be 1 to 5"));
  EXPECT_THAT(complaint([](auto& s) { s.rank = 6; }), HasSubstr("rank is 6"));
  EXPECT_THAT(complaint([](auto& s) { s.interleave = TensorMapInterleave::k16Bytes; }),
              HasSubstr("rank is 2, must be 3 to 5 when interleaved"));
  EXPECT_THAT(complaint([](auto& s) { s.base = DevicePointer(); }), HasSubstr("base is 0x0"));
  EXPECT_THAT(complaint([](auto& s) { s.base = s.base + 8; }), HasSubstr("must be 16-byte aligned"));
  EXPECT_THAT(complaint([](auto& s) { s.dims[1] = 0; }), HasSubstr("dims[1] is 0"));
  EXPECT_THAT(complaint([](auto& s) { s.dims[0] = (uint64_t{1} << 32) + 1; }),
              HasSubstr("dims[0] is 4294967297"));
  EXPECT_THAT(complaint([](auto& s) { s.strides[0] = 8200; }),
              HasSubstr("strides[0] (of dimension 1) is 8200 bytes"));
  EXPECT_THAT(complaint([](auto& s) { s.strides[0] = uint64_t{1} << 40; }), HasSubstr("below 2^40"));
  EXPECT_THAT(complaint([](auto& s) { s.box[1] = 257; }), HasSubstr("box[1] is 257, must be 1 to 256"));
  EXPECT_THAT(complaint([](auto& s) { s.box[0] = 0; }), HasSubstr("box[0] is 0"));
  EXPECT_THAT(complaint([](auto& s) { s.box[0] = 4; }),
              HasSubstr("= 8 bytes, must be a multiple of 16 bytes"));
  EXPECT_THAT(complaint([](auto& s) { s.box[0] = 128; }),
              HasSubstr("= 256 bytes, above the 128 bytes of the swizzle"));
  EXPECT_THAT(complaint([](auto& s) { s.swizzle = TensorMapSwizzle::k64Bytes; }),
              HasSubstr("above the 64 bytes"));
  EXPECT_THAT(complaint([](auto& s) { s.element_strides[1] = 9; }), HasSubstr("element_strides[1] is 9"));
  EXPECT_THAT(complaint([](auto& s) {
                s.type = TensorMapType::kU8;
                s.fill = TensorMapFill::kNan;
              }),
              HasSubstr("no floating-point type"));
  EXPECT_THAT(complaint([](auto& s) { s.type = TensorMapType(16); }), HasSubstr("type 16 is unknown"));
  EXPECT_THAT(complaint([](auto& s) { s.swizzle = TensorMapSwizzle(7); }), HasSubstr("swizzle 7 is unknown"));
  EXPECT_THAT(complaint([](auto& s) { s.type = TensorMapType::kU6Align16; }),
              HasSubstr("box[0] is 64, must be 128"));
  EXPECT_THAT(complaint([](auto& s) {
                s.type = TensorMapType::kU4Align8;
                s.dims[0] = 4095;
              }),
              HasSubstr("must be even"));
  EXPECT_THAT(complaint([](auto& s) {
                s.rank = 3;
                s.dims[2] = 1;
                s.box[2] = 1;

                s.strides[1] = 32;
                s.interleave = TensorMapInterleave::k32Bytes;
              }),
              HasSubstr("needs the 32-byte swizzle"));
}

TEST(TensorMapTest, SpanIsFromTheFirstToBehindTheLastElement) {
  EXPECT_EQ(span_bytes(matrix()), 999u * 8192 + 4096 * 2);
  TensorMapSpec spec = matrix();
  spec.rank = 1;
  EXPECT_EQ(span_bytes(spec), 4096u * 2);
  spec.type = TensorMapType::kU4Align8;
  spec.dims[0] = 10;
  EXPECT_EQ(span_bytes(spec), 5u);
}

}  // namespace
}  // namespace rose::runtime
