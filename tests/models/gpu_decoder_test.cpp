// What a decoder queues on a GPU, seen by a driver that only writes it down.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_cuda.h"
#include "models/decoder.h"
#include "runtime/compile.h"
#include "tiny_decoder.h"

namespace rose::models {
namespace {

class GpuDecoders : public testing::TestWithParam<const char*> {
 protected:
  GpuDecoders() {
    tiny_.type = GetParam();
    if (tiny_.type != "llama") tiny_.vocab = 104;  // llama: columns that are no multiple of eight
    if (tiny_.type != "llama") tiny_.head_dim = 32, tiny_.qk_norm = true;
    if (tiny_.gemma()) tiny_.window = 24, tiny_.global_every = 2;
    tiny_.randomise(1);
    fake_->static_shared = 0;
    runtime::ContextOptions options;
    options.device = "cuda:0", options.driver = fake_.driver(), options.cache.disk = false;
    options.log = [](runtime::LogLevel, std::string_view) {};
    context_ = runtime::open_context(std::move(options));
  }

  // One new token of each sequence, at these lengths.
  static Step step_of(const std::vector<int32_t>& lengths) {
    Step step;
    step.first_tokens = {0}, step.table_width = 8, step.lengths = lengths;
    for (size_t s = 0; s < lengths.size(); ++s) {
      step.tokens.push_back(static_cast<int32_t>(s));
      step.positions.push_back(lengths[s] - 1);
      step.slots.push_back(static_cast<int64_t>(s) * 64 + (lengths[s] - 1) % 64);
      step.first_tokens.push_back(static_cast<int32_t>(s + 1));
      for (int32_t b = 0; b < 8; ++b) step.block_table.push_back(static_cast<int32_t>(s));
      step.logit_rows.push_back(static_cast<int32_t>(s));
    }
    return step;
  }

  TinyDecoder tiny_;
  TemporaryFolder folder_;
  runtime::FakeCuda fake_;
  std::unique_ptr<runtime::Context> context_;
};

TEST_P(GpuDecoders, CompileAheadAndReplayStepsOfEqualShape) {
  auto checkpoint = Checkpoint::open(tiny_.write_folder(folder_.path() / "model"));
  auto decoder = load_decoder(*context_, checkpoint, Precision::kExact);
  KvCache cache(*context_, decoder->config(), 8, compute_on(context_->properties()).block_size);
  auto out = context_->device().allocate(static_cast<size_t>(2 * tiny_.vocab * 4));
  const auto compiled = context_->cache().counters().builds;
  decoder->forward(step_of({3, 5}), cache, out);
  EXPECT_GT(fake_->launches.size(), 8U * static_cast<size_t>(tiny_.layers));
  // All products were compiled while the weights were loaded.
  EXPECT_LE(context_->cache().counters().builds - compiled, 2U);
  const auto plain = fake_->launches.size();
  auto count = [&](std::string_view name) { return std::ranges::count(fake_->calls, name); };
  decoder->forward(step_of({4, 6}), cache, out);  // recorded, then replayed
  EXPECT_EQ(count("GraphInstantiate"), 1);
  EXPECT_EQ(count("GraphLaunch"), 1);
  decoder->forward(step_of({5, 7}), cache, out);
  EXPECT_EQ(count("GraphInstantiate"), 1);
  EXPECT_EQ(count("GraphLaunch"), 2);
  EXPECT_EQ(fake_->launches.size(), plain);    // what a graph holds does not count
  decoder->forward(step_of({5}), cache, out);  // another shape
  EXPECT_EQ(count("GraphLaunch"), 2);
  EXPECT_GT(fake_->launches.size(), plain);
}

INSTANTIATE_TEST_SUITE_P(All, GpuDecoders, testing::Values("llama", "qwen3", "gemma3_text"));

}  // namespace
}  // namespace rose::models
