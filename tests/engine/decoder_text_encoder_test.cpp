// Embedders and rerankers that are decoders: their rows are what the decoder's own vectors and logits say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/prompt_pass.h"
#include "engine/text_encoder.h"
#include "runtime/compile.h"
#include "tiny_model.h"

namespace rose::engine {
namespace {

using testing::HasSubstr;

constexpr uint32_t kMean = 1, kLast = 3;  // "pooling_type" of GGUF files

struct Model {
  explicit Model(TinyModel::Options options) : files(std::move(options)) {
    runtime::ContextOptions device;
    device.device = "x86";
    device.cache.disk = false;
    device.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
    context = runtime::open_context(std::move(device));
  }
  std::unique_ptr<TextEncoder> encoder() {
    return open_text_encoder(*context, checkpoint, vocabulary, models::Precision::kExact);
  }
  // What the decoder gives for each token of a text.
  std::vector<std::vector<float>> rows(const std::vector<int32_t>& tokens, models::StepOutput output) {
    auto decoder = models::load_decoder(*context, checkpoint, models::Precision::kExact);
    std::vector<std::vector<float>> all;
    PromptPass(*context, *decoder)
        .run(std::span(&tokens, 1), output, PromptPass::Rows::kAll,
             [&](size_t, size_t, std::span<const float> row) { all.emplace_back(row.begin(), row.end()); });
    return all;
  }

  TinyModel files;
  models::Checkpoint checkpoint = models::Checkpoint::open(files.model());
  models::Vocabulary vocabulary{checkpoint};
  std::unique_ptr<runtime::Context> context;
};

void expect_parallel(const std::vector<float>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  double length = 0;
  for (double w : want) length += w * w;
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i] / std::sqrt(length), 1e-5) << i;
}

TEST(DecoderEmbedders, PoolTheLastTokenOrTheMean) {
  for (uint32_t pooling : {kLast, kMean}) {
    Model model({.pooling = pooling});
    auto encoder = model.encoder();
    EXPECT_EQ(encoder->main_task(), TextTask::kEmbed);
    EXPECT_EQ(encoder->dimensions(), TinyModel::kHidden);
    const std::string texts[] = {"hello", "the quick brown fox jumps over the lazy dog", "a"};
    std::vector<TextInput> inputs(std::begin(texts), std::end(texts));
    auto result = encoder->run(TextTask::kEmbed, inputs, {.prompt = "find"});
    ASSERT_EQ(result.rows.size(), 3u);
    int64_t tokens = 0;
    for (size_t t = 0; t < 3; ++t) {
      auto ids = model.vocabulary.encode("find" + texts[t]);
      tokens += static_cast<int64_t>(ids.size());
      auto rows = model.rows(ids, models::StepOutput::kHidden);
      std::vector<double> want(rows.back().begin(), rows.back().end());
      if (pooling == kMean) {
        std::ranges::fill(want, 0);
        for (const auto& row : rows)
          for (size_t i = 0; i < row.size(); ++i) want[i] += row[i];
      }
      expect_parallel(result.rows[t], want);
    }
    EXPECT_EQ(result.prompt_tokens, tokens);
    auto cut = encoder->run(TextTask::kEmbed, inputs, {.max_tokens = 5, .dimensions = 8});
    EXPECT_EQ(cut.truncated, 1);
    EXPECT_EQ(cut.rows[0].size(), 8u);
    EXPECT_THROW(encoder->run(TextTask::kScore, inputs), EngineError);
  }
}

TEST(DecoderRerankers, ScoreIsTheProbabilityOfYesAgainstNo) {
  Model model({.name = "Tiny-Reranker", .more_tokens = {"yes", "no"}, .context = 2000});
  auto encoder = model.encoder();
  EXPECT_EQ(encoder->main_task(), TextTask::kScore);
  auto input = TextInput{"who", "me"};
  auto result = encoder->run(TextTask::kScore, std::span(&input, 1), {.instruction = "be kind"});
  // The question in full, as the model card of Qwen3-Reranker writes it.
  auto ids = model.vocabulary.encode_chat(
      "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the "
      "Instruct "
      "provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n");
  for (const char* part : {"<Instruct>: be kind\n<Query>: who\n<Document>: me",
                           "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"}) {
    auto more = model.vocabulary.encode_chat(part);
    ids.insert(ids.end(), more.begin(), more.end());
  }
  auto logits = model.rows(ids, models::StepOutput::kLogits).back();
  auto logit = [&](const char* word) {
    return double{logits[*model.vocabulary.tokenizer().token_to_id(word)]};
  };
  const double margin = logit("yes") - logit("no");
  ASSERT_GT(std::abs(margin), 0.01);
  EXPECT_NEAR(result.rows.at(0).at(0), 1 / (1 + std::exp(-margin)), 1e-5);
  EXPECT_EQ(result.prompt_tokens, static_cast<int64_t>(ids.size()));
  auto raw = encoder->run(TextTask::kScore, std::span(&input, 1), {.raw = true, .instruction = "be kind"});
  EXPECT_NEAR(raw.rows.at(0).at(0), margin, 1e-4);
  // Only the document is cut, and what stands around it must fit.
  const std::string text(3000, 'x');
  input = {"who", text};
  EXPECT_EQ(encoder->run(TextTask::kScore, std::span(&input, 1)).truncated, 1);
  EXPECT_THROW(encoder->run(TextTask::kScore, std::span(&input, 1), {.max_tokens = 10}), EngineError);
}

TEST(DecoderTextEncoders, LanguageModelsAreRefusedWithTheCommandThatFits) {
  auto message = [](TinyModel::Options options) {
    Model model(std::move(options));
    try {
      model.encoder();
    } catch (const EngineError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_THAT(message({}), HasSubstr("use `rose generate`"));
  EXPECT_THAT(message({.name = "Tiny Reranker"}), HasSubstr("no token 'no'"));
}

}  // namespace
}  // namespace rose::engine
