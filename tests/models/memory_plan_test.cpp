// What a decoder is said to need before it is loaded, and what is said when it does not fit.
#include "models/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_cuda.h"

namespace rose::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class MemoryPlanTest : public testing::Test {
 protected:
  std::unique_ptr<runtime::Context> context(const std::string& device) {
    runtime::ContextOptions options;
    options.device = device, options.driver = fake.driver(), options.cache.disk = false;
    options.log = runtime::log_nowhere();
    return std::make_unique<runtime::Context>(std::move(options));
  }
  MemoryPlan plan(runtime::Context& c, int64_t tokens, int64_t batch = 1) {
    return plan_memory(c, checkpoint, read_decoder_config(checkpoint), Precision::kFast, tokens, batch);
  }
  std::string refusal(runtime::Context& c, const MemoryPlan& p) {
    try {
      expect_to_fit(c, checkpoint, p);
    } catch (const ModelError& error) {
      return error.what();
    }
    return "";
  }

  runtime::FakeCuda fake;
  Checkpoint checkpoint = Checkpoint::random("Qwen3-0.6B");
};

TEST_F(MemoryPlanTest, CountsWeightsAndCache) {
  auto gpu = context("cuda:0");
  const auto p = plan(*gpu, 1000);
  // 28 layers with two norms of 1024 and two of 128 each, and the last norm: f32; the other parameters in
  // bf16.
  const uint64_t vectors = 28 * (2 * 1024 + 2 * 128) + 1024;
  EXPECT_EQ(p.weights, (596'049'920 - vectors) * 2 + vectors * 4);
  EXPECT_EQ(p.cache_tokens, 1024) << "blocks of 64";
  EXPECT_EQ(p.cache, 1024u * 28 * 2 * 8 * 128 * 2);
  EXPECT_GT(p.workspace, 151'936u * 4) << "logits of one sequence";
  EXPECT_EQ(p.need(), p.weights + p.cache + p.workspace);
  EXPECT_EQ(plan(*gpu, 1000, 8).workspace - p.workspace, 7u * 151'936 * 4) << "each sequence more has logits";
  auto x86 = context("x86");
  EXPECT_EQ(plan(*x86, 1000).cache, 1024u * 28 * 2 * 8 * 128 * 4) << "the cache is f32 there";
}

TEST_F(MemoryPlanTest, FitsUpToTheLastBlock) {
  fake->memory = size_t{4} << 30;
  auto gpu = context("cuda:0");
  auto p = plan(*gpu, 1000);
  EXPECT_TRUE(p.fits());
  EXPECT_EQ(refusal(*gpu, p), "");
  const int64_t most = p.most_tokens();
  EXPECT_EQ(most % 64, 0);
  p.cache_tokens = most, p.cache = p.cache_bytes_per_token * static_cast<uint64_t>(most);
  EXPECT_TRUE(p.fits());
  p.cache += 64 * p.cache_bytes_per_token;
  EXPECT_FALSE(p.fits());
}

TEST_F(MemoryPlanTest, SaysWhatIsNeededAndWhatToDo) {
  fake->memory = size_t{2} << 30;
  auto gpu = context("cuda:0");
  const auto p = plan(*gpu, 40000);
  EXPECT_THAT(refusal(*gpu, p),
              AllOf(HasSubstr("Qwen3-0.6B needs 1.2 GB of weights + 4.6 GB of KV cache for 40000 tokens"),
                    HasSubstr("cuda:0 Fake H200 has 2.1 GB free of 2.1 GB: use --context "),
                    Not(HasSubstr("--context 0"))));
  auto taken = gpu->device().allocate_dedicated(size_t{1} << 30);
  EXPECT_THAT(refusal(*gpu, plan(*gpu, 1000)),
              AllOf(HasSubstr("has 1.1 GB free of 2.1 GB"), HasSubstr("a smaller model")));
  auto x86 = context("x86");
  EXPECT_THAT(refusal(*x86, plan(*x86, int64_t{1} << 40)), HasSubstr("this machine has"));
  EXPECT_NE(refusal(*x86, plan(*x86, INT64_MAX)), "") << "what does not fit into 64 bits is no wrap-around";
}

}  // namespace
}  // namespace rose::models
