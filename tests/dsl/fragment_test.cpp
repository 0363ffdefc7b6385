// Rows in fragments, run on this machine: every length up to 300, each memory type, each operation, each
// vector width.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "dsl/fragment.h"
#include "ir/small_float.h"
#include "run_kernel.h"

namespace rose::dsl::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A row in memory: elements of any type, as doubles.
struct Row {
  Type type;
  std::vector<uint8_t> bytes;

  Row(Type t, int64_t n)
      : type(t), bytes(static_cast<size_t>(n * t.bits() / 8 + 64), 0xcd) {}  // 64 bytes behind must stay
  size_t width() const { return static_cast<size_t>(type.bits() / 8); }
  void* data() { return bytes.data(); }
  void set(int64_t i, double value) {
    uint64_t bits =
        type.is_integer() ? ir::constant(type, static_cast<int64_t>(value)).bits : ir::bits_of(type, value);
    std::memcpy(bytes.data() + static_cast<size_t>(i) * width(), &bits, width());
  }
  double operator[](int64_t i) const {
    ir::Operand o{ir::kNoReg, type, 0};
    std::memcpy(&o.bits, bytes.data() + static_cast<size_t>(i) * width(), width());
    return type.is_integer() ? static_cast<double>(ir::constant_int(o)) : ir::constant_float(o);
  }
  bool untouched_after(int64_t n) const {
    return std::all_of(bytes.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(n) * width()), bytes.end(),
                       [](uint8_t b) { return b == 0xcd; });
  }
};

// Small whole numbers: exact in every type, and so are their sums in f32.
double small(int64_t i) { return static_cast<double>(i * 7 % 13 - 6); }

Row numbered(Type type, int64_t n) {
  Row row(type, n);
  for (int64_t i = 0; i < n; ++i) row.set(i, small(i));
  return row;
}

std::vector<int64_t> lengths() {
  std::vector<int64_t> list(300);
  std::iota(list.begin(), list.end(), 1);
  list.insert(list.end(), {511, 512, 768, 1000, 1023, 1024, 1025, 4095, 4096, 5000, 11008});
  return list;
}

// load, convert, sum, maximum, keep, map_index and store of one row, in one kernel.
TEST(Fragments, EveryLengthOnX86) {
  for (const Target& target : x86_targets()) {
    for (int64_t n : lengths()) {
      Program p({.target = target}, [&](Block& block) {
        Tensor x = block.input("x", f32, shape(n)), out = block.output("out", f32, shape(n)),
               sums = block.output("sums", f32, shape(4));
        auto lanes = row_layout(block, row_group(block, literal(s64, 1)), n, 4);
        Frag v = load(x, lanes);
        auto [sum, squares] = row_sums(block, v, v * v);
        Frag kept = keep(block, v * 2.0);
        store_at(sums, 0, sum), store_at(sums, 1, squares), store_at(sums, 2, row_max(block, v)),
            store_at(sums, 3, row_sum(block, kept));
        Frag index = map_index(
            v, [](Val value, Val first) { return to(f32, lane_numbers(s64, value.lanes()) + first); });
        store(out, (kept - v) + index * sum);
      });
      Row x = numbered(f32, n), out(f32, n), sums(f32, 4);
      p(x.data(), out.data(), sums.data());
      double sum = 0, squares = 0, most = -1e9;
      for (int64_t i = 0; i < n; ++i)
        sum += small(i), squares += small(i) * small(i), most = std::max(most, small(i));
      ASSERT_EQ(sums[0], sum) << n << " " << ir::to_string(target);
      ASSERT_EQ(sums[1], squares) << n;
      ASSERT_EQ(sums[2], most) << n;
      ASSERT_EQ(sums[3], 2 * sum) << n;
      for (int64_t i = 0; i < n; ++i)
        ASSERT_EQ(out[i], small(i) + static_cast<double>(i) * sum) << i << " of " << n;
      ASSERT_TRUE(out.untouched_after(n) && sums.untouched_after(4)) << n;
    }
  }
}

