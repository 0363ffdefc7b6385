// Decoders on a GPU that has too little memory, an old driver, or breaks on the way: what is thrown, and that
// nothing leaks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "fake_cuda.h"
#include "models/decoder.h"
#include "tiny_decoder.h"

namespace rose::models {
namespace {

using runtime::ErrorKind;
using testing::HasSubstr;

class BrokenDeviceTest : public testing::Test {
 protected:
  BrokenDeviceTest() {
    fake_->static_shared = 0;
    std::ofstream(folder_.path() / "config.json") << nlohmann::json{{"model_type", "qwen3"},
                                                                    {"hidden_size", 128},
                                                                    {"intermediate_size", 256},
                                                                    {"num_hidden_layers", 2},
                                                                    {"num_attention_heads", 2},
                                                                    {"num_key_value_heads", 1},
                                                                    {"head_dim", 64},
                                                                    {"vocab_size", 512},
                                                                    {"max_position_embeddings", 256},
                                                                    {"rms_norm_eps", 1e-6}}
                                                         .dump();
    open();
  }
  ~BrokenDeviceTest() override {
    context_.reset();
    EXPECT_EQ(fake_->live_bytes, 0u) << "memory that nobody gave back";
    EXPECT_EQ(fake_->live_handles, 0);
  }
  void open() {
    runtime::ContextOptions options;
    options.device = "cuda:0", options.driver = fake_.driver(), options.cache.disk = false;
    options.log = runtime::log_nowhere();
    context_ = std::make_unique<runtime::Context>(std::move(options));
  }
  std::unique_ptr<Decoder> load() {
    return load_decoder(*context_, Checkpoint::random(folder_.path().string()), Precision::kFast);
  }
  // Kind and message of what loading and one step throw.
  std::pair<ErrorKind, std::string> failure(const std::function<void()>& between = [] {}) {
    try {
      auto decoder = load();
      KvCache cache(*context_, decoder->config(), 4, 64);
      auto logits = context_->device().allocate(512 * 4);
      Step step;
      step.tokens = {1, 2, 3}, step.positions = {0, 1, 2}, step.slots = {0, 1, 2};
      step.first_tokens = {0, 3}, step.lengths = {3}, step.block_table = std::vector<int32_t>(8),
      step.table_width = 8;
      step.logit_rows = {2};
      between();
      decoder->forward(step, cache, logits);
      context_->stream().synchronize();
    } catch (const runtime::DeviceError& error) {
      return {error.kind(), error.what()};
    }
    return {ErrorKind::kInternal, "(nothing was thrown)"};
  }

  runtime::FakeCuda fake_;
  TemporaryFolder folder_;
  std::unique_ptr<runtime::Context> context_;
};

TEST_F(BrokenDeviceTest, AWholeOneRunsEverything) {
  EXPECT_EQ(failure().second, "(nothing was thrown)");
  EXPECT_FALSE(fake_->launches.empty());
}

TEST_F(BrokenDeviceTest, LostWhileItRuns) {
  auto [kind, text] = failure([&] { fake_->fail["LaunchKernelEx"] = runtime::cuda::kIllegalAddress; });
  EXPECT_EQ(kind, ErrorKind::kLost);
  EXPECT_THAT(text, HasSubstr("restart the process"));
}

TEST_F(BrokenDeviceTest, LostWhileWeightsAreLoaded) {
  fake_->fail["MemcpyHtoDAsync"] = runtime::cuda::kIllegalAddress;
  auto [kind, text] = failure();
  EXPECT_EQ(kind, ErrorKind::kLost);
  EXPECT_THAT(text, HasSubstr("restart the process"));
}

TEST_F(BrokenDeviceTest, NoMemory) {
  context_.reset();
  fake_->memory = 200'000;
  open();
  auto [kind, text] = failure();
  EXPECT_EQ(kind, ErrorKind::kOutOfMemory);
  EXPECT_THAT(text, HasSubstr("are free"));
}

TEST_F(BrokenDeviceTest, ADriverThatDoesNotKnowTheCode) {
  fake_->fail["ModuleLoadDataEx"] = runtime::cuda::kUnsupportedPtxVersion;
  auto [kind, text] = failure();
  EXPECT_EQ(kind, ErrorKind::kDriverTooOld);
  EXPECT_THAT(text, HasSubstr("install a newer NVIDIA driver"));
}

}  // namespace
}  // namespace rose::models
