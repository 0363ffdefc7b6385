// Models of random numbers: the shapes of the shipped configurations, what the numbers look like, and that
// models load them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "models/checkpoint.h"
#include "models/decoder.h"
#include "models/encoder.h"
#include "models/shipped_configs.h"
#include "runtime/compile.h"
#include "tiny_decoder.h"
#include "weights/dequantize.h"
#include "weights/finite.h"

namespace rose::models {
namespace {

using testing::HasSubstr;

runtime::Context& context() {
  static const std::unique_ptr<runtime::Context> made = [] {
    runtime::ContextOptions options;
    options.device = "x86";
    options.cache.disk = false;
    return runtime::open_context(std::move(options));
  }();
  return *made;
}

std::string error_of(const std::string& config) {
  try {
    Checkpoint::random(config);
  } catch (const ModelError& error) {
    return error.what();
  }
  return "(nothing was thrown)";
}

// Numbers of parameters as the models' authors publish them; bge-large without its pooling layer of 1 049
// 600.
TEST(RandomCheckpoint, ShippedConfigurationsHaveTheirModelsParameters) {
  const std::map<std::string, uint64_t, std::less<>> published = {{"Llama-3.1-8B", 8'030'261'248},
                                                                  {"Qwen3-8B", 8'190'735'360},
                                                                  {"Qwen3-0.6B", 596'049'920},
                                                                  {"Qwen3-Embedding-0.6B", 595'776'512},
                                                                  {"bge-large", 335'141'888 - 1'049'600}};
  ASSERT_EQ(shipped_configs().size(), published.size());
  for (const auto& shipped : shipped_configs()) {
    const auto checkpoint = Checkpoint::random(std::string(shipped.name));
    EXPECT_EQ(checkpoint.tensors().total_elements(), published.at(std::string(shipped.name))) << shipped.name;
    EXPECT_EQ(checkpoint.name(), shipped.name);
  }
  EXPECT_EQ(Checkpoint::random("qwen3-0.6b").architecture(), "qwen3") << "names are found in any case";
}

TEST(RandomCheckpoint, NumbersLookLikeWeights) {
  const auto checkpoint = Checkpoint::random("Qwen3-0.6B");
  const auto& tensors = checkpoint.tensors();
  for (const auto& tensor : {tensors.at("model.layers.0.mlp.up_proj.weight"),
                             tensors.at("model.layers.27.self_attn.q_proj.weight")}) {
    EXPECT_FALSE(weights::first_non_finite(tensor));
    const auto values = weights::dequantize(tensor);
    double sum = 0, squares = 0;
    for (float v : values) sum += v, squares += static_cast<double>(v) * v;
    const auto n = static_cast<double>(values.size());
    EXPECT_NEAR(sum / n, 0, 1e-3);
    EXPECT_NEAR(std::sqrt(squares / n), 0.02, 1e-3);
    // No two of some rows are equal.
    std::set<std::vector<float>> rows;
    for (int row = 0; row < 512; ++row)
      rows.emplace(values.begin() + row * 1024, values.begin() + (row + 1) * 1024);
    EXPECT_EQ(rows.size(), 512u);
  }
  for (const char* name : {"model.norm.weight", "model.layers.3.self_attn.k_norm.weight"})
    for (float v : weights::dequantize(tensors.at(name))) EXPECT_NEAR(v, 1, 0.15) << name;
  const auto again = Checkpoint::random("Qwen3-0.6B");
  EXPECT_EQ(weights::dequantize(tensors.at("model.norm.weight")),
            weights::dequantize(again.tensors().at("model.norm.weight")));
}

// A configuration of a few rows, in a folder of its own.
class Config {
 public:
  explicit Config(const nlohmann::json& json) {
    std::ofstream(folder_.path() / "config.json") << json.dump();
  }
  std::string folder() const { return folder_.path().string(); }

 private:
  TemporaryFolder folder_;
};

nlohmann::json decoder(const std::string& type) {
  return {{"model_type", type},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 16},
          {"vocab_size", 101},
          {"max_position_embeddings", 128},
          {"rms_norm_eps", 1e-6},
          {"sliding_window", 16},
          {"query_pre_attn_scalar", 16},
          {"tie_word_embeddings", type != "llama"}};
}

TEST(RandomCheckpoint, EveryDecoderLoadsAndGivesNumbers) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "gemma3_text"}) {
    Config config(decoder(type));
    const auto checkpoint = Checkpoint::random(config.folder());
    auto model = load_decoder(context(), checkpoint, Precision::kExact);
    KvCache cache(context(), model->config(), 1, 32);
    Step step;
    step.tokens = {1, 2, 3}, step.positions = {0, 1, 2}, step.slots = {0, 1, 2};
    step.first_tokens = {0, 3}, step.lengths = {3}, step.block_table = {0}, step.table_width = 1,
    step.logit_rows = {2};
    std::vector<float> logits(101);
    model->forward(step, cache, runtime::DevicePointer(logits.data()));
    for (float logit : logits) ASSERT_TRUE(std::isfinite(logit)) << type;
    EXPECT_GT(*std::ranges::max_element(logits) - *std::ranges::min_element(logits), 1e-3) << type;
  }
}

TEST(RandomCheckpoint, BertLoadsAndGivesNumbers) {
  Config config({{"model_type", "bert"},
                 {"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"vocab_size", 101},
                 {"max_position_embeddings", 32}});
  const auto checkpoint = Checkpoint::random(config.folder() + "/config.json");
  auto model = load_encoder(context(), checkpoint, Precision::kExact);
  const auto rows = model->forward({{1, 2, 3}, {0, 0, 0}, {0, 3}});
  ASSERT_EQ(rows.size(), 3u * 64);
  for (float v : rows) ASSERT_TRUE(std::isfinite(v));
}

TEST(RandomCheckpoint, RefusesWhatItCannotMake) {
  EXPECT_THAT(error_of("Qwen9"),
              testing::AllOf(HasSubstr("Qwen9: there is no such configuration"), HasSubstr("Llama-3.1-8B")));
  Config other(nlohmann::json::object({{"model_type", "resnet"}})),
      none(nlohmann::json::object({{"hidden_size", 64}})), list(nlohmann::json::array());
  EXPECT_THAT(
      error_of(other.folder()),
      HasSubstr("model_type: the tensors of 'resnet' are not known; random weights are made for llama"));
  EXPECT_THAT(error_of(none.folder()), HasSubstr("config.json: model_type: is missing"));
  EXPECT_THAT(error_of(list.folder()), HasSubstr("model_type: is missing"));
  for (auto [key, value] : {std::pair<const char*, nlohmann::json>{"hidden_size", -1},
                            {"vocab_size", 1e11},
                            {"num_hidden_layers", "2"},
                            {"num_attention_heads", 0},
                            {"tie_word_embeddings", "yes"},
                            {"hidden_size", nullptr}}) {
    auto json = decoder("llama");
    json[key] = value;
    Config config(json);
    EXPECT_THAT(error_of(config.folder()), HasSubstr("config.json")) << key;
  }
}

}  // namespace
}  // namespace rose::models
