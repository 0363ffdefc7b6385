#include "kernels/sampling/sample.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <random>

#include "ir/kernel.h"
#include "kernels/sampling/random.h"
#include "support.h"

namespace rose::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
runtime::Buffer upload_raw(const std::vector<T>& values) {
  auto buffer = test_context().device().allocate(values.size() * sizeof(T));
  test_stream().upload(buffer, values.data(), values.size() * sizeof(T));
  test_stream().synchronize();
  return buffer;
}

struct Problem {
  std::vector<double> logits;
  std::vector<SampleSettings> settings;
  std::vector<int32_t> counts;
  std::vector<float> bias;
};

struct Results {
  std::vector<int32_t> tokens, flags;
  std::vector<float> logprobs;
};

Results run(const SampleSpec& spec, const Problem& p) {
  auto rows = static_cast<int64_t>(p.settings.size());
  auto logits = upload(spec.dtype, p.logits), settings = upload_raw(p.settings);
  auto counts = upload_raw(p.counts), bias = upload_raw(p.bias);
  auto workspace = poisoned(ir::f32, rows * spec.vocab), tokens = poisoned(ir::s32, rows),
       flags = poisoned(ir::s32, rows), logprobs = poisoned(ir::f32, rows);
  Sample(test_context(), spec)(test_stream(), {.logits = logits,
                                               .settings = settings,
                                               .counts = counts,
                                               .bias = bias,
                                               .workspace = workspace,
                                               .tokens = tokens,
                                               .flags = flags,
                                               .logprobs = logprobs,
                                               .rows = rows});
  Results r{std::vector<int32_t>(p.settings.size()), std::vector<int32_t>(p.settings.size()),
            std::vector<float>(p.settings.size())};
  test_stream().download(r.tokens.data(), tokens, r.tokens.size() * 4);
  test_stream().download(r.flags.data(), flags, r.flags.size() * 4);
  test_stream().download(r.logprobs.data(), logprobs, r.logprobs.size() * 4);
  test_stream().synchronize();
  return r;
}

Problem problem(const SampleSpec& spec, size_t rows, uint64_t seed) {
  Problem p;
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal(0, 3);
  for (size_t i = 0; i < rows * static_cast<size_t>(spec.vocab); ++i)
    p.logits.push_back(ir::value_of(spec.dtype, ir::bits_of(spec.dtype, normal(engine))));
  p.settings.resize(rows);
  for (size_t r = 0; r < rows; ++r) {
    auto& s = p.settings[r];
    s.seed = engine(), s.position = static_cast<uint32_t>(engine() % 5000);
    s.count_row = static_cast<int32_t>(r % 2), s.bias_row = static_cast<int32_t>(r % 3) - 1;
  }
  auto vocab = static_cast<size_t>(spec.vocab);
  for (size_t i = 0; i < 2 * vocab; ++i)
    p.counts.push_back(static_cast<int32_t>(engine() % 4 == 0 ? engine() % 3 : 0) +
                       (engine() % 8 == 0 ? kInPrompt : 0));
  for (size_t i = 0; i < 2 * vocab; ++i)
    p.bias.push_back(engine() % 16 == 0 ? -std::numeric_limits<float>::infinity()
                                        : static_cast<float>(engine() % 5) * 0.25f);
  return p;
}

