// Runs on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0), but for packing.
#include "kernels/gemm/gemm.h"

#include <fmt/format.h>

#include <cstring>

#include "gemm_support.h"

namespace rose::kernels {
namespace {

TEST(Gemm, GatedWeightsAreInterleavedByEightRows) {
  constexpr int64_t kRows = 24;
  std::vector<std::byte> gate(kRows * 3), up(kRows * 3), packed(2 * kRows * 3);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = std::byte(i), up[i] = std::byte(i + 100);
  pack_gated(gate.data(), up.data(), packed.data(), kRows, 3);
  for (int64_t i = 0; i < kRows; ++i) {
    EXPECT_EQ(std::memcmp(&packed[static_cast<size_t>(gated_row(i, false) * 3)],
                          &gate[static_cast<size_t>(i * 3)], 3),
              0);
    EXPECT_EQ(
        std::memcmp(&packed[static_cast<size_t>(gated_row(i, true) * 3)], &up[static_cast<size_t>(i * 3)], 3),
        0);
  }
  EXPECT_THROW(pack_gated(gate.data(), up.data(), packed.data(), 12, 3), KernelError);
}

struct Run {
  GemmProblem problem;
  std::unique_ptr<Gemm> gemm;
  void launch(int64_t m) { (*gemm)(test_stream(), problem.operands(), m); }
};

Run prepared(const GemmSpec& spec, int64_t m, uint64_t seed) {
  Run run{gemm_problem(spec, m, seed), std::make_unique<Gemm>(test_context(), spec)};
  run.problem.workspace = poisoned(ir::f32, run.gemm->workspace_bytes(m) / 4 + 64);
  return run;
}

TEST(Gemm, MatchesTheReferenceForAnyNumberOfRows) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  for (auto [n, k] :
       std::vector<std::pair<int64_t, int64_t>>{{1024, 1024}, {136, 1032}, {4096, 256}, {8, 8}}) {
    GemmSpec spec;
    spec.n = n, spec.k = k;
    Gemm gemm(test_context(), spec);
    for (int64_t m : {1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 65, 100, 128, 129, 200, 256, 257, 300}) {
      auto p = gemm_problem(spec, m, static_cast<uint64_t>(m));
      p.workspace = poisoned(ir::f32, gemm.workspace_bytes(m) / 4 + 64);
      gemm(test_stream(), p.operands(), m);
      expect_gemm(spec, p, m, fmt::format("{} m={}", spec_text(spec), m));
    }
  }
}

TEST(Gemm, Epilogues) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  bool pdl = false;
  for (GemmSpec spec : gemm_epilogues()) {
    spec.pdl = pdl = !pdl;
    for (int64_t m : {1, 5, 40, 100, 200, 300}) {
      auto run = prepared(spec, m, static_cast<uint64_t>(m));
      run.launch(m);
      expect_gemm(spec, run.problem, m, fmt::format("{} m={}", spec_text(spec), m));
    }
  }
}

TEST(Gemm, ARowsBitsDoNotDependOnTheOtherRowsUpTo64) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  for (auto [n, k] :
       std::vector<std::pair<int64_t, int64_t>>{{6144, 4096}, {4096, 4096}, {1000, 2056}, {4096, 12288}}) {
    GemmSpec spec;
    spec.n = n, spec.k = k, spec.out_dtype = ir::f32;
    auto all = prepared(spec, 64, 9);
    all.launch(64);
    auto want = gemm_output(spec, all.problem, 64);
    for (int64_t m : {1, 2, 4, 8, 9, 16, 24, 32, 33, 63}) {
      all.problem.out = poisoned(spec.out_dtype, 64 * all.problem.out_stride);
      all.launch(m);
      auto got = gemm_output(spec, all.problem, m);
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(got[i], want[i]) << spec_text(spec) << " m=" << m << " row " << i / static_cast<size_t>(n)
                                   << " column " << i % static_cast<size_t>(n);
    }
  }
}

// Launches that overlap (pdl) and read each other's results, in a graph that is launched twice.
TEST(Gemm, AChainInAGraphTwice) {
  if (!on_hopper()) GTEST_SKIP() << kNeedsHopper;
  for (int64_t m : {1, 16, 64, 100, 300}) {
    GemmSpec spec;
    spec.n = spec.k = 2048, spec.residual = true, spec.pdl = true;
    auto p = gemm_problem(spec, m, 77);
    Gemm gemm(test_context(), spec);
    gemm.prepare(m);
    auto workspace = poisoned(ir::f32, gemm.workspace_bytes(m) / 4 + 64);
    auto scaled = random_values(spec.dtype, spec.n * spec.k, 5, -0.02, 0.02);
    auto weights = upload(spec.dtype, scaled);
    runtime::Buffer x[2] = {upload(spec.dtype, p.a), poisoned(spec.dtype, m * spec.n)};
    auto chain = [&] {
      for (int i = 0; i < 6; ++i)
        gemm(test_stream(),
             {.a = x[i % 2],
              .weights = weights,
              .out = x[(i + 1) % 2],
              .residual = x[i % 2],
              .workspace = workspace},
             m);
    };
    auto result = [&] { return download(spec.dtype, x[0], m * spec.n); };
    auto reset = [&] {
      auto start = upload(spec.dtype, p.a);
      test_stream().copy(x[0], start, static_cast<size_t>(m * spec.n * 2));
      test_stream().synchronize();
    };
    // One launch after the other.
    for (int i = 0; i < 6; ++i) {
      gemm(test_stream(),
           {.a = x[i % 2],
            .weights = weights,
            .out = x[(i + 1) % 2],
            .residual = x[i % 2],
            .workspace = workspace},
           m);
      test_stream().synchronize();
    }
    auto want = result();
    reset();
    chain();
    EXPECT_EQ(result(), want) << "in the stream, m=" << m;
    test_stream().begin_capture();
    chain();
    auto graph = test_stream().end_capture();
    for (int turn = 0; turn < 2; ++turn) {
      reset();
      test_stream().launch(*graph);
      EXPECT_EQ(result(), want) << "graph, turn " << turn << " m=" << m;
    }
  }
}

TEST(Gemm, RefusesWhatItCannotDo) {
  GemmSpec spec;
  if (!on_hopper()) {
    EXPECT_THROW(Gemm(test_context(), spec), KernelError);
    return;
  }
  spec.k = 100;
  EXPECT_THROW(Gemm(test_context(), spec), KernelError);
  spec = {}, spec.n = spec.k = 64;
  Gemm gemm(test_context(), spec);
  auto x = poisoned(ir::bf16, 64 * 64);
  EXPECT_THROW(gemm(test_stream(), {.a = x, .weights = x}, 1), KernelError);
  EXPECT_THROW(gemm(test_stream(), {.a = x, .weights = x, .out = x, .out_stride = 60}, 1), KernelError);
  EXPECT_THROW(gemm(test_stream(), {.a = x, .weights = x, .out = x}, 0), KernelError);
}

}  // namespace
}  // namespace rose::kernels