TEST(Fragments, EveryMemoryTypeInPlace) {
  for (const Target& target : x86_targets()) {
    for (Type type : {f32, bf16, f16, e4m3, s8, u8}) {
      for (int64_t n : {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 100, 255, 257, 300, 1000}) {
        Program p({.target = target}, [&](Block& block) {
          Tensor x = block.inout("x", type, shape(n));
          auto lanes = row_layout(block, row_group(block, literal(s64, 1)), n, x.element_bytes());
          Frag v = to(f32, load(x, lanes));
          store(x, map(v, [](Val a) { return abs(a) + 1; }));  // converts to the row's type
        });
        Row x = numbered(type == u8 ? s8 : type, n);
        p(x.data());
        for (int64_t i = 0; i < n; ++i) {
          double in = type == u8 && small(i) < 0 ? small(i) + 256 : small(i);
          Row& out = x;
          out.type = type;
          ASSERT_EQ(out[i], std::min(std::abs(in) + 1, type == u8 ? 255.0 : 1e9))
              << ir::to_string(type) << " " << i << " of " << n;
        }
        ASSERT_TRUE(x.untouched_after(n)) << ir::to_string(type) << " " << n;
      }
    }
  }
}

TEST(Fragments, NarrowIntegersSaturate) {
  constexpr int64_t n = 9;
  Program p(x86(), [&](Block& block) {
    Tensor x = block.input("x", f32, shape(n)), s = block.output("s", s8, shape(n)),
           u = block.output("u", u8, shape(n));
    auto lanes = row_layout(block, row_group(block, literal(s64, 1)), n, 4);
    Frag v = load(x, lanes);
    store(s, v), store(u, v);
  });
  const double in[n] = {1.5, 2.5, -0.5, 127.4, 127.6, 300, -128.4, -1000, 255.5};
  const double as_s8[n] = {2, 2, 0, 127, 127, 127, -128, -128, 127},
               as_u8[n] = {2, 2, 0, 127, 128, 255, 0, 0, 255};
  Row x(f32, n), s(s8, n), u(u8, n);
  for (int i = 0; i < n; ++i) x.set(i, in[i]);
  p(x.data(), s.data(), u.data());
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(s[i], as_s8[i]) << in[i];
    EXPECT_EQ(u[i], as_u8[i]) << in[i];
  }
}

TEST(Fragments, DeinterleaveAndBackInPlace) {
  for (const Target& target : x86_targets()) {
    for (Type type : {f32, bf16, f16}) {
      for (int64_t half : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 300, 1024}) {
        Program p({.target = target}, [&](Block& block) {
          Tensor x = block.inout("x", type, shape(2 * half));
          auto lanes = row_layout(block, row_group(block, literal(s64, 1)), half, 4);
          auto [even, odd] = deinterleave(x, lanes);
          store_interleaved(x, odd * 2.0, even - odd);
        });
        Row x = numbered(type, 2 * half);
        p(x.data());
        for (int64_t i = 0; i < half; ++i) {
          ASSERT_EQ(x[2 * i], 2 * small(2 * i + 1)) << ir::to_string(type) << " " << i << " of " << half;
          ASSERT_EQ(x[2 * i + 1], small(2 * i) - small(2 * i + 1))
              << ir::to_string(type) << " " << i << " of " << half;
        }
        ASSERT_TRUE(x.untouched_after(2 * half));
      }
    }
  }
}

TEST(Fragments, RowsOfAMatrixAndOfThreeDimensions) {
  constexpr int64_t n = 37;
  Program p(x86(), [&](Block& block) {
    Tensor x = block.input("x", f32, shape(dynamic("rows"), 3, n), shape(dynamic("row_stride"), n, 1));
    Tensor out = block.output("out", f32, shape(dynamic("rows"), n));
    auto lanes = row_layout(block, row_group(block, block.dimension("rows")), n, 4);
    Val row = block.index();
    store(out(row), load(x(row, 0), lanes) + load(x(row, literal(s64, 1)), lanes) * load(x(row)(2), lanes));
  });
  const int64_t rows = 4, stride = 3 * n + 5;
  Row x = numbered(f32, rows * stride), out(f32, rows * n);
  for (int64_t r = 0; r < rows; ++r)
    p.run({Program::word(x.data()), uint64_t(rows), uint64_t(stride), Program::word(out.data())}, r);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(out[r * n + i],
                small(r * stride + i) + small(r * stride + n + i) * small(r * stride + 2 * n + i));
}

TEST(Fragments, StoreTogetherReadsBeforeItWrites) {
  for (int64_t n : {3, 16, 100, 333}) {
    Program p(x86(), [&](Block& block) {  // a, b = b, a + b
      Tensor a = block.inout("a", f32, shape(n)), b = block.inout("b", f32, shape(n));
      auto lanes = row_layout(block, row_group(block, literal(s64, 1)), n, 4);
      Frag x = load(a, lanes), y = load(b, lanes);
      store_together({{a, y}, {b, x + y}});
    });
    Row a = numbered(f32, n), b(f32, n);
    for (int64_t i = 0; i < n; ++i) b.set(i, static_cast<double>(i));
    p(a.data(), b.data());
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(a[i], i);
      ASSERT_EQ(b[i], small(i) + static_cast<double>(i));
    }
  }
}