// The token must be the reference's, or one whose score in double precision is as good within the rounding of
// f32.
void check(const SampleSpec& spec, const Problem& p, const std::string& what) {
  Results got = run(spec, p);
  auto vocab = static_cast<size_t>(spec.vocab);
  for (size_t r = 0; r < p.settings.size(); ++r) {
    std::vector<double> scores;
    auto want = sample_reference(spec, &p.logits[r * vocab], p.settings[r],
                                 spec.penalties ? p.counts.data() : nullptr,
                                 spec.bias ? p.bias.data() : nullptr, &scores);
    ASSERT_GE(got.tokens[r], 0) << what;
    ASSERT_LT(got.tokens[r], spec.vocab) << what;
    double best = scores[static_cast<size_t>(want.token)],
           chosen = scores[static_cast<size_t>(got.tokens[r])];
    // Scores are differences of logits of size 20 over a temperature, and logarithms: relative to 1 /
    // temperature.
    double near = 1e-4 * (1 + 1 / std::max(p.settings[r].temperature, 0.01f));
    if (p.settings[r].temperature == 0 || spec.greedy) near = 20 * ir::unit_roundoff(ir::f32) * 4;
    if (got.tokens[r] != want.token) {
      EXPECT_LE(best - chosen, near) << what << " row " << r << " token " << got.tokens[r] << " not "
                                     << want.token;
    }
    EXPECT_EQ(got.flags[r], want.flags) << what << " row " << r;
    if (!spec.logprob || got.tokens[r] != want.token) continue;
    double terms = static_cast<double>(spec.vocab) / 64 + 64;
    EXPECT_NEAR(got.logprobs[r], want.logprob,
                (terms + 64) * ir::unit_roundoff(ir::f32) * (1 + std::abs(want.logprob)))
        << what << " row " << r;
  }
}

TEST(Sample, EverySettingAgreesWithTheReference) {
  for (int64_t vocab : {1, 7, 64, 1000, 4099, 32000})
    for (ir::Type dtype : {ir::f32, ir::bf16})
      for (bool adjusted : {false, true}) {
        SampleSpec spec;
        spec.vocab = vocab, spec.dtype = dtype, spec.penalties = spec.bias = spec.logprob = adjusted;
        auto p = problem(spec, 12, static_cast<uint64_t>(vocab));
        for (size_t r = 0; r < p.settings.size(); ++r) {
          auto& s = p.settings[r];
          s.temperature = r == 0 ? 0 : r % 3 == 0 ? 1.3f : 0.6f;
          s.top_k = r % 4 == 1 ? 20 : r % 4 == 2 ? 1 : 0;
          s.top_p = r % 5 == 1 ? 0.9f : r % 5 == 2 ? 0.5f : r == 7 ? 0.0f : 1;
          s.min_p = r % 6 == 5 ? 0.05f : 0;
          s.repetition = r % 2 ? 1.2f : 1, s.presence = r % 3 ? 0.4f : 0, s.frequency = r % 4 ? 0.3f : 0;
        }
        check(spec, p, spec_text(spec));
      }
}

TEST(Sample, GreedyTakesTheFirstOfEqualLogits) {
  SampleSpec spec;
  spec.vocab = 5000, spec.greedy = true, spec.dtype = ir::bf16;
  Problem p = problem(spec, 3, 1);
  for (size_t i : {4321u, 17u, 99u}) p.logits[i] = 50;
  p.logits[5000 + 4999] = 60;
  EXPECT_EQ(run(spec, p).tokens[0], 17);
  EXPECT_EQ(run(spec, p).tokens[1], 4999);
  check(spec, p, "greedy");
}

// The draw follows the softmax of those that stay: a chi-squared test over many positions.
TEST(Sample, FrequenciesFollowTheProbabilities) {
  SampleSpec spec;
  spec.vocab = 12;
  constexpr size_t kDraws = 20000;
  Problem p;
  std::vector<double> logits{0, 1, 2, -1, 0.5, 1.5, -4, 3, 2.5, -2, 0.25, 1.25};
  for (size_t r = 0; r < kDraws; ++r) p.logits.insert(p.logits.end(), logits.begin(), logits.end());
  p.settings.resize(kDraws);
  for (size_t r = 0; r < kDraws; ++r)
    p.settings[r].seed = 1234, p.settings[r].position = static_cast<uint32_t>(r), p.settings[r].top_k = 8;
  p.counts.resize(1), p.bias.resize(1);
  auto tokens = run(spec, p).tokens;
  std::vector<double> expected(12), seen(12);
  double total = 0;
  for (size_t i = 0; i < 12; ++i) total += logits[i] >= 0.25 ? std::exp(logits[i]) : 0;  // the 8 largest
  for (int32_t t : tokens) seen[static_cast<size_t>(t)] += 1;
  double chi = 0;
  for (size_t i = 0; i < 12; ++i) {
    expected[i] = logits[i] >= 0.25 ? kDraws * std::exp(logits[i]) / total : 0;
    if (expected[i] == 0)
      EXPECT_EQ(seen[i], 0) << i;
    else
      chi += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
  }
  EXPECT_LT(chi, 26.0);  // 7 degrees of freedom: exceeded with probability 0.0005
}

