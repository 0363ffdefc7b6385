// Sweeps the elementary functions over their ranges and holds them to the bounds that compile.h states.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernel_builder.h"
#include "number.h"

namespace rose::codegen::x86::testing {
namespace {

using ir::f32;

class Accuracy : public ::testing::TestWithParam<ir::Target> {
 protected:
  struct Worst {
    long double ulps = 0, absolute = 0;
    float at = 0;
  };

  // f applied to every x by a loop over vectors of 16 lanes, in place.
  Worst sweep(const char* row, std::vector<float> x, long double (*reference)(long double)) {
    while (x.size() % 16) x.push_back(1);
    Builder b(GetParam());
    auto p = b.pointer("p");
    auto bytes = b.scalar("bytes", ir::s64);
    b.loop(0, bytes, 64, [&](auto i) {
      auto at = b.one("add", ir::u64, {p, b.one("cvt.u64.s64", ir::u64, {i})});
      b.store(at, b.one(row, f32.with_lanes(16), {b.load(f32.with_lanes(16), at)}));
    });
    auto y = x;
    Runner(b.kernel)({address(y.data()), 4 * y.size()});
    Worst worst;
    for (size_t i = 0; i < x.size(); ++i) {
      auto want = reference(x[i]);
      if (std::isnan(want) || std::isinf(static_cast<float>(want))) {
        EXPECT_EQ(std::isnan(want), std::isnan(y[i])) << row << " of " << x[i];
        if (!std::isnan(want)) {
          EXPECT_EQ(y[i], static_cast<float>(want)) << row << " of " << x[i];
        }
        continue;
      }
      if (y[i] == 0 && std::abs(want) < 0x1p-126L) continue;
      auto error = std::abs(y[i] - want);
      auto ulps = error / unit_in_last_place(f32, want);
      worst.absolute = std::max(worst.absolute, error);
      if (ulps > worst.ulps || std::isnan(y[i]))
        worst.ulps = std::isnan(y[i]) ? 1e30L : ulps, worst.at = x[i];
    }
    std::printf("  %-5s worst error %.2Lf ulp at %.9g, %.2Le absolute\n", row, worst.ulps, worst.at,
                worst.absolute);
    return worst;
  }

  static std::vector<float> evenly(double low, double high, int n) {
    std::vector<float> x;
    for (int i = 0; i <= n; ++i) x.push_back(static_cast<float>(low + (high - low) * i / n));
    for (float special : {0.0f, -0.0f, INFINITY, -INFINITY, std::nanf("")}) x.push_back(special);
    return x;
  }
  static std::vector<float> all_magnitudes(uint32_t step) {
    std::vector<float> x;
    for (uint64_t bits = 0; bits < 0x100000000; bits += step)
      x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    return x;
  }
};

TEST_P(Accuracy, Exp2) {
  auto f = [](long double x) { return std::exp2(x); };
  EXPECT_LE(sweep("ex2", evenly(-152, 130, 300000), f).ulps, 2);
  EXPECT_LE(sweep("ex2", evenly(-1, 1, 200000), f).ulps, 2);
  EXPECT_LE(sweep("ex2", all_magnitudes(20011), f).ulps, 2);
}

TEST_P(Accuracy, Log2) {
  auto f = [](long double x) { return std::abs(x) < 0x1p-126L ? -INFINITY : std::log2(x); };
  EXPECT_LE(sweep("lg2", evenly(0.25, 4, 300000), f).ulps, 2);
  EXPECT_LE(sweep("lg2", evenly(0.99, 1.01, 200000), f).ulps, 2);
  EXPECT_LE(sweep("lg2", all_magnitudes(20011), f).ulps, 2);
}

TEST_P(Accuracy, Tanh) {
  auto f = [](long double x) { return std::tanh(x); };
  EXPECT_LE(sweep("tanh", evenly(-10, 10, 300000), f).ulps, 2);
  EXPECT_LE(sweep("tanh", all_magnitudes(20011), f).ulps, 2);
}

TEST_P(Accuracy, SineAndCosine) {
  auto sine = [](long double x) { return std::sin(x); };
  auto cosine = [](long double x) { return std::cos(x); };
  for (double range : {4.0, 1e3, 1e5, 1e6}) {
    EXPECT_LE(sweep("sin", evenly(-range, range, 200000), sine).absolute, 2e-7) << range;
    EXPECT_LE(sweep("cos", evenly(-range, range, 200000), cosine).absolute, 2e-7) << range;
  }
}

INSTANTIATE_TEST_SUITE_P(Features, Accuracy, ::testing::ValuesIn(runnable_targets()), [](const auto& info) {
  auto name = info.param.x86.to_string();
  std::replace(name.begin(), name.end(), '+', '_');
  return name;
});

}  // namespace
}  // namespace rose::codegen::x86::testing
