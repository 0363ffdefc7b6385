// Prints what compiling and loading cost for kernels of the usual shapes, and checks their results. Nothing
// here asserts a time.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cmath>

#include "kernel_builder.h"

namespace rose::codegen::x86::testing {
namespace {

using ir::bf16, ir::f32, ir::s64, ir::u64, ir::u8;

ir::Target host() { return ir::parse_target("x86"); }
ir::Operand number(ir::Type type, int64_t value) { return ir::constant(type, value); }

ir::Operand moved(Builder& b, const ir::Operand& base, const ir::Operand& bytes) {
  return b.one("add", u64, {base, b.one("cvt.u64.s64", u64, {bytes})});
}

// One row of `hidden` numbers in bf16; four vectors of 16 lanes a step.
ir::Kernel rms_norm(int hidden) {
  Builder b(host(), "rms_norm");
  auto x = b.pointer("x"), weight = b.pointer("weight"), out = b.pointer("out");
  auto half = bf16.with_lanes(16), full = f32.with_lanes(16);
  auto row = b.one("cvt.s64.u32", s64,
                   {b.one("special", ir::u32, {}, {static_cast<int64_t>(ir::Special::kBlockX)})});
  auto start = b.one("mul.lo", s64, {row, number(s64, 2 * hidden)});
  x = moved(b, x, start), out = moved(b, out, start);
  Operands sums;
  for (int k = 0; k < 4; ++k) sums.push_back(b.variable(ir::constant(full, 0.0)));
  b.loop(0, number(s64, 2 * hidden), 128, [&](auto i) {
    auto at = moved(b, x, i);
    for (int k = 0; k < 4; ++k) {
      auto v = b.one("cvt.f32.bf16", full, {b.load(half, at, 32 * k)});
      b.assign(sums[k], b.one("fma", full, {v, v, sums[k]}));
    }
  });
  auto sum =
      b.one("add", full, {b.one("add", full, {sums[0], sums[1]}), b.one("add", full, {sums[2], sums[3]})});
  auto mean = b.one("mul", f32, {b.one("reduce.add", f32, {sum}), ir::constant(f32, 1.0 / hidden)});
  auto scale = b.one("rsqrt", f32, {b.one("add", f32, {mean, ir::constant(f32, 1e-5)})});
  scale = b.one("splat", full, {scale});
  b.loop(0, number(s64, 2 * hidden), 64, [&](auto i) {
    auto from = moved(b, x, i), to = moved(b, out, i), w = moved(b, weight, i);
    for (int k = 0; k < 2; ++k) {
      auto v = b.one("cvt.f32.bf16", full, {b.load(half, from, 32 * k)});
      auto g = b.one("cvt.f32.bf16", full, {b.load(half, w, 32 * k)});
      auto y = b.one("mul", full, {b.one("mul", full, {v, scale}), g});
      b.store(to, b.one("cvt.bf16.f32", half, {y}), 32 * k);
    }
  });
  return b.kernel;
}

// out[m, 0..31] = sum over k of a[m, k] b[k, 0..31] for `rows` rows; b packed in pairs of k.
ir::Kernel gemm_tile(int rows) {
  Builder b(host(), "gemm_tile");
  auto a = b.pointer("a"), packed = b.pointer("b"), out = b.pointer("out");
  auto depth = b.scalar("k", s64), stride = b.scalar("stride", s64);
  auto full = f32.with_lanes(16), pairs = bf16.with_lanes(32);
  std::vector<Operands> sums(static_cast<size_t>(rows));
  Operands row_start;
  for (int m = 0; m < rows; ++m) {
    row_start.push_back(moved(b, a, b.one("mul.lo", s64, {stride, number(s64, m)})));
    for (int n = 0; n < 2; ++n) sums[m].push_back(b.variable(ir::constant(full, 0.0)));
  }
  b.loop(0, depth, 2, [&](auto k) {
    auto at = moved(b, packed, b.one("mul.lo", s64, {k, number(s64, 64)}));
    ir::Operand columns[2] = {b.load(pairs, at), b.load(pairs, at, 64)};
    auto offset = b.one("mul.lo", s64, {k, number(s64, 2)});
    for (int m = 0; m < rows; ++m) {
      auto two = b.one("splat", ir::u32.with_lanes(16), {b.load(ir::u32, moved(b, row_start[m], offset))});
      auto left = b.one("bitcast", pairs, {two});
      for (int n = 0; n < 2; ++n)
        b.assign(sums[m][n], b.one("dot.bf16", full, {sums[m][n], left, columns[n]}));
    }
  });
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < 2; ++n) b.store(out, sums[m][n], 128 * m + 64 * n);
  return b.kernel;
}

// Softmax of one row of `n` f32 numbers, with the usual running maximum.
ir::Kernel softmax(int n) {
  Builder b(host(), "softmax");
  auto x = b.pointer("x"), out = b.pointer("out");
  auto full = f32.with_lanes(16);
  auto top = b.variable(ir::constant(full, -INFINITY)), total = b.variable(ir::constant(full, 0.0));
  auto end = number(s64, 4 * n);
  b.loop(0, end, 64, [&](auto i) { b.assign(top, b.one("max", full, {top, b.load(full, moved(b, x, i))})); });
  auto highest = b.one("splat", full, {b.one("reduce.max", f32, {top})});
  b.loop(0, end, 64, [&](auto i) {
    auto shifted = b.one("sub", full, {b.load(full, moved(b, x, i)), highest});
    auto e = b.one("ex2", full, {b.one("mul", full, {shifted, ir::constant(full, 1.4426950408889634)})});
    b.store(moved(b, out, i), e);
    b.assign(total, b.one("add", full, {total, e}));
  });
  auto scale = b.one("splat", full, {b.one("rcp", f32, {b.one("reduce.add", f32, {total})})});
  b.loop(0, end, 64, [&](auto i) {
    auto at = moved(b, out, i);
    b.store(at, b.one("mul", full, {b.load(full, at), scale}));
  });
  return b.kernel;
}

// A dot product of packed 4-bit codes (through a table) with signed bytes: 64 codes a step.
ir::Kernel lookup_dot() {
  Builder b(host(), "lookup_dot");
  auto codes = b.pointer("codes"), x = b.pointer("x"), table_at = b.pointer("table"), out = b.pointer("out");
  auto bytes = b.scalar("bytes", s64);
  auto full = ir::s32.with_lanes(16), v64 = u8.with_lanes(64), v32 = u8.with_lanes(32);
  auto table = b.load(u8.with_lanes(16), table_at);
  auto sum = b.variable(number(full, 0));
  b.loop(0, bytes, 32, [&](auto i) {
    auto words = b.one("bitcast", ir::u16.with_lanes(16), {b.load(v32, moved(b, codes, i))});
    auto high = b.one("bitcast", v32, {b.one("shr", words.type, {words, number(ir::u32.with_lanes(16), 4)})});
    auto low = b.one("bitcast", v32, {words});
    auto values = b.one("lookup16", v64, {table, b.one("concat", v64, {low, high})});
    auto factors = b.load(ir::s8.with_lanes(64), moved(b, x, b.one("mul.lo", s64, {i, number(s64, 2)})));
    b.assign(sum, b.one("dot.u8s8", full, {sum, values, factors}));
  });
  b.store(out, b.one("reduce.add", ir::s32, {sum}));
  return b.kernel;
}

// Median processor time, which other work on the machine does not change much.
double milliseconds(const std::function<void()>& work, int repeats) {
  auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
  };
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    auto start = now();
    work();
    times.push_back(now() - start);
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[static_cast<size_t>(repeats / 2)];
}

