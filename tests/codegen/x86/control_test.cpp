// Control flow, registers and the calling convention of compiled kernels.
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "kernel_builder.h"

namespace rose::codegen::x86::testing {
namespace {

using enum ir::Comparison;
using Kind = ir::Statement::Kind;
using ir::f32, ir::s64, ir::u32, ir::u64;

ir::Target host() { return ir::parse_target("x86"); }
ir::Operand number(ir::Type type, int64_t value) { return ir::constant(type, value); }

ir::Operand element(Builder& b, const ir::Operand& base, const ir::Operand& index, int bytes) {
  auto offset = b.one("mul.lo", s64, {index, number(s64, bytes)});
  return b.one("add", u64, {base, b.one("cvt.u64.s64", u64, {offset})});
}

TEST(Control, SaxpyOnVectorsWithALoop) {
  for (const auto& target : runnable_targets()) {
    Builder b(target);
    auto x = b.pointer("x"), y = b.pointer("y");
    auto a = b.scalar("a", f32);
    auto n = b.scalar("n", s64);
    auto f32x8 = f32.with_lanes(8);
    auto a8 = b.one("splat", f32x8, {a});
    b.loop(0, n, 8, [&](auto i) {
      auto to = element(b, y, i, 4);
      b.store(to, b.one("fma", f32x8, {a8, b.load(f32x8, element(b, x, i, 4)), b.load(f32x8, to)}));
    });
    Runner run(b.kernel);
    std::vector<float> xs(64), ys(64);
    std::iota(xs.begin(), xs.end(), 1.0f);
    std::iota(ys.begin(), ys.end(), 100.0f);
    float factor = 2.5f;
    uint32_t bits = std::bit_cast<uint32_t>(factor);
    run({address(xs.data()), address(ys.data()), bits, 56});
    for (int i = 0; i < 64; ++i)
      EXPECT_EQ(ys[i], i < 56 ? 100.0f + i + 2.5f * (1 + i) : 100.0f + i) << i << " " << to_string(target);
  }
}

// Sums i * j over 0 <= i < n, 0 <= j < m, leaving out j == 3, stopping each row at i * j > 50, all at i == 9.
TEST(Control, NestedLoopsWithBreakContinueAndReturn) {
  Builder b(host());
  auto out = b.pointer("out");
  auto n = b.scalar("n", s64), m = b.scalar("m", s64);
  auto sum = b.variable(number(s64, 0));
  b.loop(0, n, 1, [&](auto i) {
    b.when(b.compare(kEq, i, number(s64, 9)), [&] {
      b.store(out, number(s64, -1), 8);
      b.leave(Kind::kReturn);
    });
    b.loop(0, m, 1, [&](auto j) {
      b.when(b.compare(kEq, j, number(s64, 3)), [&] { b.leave(Kind::kContinue); });
      auto product = b.one("mul.lo", s64, {i, j});
      b.when(b.compare(kGt, product, number(s64, 50)), [&] { b.leave(Kind::kBreak); });
      b.assign(sum, b.one("add", s64, {sum, product}));
      b.store(out, sum);
    });
  });
  b.store(out, number(s64, 7), 16);  // reached unless the return was taken
  Runner run(b.kernel);
  for (int64_t n_value : {0, 1, 5, 9, 12})
    for (int64_t m_value : {0, 1, 4, 30}) {
      std::array<int64_t, 3> got{0, 0, 0}, want{0, 0, 7};
      run({address(got.data()), static_cast<uint64_t>(n_value), static_cast<uint64_t>(m_value)});
      for (int64_t i = 0; i < n_value; ++i) {
        if (i == 9) {
          want[1] = -1, want[2] = 0;
          break;
        }
        for (int64_t j = 0; j < m_value; ++j) {
          if (j == 3) continue;
          if (i * j > 50) break;
          want[0] += i * j;
        }
      }
      EXPECT_EQ(got, want) << n_value << " x " << m_value;
    }
}

TEST(Control, ElseBranchesAndVectorVariables) {
  Builder b(host());
  auto out = b.pointer("out");
  auto n = b.scalar("n", s64);
  auto type = f32.with_lanes(16);
  auto even = b.variable(ir::constant(type, 0.0)), odd = b.variable(ir::constant(type, 0.0));
  b.loop(0, n, 1, [&](auto i) {
    auto value = b.one("splat", type, {b.one("cvt.f32.s64", f32, {i})});
    auto is_odd = b.compare(kNe, b.one("and", s64, {i, number(s64, 1)}), number(s64, 0));
    b.when(
        is_odd, [&] { b.assign(odd, b.one("add", type, {odd, value})); },
        [&] { b.assign(even, b.one("add", type, {even, value})); });
  });
  b.store(out, even), b.store(out, odd, 64);
  Runner run(b.kernel);
  std::array<float, 32> got;
  run({address(got.data()), 10});
  for (int i = 0; i < 32; ++i) EXPECT_EQ(got[i], i < 16 ? 20 : 25);
}

TEST(Control, GuardsSkipStoresAndKeepOldValues) {
  Builder b(host());
  auto out = b.pointer("out");
  auto x = b.scalar("x", s64);
  auto positive = b.compare(kGt, x, number(s64, 0));
  b.none("st.global", {out, number(s64, 5)}, {0}, {positive.reg, false});
  b.none("st.global", {out, number(s64, 6)}, {8}, {positive.reg, true});
  auto value = b.one("ld.global", s64, {out}, {16}, {positive.reg, false});  // zero where it is not loaded
  b.store(out, value, 24);
  Runner run(b.kernel);
  std::array<int64_t, 4> got{1, 2, 3, 4};
  run({address(got.data()), 1});
  EXPECT_EQ(got, (std::array<int64_t, 4>{5, 2, 3, 3}));
  got = {1, 2, 3, 4};
  run({address(got.data()), 0});
  EXPECT_EQ(got, (std::array<int64_t, 4>{1, 6, 3, 0}));
}

TEST(Control, UnrolledLoopsGiveTheSameResults) {
  for (int unroll : {1, 2, 4, 8}) {
    Builder b(host());
    auto out = b.pointer("out");
    auto n = b.scalar("n", s64);
    auto sum = b.variable(number(s64, 0));
    b.loop(0, n, 1, [&](auto i) { b.assign(sum, b.one("mad.lo", s64, {i, i, sum})); }, unroll);
    b.store(out, sum);
    Runner run(b.kernel);
    for (uint64_t count : {0, 1, 7, 8, 19}) {
      int64_t got = -1, want = 0;
      run({address(&got), count});
      for (uint64_t i = 0; i < count; ++i) want += static_cast<int64_t>(i * i);
      EXPECT_EQ(got, want) << unroll << " " << count;
    }
  }
}

TEST(Convention, SpecialsGridScratchAndScalars) {
  using enum ir::Special;
  const ir::Special specials[] = {kThreadX,     kThreadY,     kThreadZ,  kBlockX,      kBlockY, kBlockZ,
                                  kGridX,       kGridY,       kGridZ,    kBlockDimX,   kLane,   kWarp,
                                  kClusterRank, kClusterSize, kClusterX, kClusterGridX};
  const uint32_t want[] = {0, 0, 0, 11, 12, 13, 21, 22, 23, 1, 0, 0, 0, 1, 11, 21};
  Builder b(host());
  auto out = b.pointer("out");
  auto byte = b.scalar("byte", ir::s8);
  auto half = b.scalar("half", ir::f16);
  auto real = b.scalar("real", ir::f64);
  int64_t offset = 0;
  for (auto s : specials) {
    b.store(out, b.one("special", u32, {}, {static_cast<int64_t>(s)}), offset);
    offset += 4;
  }
  b.store(out, b.one("cvt.s64.s8", s64, {byte}), 64);
  b.store(out, b.one("cvt.f32.f16", f32, {half}), 72);
  b.store(out, real, 80);
  auto scratch = b.one("shared.base", u64, {});
  b.none("st.shared", {scratch, number(s64, 77)}, {8});
  b.store(out, b.one("ld.shared", s64, {scratch}, {8}), 88);
  b.none("prefetch.x86", {out}, {256});
  b.kernel.shared_bytes = 16;

  Runner run(b.kernel);
  alignas(64) std::array<uint8_t, 96> got{};
  std::array<int64_t, 2> memory{};
  run({address(got.data()), 0x80, 0x3e00, std::bit_cast<uint64_t>(-2.25)}, {11, 12, 13}, {21, 22, 23},
      memory.data());
  for (size_t i = 0; i < std::size(want); ++i) {
    uint32_t value;
    std::memcpy(&value, &got[4 * i], 4);
    EXPECT_EQ(value, want[i]) << "special " << static_cast<int>(specials[i]);
  }
  int64_t s8_value, scratch_value;
  float f16_value;
  double f64_value;
  std::memcpy(&s8_value, &got[64], 8), std::memcpy(&f16_value, &got[72], 4);
  std::memcpy(&f64_value, &got[80], 8), std::memcpy(&scratch_value, &got[88], 8);
  EXPECT_EQ(s8_value, -128);
  EXPECT_EQ(f16_value, 1.5f);
  EXPECT_EQ(f64_value, -2.25);
  EXPECT_EQ(scratch_value, 77);
  EXPECT_EQ(memory[1], 77);
}

// A register holds 32 bits; the operation's type says whether they have a sign.
TEST(Convert, TheRowDecidesAboutSigns) {
  Builder b(host());
  auto out = b.pointer("out");
  auto x = b.scalar("x", u32), y = b.scalar("y", u32);
  auto as_signed = [&](const char* row, const Operands& operands, ir::Type result) {
    ir::Operand r = b.one(row, result, operands);
    b.kernel.body.back().instruction.type = ir::s32;
    return r;
  };
  b.store(out, as_signed("div", {x, y}, u32), 0);
  b.store(out, as_signed("shr", {x, number(u32, 4)}, u32), 4);
  b.store(out, as_signed("max", {x, y}, u32), 8);
  b.store(out, b.one("cvt.f32.s32", f32, {x}), 12);
  auto less = b.compare(kLt, x, y);
  b.kernel.body.back().instruction.type = ir::s32;
  b.store(out, b.one("selp", u32, {number(u32, 1), number(u32, 0), less}), 16);
  std::array<int32_t, 5> got{};
  Runner(b.kernel)({address(got.data()), static_cast<uint32_t>(-100), 7});
  EXPECT_EQ(got, (std::array<int32_t, 5>{-14, -7, 7, std::bit_cast<int32_t>(-100.0f), 1}));
}

TEST(Convert, NotANumberAndTheEndsOfTheRange) {
  for (const auto& target : runnable_targets()) {
    Builder b(target);
    auto in = b.pointer("in"), out = b.pointer("out");
    auto v = b.load(f32.with_lanes(4), in);
    const ir::Type types[] = {ir::s8, ir::u8, ir::s16, ir::u16, ir::s32, u32, s64, u64};
    for (int i = 0; i < 8; ++i) {
      auto wide = b.one("cvt." + to_string(types[i]) + ".f32", types[i].with_lanes(4), {v});
      if (types[i] != s64) wide = b.one("cvt.s64." + to_string(types[i]), s64.with_lanes(4), {wide});
      b.store(out, wide, 32 * i);
    }
    std::array<float, 4> values{std::nanf(""), INFINITY, -INFINITY, -1.75f};
    std::array<std::array<int64_t, 4>, 8> got;
    Runner(b.kernel)({address(values.data()), address(got.data())});
    constexpr int64_t kLow = std::numeric_limits<int64_t>::min(), kHigh = std::numeric_limits<int64_t>::max();
    std::array<std::array<int64_t, 4>, 8> want{{{-128, 127, -128, -1},
                                                {0, 255, 0, 0},
                                                {-32768, 32767, -32768, -1},
                                                {0, 65535, 0, 0},
                                                {0, 2147483647, -2147483648, -1},
                                                {0, 4294967295, 0, 0},
                                                {0, kHigh, kLow, -1},
                                                {0, -1, 0, 0}}};
    EXPECT_EQ(got, want) << to_string(target);
  }
}

TEST(Traps, EndTheProcess) {
  Builder b(host());
  auto x = b.scalar("x", s64);
  b.when(b.compare(kLt, x, number(s64, 0)), [&] { b.none("trap", {}); });
  Runner run(b.kernel);
  run({5});
  EXPECT_EXIT(run({static_cast<uint64_t>(-5)}), ::testing::KilledBySignal(SIGILL), "");
}

// Processors stop the process on these; here they have a result, or at least an end.
TEST(Traps, DivisionsDoNot) {
  Builder b(host());
  auto out = b.pointer("out");
  auto x = b.scalar("x", s64), y = b.scalar("y", s64);
  b.store(out, b.one("div", s64, {x, y}), 0);
  b.store(out, b.one("rem", s64, {x, y}), 8);
  auto ux = b.one("cvt.u64.s64", u64, {x}), uy = b.one("cvt.u64.s64", u64, {y});
  b.store(out, b.one("div", u64, {ux, uy}), 16);
  Runner run(b.kernel);
  std::array<int64_t, 3> got{};
  auto lowest = std::numeric_limits<int64_t>::min();
  run({address(got.data()), static_cast<uint64_t>(lowest), static_cast<uint64_t>(-1)});
  EXPECT_EQ(got[0], lowest);
  EXPECT_EQ(got[1], 0);
  run({address(got.data()), 7, 0});
  run({address(got.data()), static_cast<uint64_t>(-7), 2});
  EXPECT_EQ(got[0], -3);
  EXPECT_EQ(got[1], -1);
}

TEST(Errors, NameTheOperationItsTypeAndItsLine) {
  auto message = [](const ir::Kernel& kernel) -> std::string {
    try {
      compile(kernel);
    } catch (const CodegenError& e) {
      return e.what();
    }
    return "";
  };
  Builder gpu(host());
  gpu.one("popc.b32", u32, {number(u32, 3)});
  EXPECT_EQ(message(gpu.kernel),
            "tests/codegen/x86/kernel_builder.h:40: no x86 code for 'popc.b32' with type u32: the "
            "operation exists on GPUs alone");
  Builder tile(ir::parse_target("x86:avx512"));
  tile.none("tile.zero", {}, {0});
  EXPECT_NE(message(tile.kernel).find("no AMX"), std::string::npos);
  Builder lanes(host());
  lanes.one("add", f32.with_lanes(4), {ir::constant(f32.with_lanes(4), 1.0), ir::constant(f32, 1.0)});
  EXPECT_NE(message(lanes.kernel).find("'add' with type f32x4: its operands differ"), std::string::npos);
  Builder unset(host());
  unset.one("add", f32, {{unset.kernel.new_register(f32), f32, 0}, ir::constant(f32, 1.0)});
  EXPECT_NE(message(unset.kernel).find("read before it is written"), std::string::npos);
  Builder scope(host());
  ir::Operand inner;
  auto out = scope.pointer("out");
  auto n = scope.scalar("n", s64);
  scope.when(scope.compare(kGt, n, number(s64, 0)), [&] { inner = scope.load(f32, out); });
  scope.store(out, inner);
  EXPECT_NE(message(scope.kernel).find("uses a register where it has no value"), std::string::npos);
  Builder threads(host());
  threads.kernel.threads = {32, 1, 1};
  EXPECT_NE(message(threads.kernel).find("one thread"), std::string::npos);
  Builder other(ir::parse_target("sm_90a"));
  EXPECT_NE(message(other.kernel).find("sm_90a"), std::string::npos);
}

}  // namespace
}  // namespace rose::codegen::x86::testing