// Reductions inside of a recorded loop start anew each turn.
TEST(Fragments, ReductionsInLoops) {
  constexpr int64_t n = 200, rows = 5;
  Program p(x86(), [&](Block& block) {
    Tensor x = block.input("x", f32, shape(rows, n)), out = block.output("out", f32, shape(rows));
    auto lanes = row_layout(block, row_group(block, literal(s64, 1)), n, 4);
    FOR (r, 0, rows) {
      store_at(out, r, row_sum(block, load(x(r), lanes)));
    }
  });
  Row x = numbered(f32, rows * n), out(f32, rows);
  p(x.data(), out.data());
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += small(r * n + i);
    EXPECT_EQ(out[r], sum);
  }
}

TEST(Fragments, SumOfRowsWithInfinityAndNan) {
  Program p(x86(), [&](Block& block) {
    Tensor x = block.input("x", f32, shape(50)), out = block.output("out", f32, shape(2));
    auto lanes = row_layout(block, row_group(block, literal(s64, 1)), 50, 4);
    Frag v = load(x, lanes);
    store_at(out, 0, row_sum(block, v)), store_at(out, 1, row_max(block, v));
  });
  Row x(f32, 50), out(f32, 2);
  const double infinity = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 50; ++i) x.set(i, -infinity);
  p(x.data(), out.data());
  EXPECT_EQ(out[0], -infinity);
  EXPECT_EQ(out[1], -infinity);
  x.set(49, infinity);
  p(x.data(), out.data());
  EXPECT_TRUE(std::isnan(out[0]));
  EXPECT_EQ(out[1], infinity);
}

// A mistake on the line of its call.
void expect_error(const std::string& message, const std::function<void(Block&)>& body,
                  Location l = Location::current()) {
  EXPECT_THAT(
      error_of(x86(), body),
      AllOf(HasSubstr(fmt::format("tests/dsl/fragment_test.cpp:{}: ", l.line())), HasSubstr(message)));
}

TEST(FragmentErrors, NameTheLine) {
  auto lanes_of = [](Block& block, int64_t n) {
    return row_layout(block, row_group(block, literal(s64, 1)), n, 4);
  };
  auto x_of = [](Block& block, int64_t n) { return block.inout("x", f32, shape(n)); };
  // clang-format off: each mistake on the line of its call
  expect_error("stored to since", [&](Block& b) { Tensor x = x_of(b, 64); Frag v = load(x, lanes_of(b, 64)); store(x, v); row_sum(b, v); });
  expect_error("stored to since", [&](Block& b) { Tensor x = x_of(b, 64); Frag v = load(x, lanes_of(b, 64)); Frag w = v * v; store(x, v); store(x, w); });
  expect_error("it has 64 elements, the layout 60", [&](Block& b) { load(x_of(b, 64), lanes_of(b, 60)); });
  expect_error("it has 64 elements, the layout 60", [&](Block& b) { store(x_of(b, 64), constant(f32, lanes_of(b, 60), 1)); });
  expect_error("it has 2 dimensions, not one", [&](Block& b) { load(b.input("x", f32, shape(2, 64)), lanes_of(b, 64)); });
  expect_error("its elements are not neighbours", [&](Block& b) { load(b.input("x", f32, shape(64), shape(2)), lanes_of(b, 64)); });
  expect_error("do not match", [&](Block& b) { constant(f32, lanes_of(b, 64), 1) + constant(f32, lanes_of(b, 60), 1); });
  expect_error("row reductions work on f32", [&](Block& b) { row_sum(b, load(b.input("h", bf16, shape(64)), lanes_of(b, 64))); });
  expect_error("the operands have the types", [&](Block& b) { Tensor h = b.input("h", bf16, shape(64)), x = x_of(b, 64); auto l = lanes_of(b, 64); store(x, load(h, l) + load(x, l)); });
  // clang-format on
}

TEST(FragmentErrors, KeepAllowsWhatStoresForbid) {
  EXPECT_EQ(error_of(x86(),
                     [](Block& block) {
                       Tensor x = block.inout("x", f32, shape(100));
                       auto lanes = row_layout(block, row_group(block, literal(s64, 1)), 100, 4);
                       Frag v = keep(block, load(x, lanes));
                       store(x, v), store(x, v * 2.0);
                       row_sum(block, v);
                     }),
            "");
}

}  // namespace
}  // namespace rose::dsl::testing