TEST(Sample, ARowDependsOnNoOtherRow) {
  SampleSpec spec;
  spec.vocab = 3000;
  auto p = problem(spec, 9, 5);
  for (auto& s : p.settings) s.top_p = 0.95f, s.temperature = 0.9f;
  auto together = run(spec, p);
  for (size_t r = 0; r < 9; ++r) {
    Problem alone = p;
    alone.logits.assign(p.logits.begin() + static_cast<long>(r * 3000),
                        p.logits.begin() + static_cast<long>((r + 1) * 3000));
    alone.settings = {p.settings[r]};
    EXPECT_EQ(run(spec, alone).tokens[0], together.tokens[r]) << r;
  }
}

TEST(Sample, NanAndInfiniteLogits) {
  SampleSpec spec;
  spec.vocab = 100;
  for (bool greedy : {false, true}) {
    spec.greedy = greedy;
    auto p = problem(spec, 4, 6);
    p.logits[3] = std::nan("");
    for (size_t i = 0; i < 100; ++i) p.logits[100 + i] = -kInfinity;
    for (size_t i = 0; i < 100; ++i) p.logits[200 + i] = std::nan("");
    p.logits[300 + 42] = kInfinity;
    auto got = run(spec, p);
    EXPECT_EQ(got.flags, (std::vector<int32_t>{kNanLogits, kNoFiniteLogit, kNanLogits | kNoFiniteLogit, 0}));
    EXPECT_NE(got.tokens[0], 3);
    EXPECT_EQ(got.tokens[1], 0);
    EXPECT_EQ(got.tokens[2], 0);
    EXPECT_EQ(got.tokens[3], 42);
  }
}

// Philox4x32-10 of the authors' test vectors (Random123, kat_vectors): counter and key zero.
TEST(Sample, TheKeyIsPhilox) {
  auto key = random_key(0, 0);
  EXPECT_EQ(key.first, 0x6627e8d5u);
  EXPECT_EQ(key.second, 0xe169c58du);
}

// Blocks of few threads and of many: what all threads decide together must be seen to be the same for all.
TEST(Sample, KernelsForGpusPassTheVerifier) {
  for (int64_t vocab : {1, 100, 257, 1000, 32000, 262144}) {
    SampleSpec spec;
    spec.vocab = vocab, spec.penalties = spec.bias = spec.logprob = true;
    for (const char* target : {"sm_90a", "sm_100a"}) {
      auto kernel = sample(ir::parse_target(target), spec);
      ir::optimize(kernel);
      EXPECT_NO_THROW(ir::verify(kernel)) << vocab << " " << target;
    }
  }
}

TEST(Sample, RefusesWhatItCannotDo) {
  SampleSpec spec;
  spec.vocab = (1 << 20) + 1;
  EXPECT_THROW(Sample(test_context(), spec), KernelError);
  spec = {}, spec.vocab = 64, spec.penalties = true;
  auto x = poisoned(ir::f32, 64);
  Sample op(test_context(), spec);
  EXPECT_THROW(op(test_stream(), {.logits = x, .settings = x, .tokens = x, .flags = x, .rows = 1}),
               KernelError);
}

}  // namespace
}  // namespace rose::kernels