TEST(Speed, CompileAndLoad) {
  compile(softmax(64));  // LLVM's own first-time work
  std::vector<ir::Kernel> kernels{rms_norm(4096), gemm_tile(8), gemm_tile(12), softmax(4096), lookup_dot()};
  for (const auto& kernel : kernels) {
    std::string object = compile(kernel);
    double compile_ms = milliseconds([&] { compile(kernel); }, 21);
    double load_ms = milliseconds([&] { load(object, kernel.name); }, 101);
    std::printf("  %-10s %3zu operations: compile %.1f ms, %zu bytes, load %.3f ms\n", kernel.name.c_str(),
                static_cast<size_t>(ir::instruction_count(kernel.body)), compile_ms, object.size(), load_ms);
    EXPECT_FALSE(object.empty());
  }
}

TEST(Speed, TheKernelsAreRight) {
  constexpr int kHidden = 4096;
  std::vector<uint16_t> x(kHidden), weight(kHidden), out(kHidden);
  std::vector<float> f(kHidden), result(kHidden);
  double squares = 0;
  auto value = [](uint16_t bits) { return ir::constant_float({ir::kNoReg, bf16, bits}); };
  for (int i = 0; i < kHidden; ++i) {
    x[i] = static_cast<uint16_t>(ir::constant(bf16, std::sin(i * 0.37) * 2).bits);
    weight[i] = static_cast<uint16_t>(ir::constant(bf16, 0.5 + i % 5).bits);
    squares += value(x[i]) * value(x[i]);
    f[i] = static_cast<float>(std::cos(i * 0.11) * 9);
  }
  Runner(rms_norm(kHidden))({address(x.data()), address(weight.data()), address(out.data())});
  for (int i = 0; i < kHidden; ++i) {
    double want = value(x[i]) / std::sqrt(squares / kHidden + 1e-5) * value(weight[i]);
    ASSERT_NEAR(value(out[i]), want, std::abs(want) / 128 + 1e-6) << i;
  }

  Runner(softmax(kHidden))({address(f.data()), address(result.data())});
  double total = 0, top = *std::max_element(f.begin(), f.end());
  for (float v : f) total += std::exp(v - top);
  for (int i = 0; i < kHidden; ++i)
    ASSERT_NEAR(result[i], std::exp(f[i] - top) / total, 1e-6 * std::exp(f[i] - top) / total + 1e-12);

  constexpr int kDepth = 64, kRows = 12;
  std::vector<uint16_t> a(kRows * kDepth), packed(kDepth * 32);
  auto element_a = [](int m, int k) { return (m * 7 + k * 3) % 11 - 5; };
  auto element_b = [](int k, int n) { return (k * 5 + n * 13) % 9 - 4; };
  for (int m = 0; m < kRows; ++m)
    for (int k = 0; k < kDepth; ++k)
      a[m * kDepth + k] = static_cast<uint16_t>(ir::constant(bf16, int64_t{element_a(m, k)}).bits);
  for (int k = 0; k < kDepth; ++k)
    for (int n = 0; n < 32; ++n)
      packed[k / 2 * 64 + n * 2 + k % 2] =
          static_cast<uint16_t>(ir::constant(bf16, int64_t{element_b(k, n)}).bits);
  std::vector<float> product(kRows * 32);
  Runner(gemm_tile(kRows))(
      {address(a.data()), address(packed.data()), address(product.data()), kDepth, 2 * kDepth});
  for (int m = 0; m < kRows; ++m)
    for (int n = 0; n < 32; ++n) {
      int want = 0;
      for (int k = 0; k < kDepth; ++k) want += element_a(m, k) * element_b(k, n);
      ASSERT_EQ(product[m * 32 + n], static_cast<float>(want)) << m << " " << n;
    }

  std::vector<uint8_t> codes(256), table(16);
  std::vector<int8_t> factors(512);
  for (int i = 0; i < 16; ++i) table[i] = static_cast<uint8_t>(i * i);
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i * 37);
  for (int i = 0; i < 512; ++i) factors[i] = static_cast<int8_t>(i * 91);
  int32_t got = 0, want = 0;
  Runner{lookup_dot()}(
      {address(codes.data()), address(factors.data()), address(table.data()), address(&got), 256});
  // Within 32 bytes of codes, the low halves of all bytes come first. (The odd bytes' high halves shift down
  // in words.)
  for (int i = 0; i < 256; ++i) {
    int at = i / 32 * 64 + i % 32;
    want += table[codes[i] & 15] * factors[at] + table[codes[i] >> 4] * factors[at + 32];
  }
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace rose::codegen::x86::testing
