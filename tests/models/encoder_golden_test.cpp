// Every encoder architecture against transformers: small random checkpoints and what it computed with them
// (tests/models/make_encoder_goldens.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "decoder_runner.h"
#include "ir/small_float.h"
#include "models/encoder.h"
#include "models/text_head.h"
#include "models/vocabulary.h"
#include "runtime/compile.h"
#include "source_folder.h"
#include "tiny_decoder.h"
#include "weights/dequantize.h"
#include "weights/writer.h"

namespace rose::models {
namespace {

const std::filesystem::path kData = source_folder() / "tests/models/data/encoders";

nlohmann::json golden_of(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(kData / name / "golden.json"));
}

// Both sides sum in f32: a layer's longest chain has 4 products of `hidden` terms, two of the intermediate
// size and two sums over up to 40 tokens, each term wrong by up to 2^-24 of values of about one. Such errors
// add in quadrature, norms keep values at about one, and values are up to four of those. The file has seven
// digits. On GPUs weights and activations are bf16: see decoder_test.cpp.
double tolerance(const EncoderConfig& c) {
  if (test_compute().gpu)
    return 6 * ir::unit_roundoff(test_compute().dtype) * std::sqrt(12.0 * static_cast<double>(c.layers)) * 4;
  auto terms = static_cast<double>(4 * c.hidden + 2 * c.intermediate + 80);
  return static_cast<double>(c.layers) * std::sqrt(terms) * std::ldexp(1, -24) * 4 * 2 + 1e-6;
}

class EncoderGolden : public testing::TestWithParam<const char*> {};

TEST_P(EncoderGolden, HiddenStatesEqualTransformers) {
  auto golden = golden_of(GetParam());
  auto& context = model_context();
  auto checkpoint = Checkpoint::open(kData / GetParam());
  auto encoder = load_encoder(context, checkpoint, Precision::kExact);
  const auto width = static_cast<size_t>(encoder->config().hidden);
  EncoderStep step;  // all texts at once
  Vocabulary vocabulary(checkpoint);
  for (size_t t = 0; t < golden["texts"].size(); ++t) {
    auto ids = golden["ids"][t].get<std::vector<int32_t>>();
    auto ours =
        vocabulary.tokenizer().encode(golden["texts"][t].get<std::string>(), {.max_length = ids.size()});
    EXPECT_TRUE(std::equal(ours.begin(), ours.end(), ids.begin(), ids.end())) << golden["texts"][t];
    step.tokens.insert(step.tokens.end(), ids.begin(), ids.end());
    step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
  }
  step.types.assign(step.tokens.size(), 0);
  auto rows = encoder->forward(step);
  double worst = 0;
  for (size_t t = 0; t < golden["texts"].size(); ++t)
    for (size_t end = 0; end < 2; ++end) {  // the first and the last token
      auto want = golden["hidden"][t][end].get<std::vector<double>>();
      auto row = static_cast<size_t>(end ? step.first_tokens[t + 1] - 1 : step.first_tokens[t]);
      for (size_t e = 0; e < width; ++e) worst = std::max(worst, std::abs(want[e] - rows[row * width + e]));
    }
  EXPECT_LE(worst, tolerance(encoder->config()));
  RecordProperty("worst", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(All, EncoderGolden,
                         testing::Values("bert", "distilbert", "roberta", "xlm-roberta", "modernbert",
                                         "modernbert-biased"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// A copy of a model's folder in which a test breaks something.
class Broken {
 public:
  explicit Broken(const std::string& name) {
    std::filesystem::copy(
        kData / name, folder_.path(),
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    config_ = nlohmann::json::parse(std::ifstream(folder_.path() / "config.json"));
  }
  Broken& set(const char* key, const nlohmann::json& value) {
    config_[key] = value;
    std::ofstream(folder_.path() / "config.json") << config_.dump();
    return *this;
  }
  // Writes the tensors anew, each as `change` returns it: no tensor to leave it out.
  void tensors(const std::function<bool(const weights::Tensor&, std::vector<float>&, std::vector<uint64_t>&)>&
                   change) {
    auto store = Checkpoint::open(folder_.path()).tensors();
    weights::SafetensorsWriter writer;
    std::vector<std::vector<float>> all;
    all.reserve(store.size());
    for (const auto& tensor : store) {
      auto& values = all.emplace_back(weights::dequantize(tensor));
      auto shape = tensor.shape;
      if (change(tensor, values, shape))
        writer.add_tensor({tensor.name, weights::Format::kF32, shape, std::as_bytes(std::span(values))});
    }
    writer.write(folder_.path() / "new.safetensors");
    std::filesystem::rename(folder_.path() / "new.safetensors", folder_.path() / "model.safetensors");
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  nlohmann::json config_;
};

// Loading says what is wrong: all the words are in the message.
void expect_refusal(const Broken& model, std::initializer_list<const char*> words) {
  auto& context = model_context();
  try {
    auto checkpoint = Checkpoint::open(model.path());
    auto encoder = load_encoder(context, checkpoint, Precision::kExact);
    if (is_classifier(checkpoint))
      load_classifier(context, checkpoint, encoder->config(), read_classifier_config(checkpoint));
    ADD_FAILURE() << "was accepted; expected a message with " << *words.begin();
  } catch (const std::exception& error) {
    for (const char* word : words)
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << word << " is not in: " << error.what();
  }
}

TEST(EncoderErrors, NameTheFieldOfTheConfiguration) {
  expect_refusal(Broken("bert").set("model_type", "albert"),
                 {"config.json", "model_type", "albert", "modernbert"});
  expect_refusal(Broken("bert").set("num_attention_heads", 5), {"config.json", "num_attention_heads", "5"});
  expect_refusal(Broken("bert").set("num_hidden_layers", -1), {"config.json", "num_hidden_layers", "-1"});
  expect_refusal(Broken("bert").set("hidden_size", "wide"), {"config.json", "hidden_size"});
  expect_refusal(Broken("bert").set("hidden_act", "mish"), {"config.json", "hidden_act", "mish"});
  expect_refusal(Broken("bert").set("position_embedding_type", "relative_key"), {"position_embedding_type"});
  expect_refusal(Broken("distilbert").set("n_heads", 3), {"n_heads"});
  expect_refusal(Broken("roberta").set("pad_token_id", 1000), {"pad_token_id", "1000"});
  expect_refusal(Broken("modernbert").set("layer_types", {"full_attention"}), {"layer_types"});
  expect_refusal(Broken("modernbert").set("local_attention", 0), {"local_attention"});
  expect_refusal(Broken("modernbert").set("rope_parameters", {{"full_attention", {{"rope_type", "yarn"}}}}),
                 {"rope_parameters", "yarn"});
  expect_refusal(Broken("modernbert-classifier").set("classifier_pooling", "max"),
                 {"classifier_pooling", "max"});
  expect_refusal(Broken("bert-classifier").set("id2label", {{"0", "a"}, {"2", "c"}}), {"id2label", "1"});
  expect_refusal(Broken("bert-classifier").set("problem_type", "guess"), {"problem_type", "guess"});
  expect_refusal(Broken("bert-classifier").set("architectures", {"BertForTokenClassification"}),
                 {"architectures", "ForTokenClassification"});
}

TEST(EncoderErrors, NameTheTensor) {
  struct Case {
    const char *model, *tensor;
  };
  for (auto [model, tensor] :
       {Case{"bert", "encoder.layer.1.output.dense.bias"},
        Case{"bert-classifier", "bert.pooler.dense.weight"}, Case{"bert-classifier", "classifier.weight"},
        Case{"distilbert-classifier", "pre_classifier.bias"},
        Case{"roberta-classifier", "classifier.out_proj.weight"},
        Case{"modernbert-classifier", "head.norm.weight"}}) {
    std::string name = tensor;
    Broken missing(model), shape(model), nan(model);
    missing.tensors([&](const auto& t, auto&, auto&) { return t.name != name; });
    expect_refusal(missing, {"model.safetensors", tensor});
    shape.tensors([&](const auto& t, auto& values, auto& extents) {
      if (t.name == name) extents[0] -= 1, values.resize(values.size() - values.size() / (extents[0] + 1));
      return true;
    });
    expect_refusal(shape, {"model.safetensors", tensor});
    nan.tensors([&](const auto& t, auto& values, auto&) {
      if (t.name == name) values.back() = std::nanf("");
      return true;
    });
    expect_refusal(nan, {"model.safetensors", tensor});
  }
}

TEST(EncoderErrors, TextsBeyondTheTables) {
  auto& context = model_context();
  for (const char* name : {"bert", "roberta", "modernbert"}) {
    auto encoder = load_encoder(context, Checkpoint::open(kData / name), Precision::kExact);
    auto run = [&](size_t length, int32_t id) {
      EncoderStep step;
      step.tokens.assign(length, id), step.types.assign(length, 0);
      step.first_tokens.push_back(static_cast<int32_t>(length));
      return encoder->forward(step);
    };
    auto most = static_cast<size_t>(encoder->config().max_tokens);
    EXPECT_EQ(run(most, 5).size(), most * static_cast<size_t>(encoder->config().hidden)) << name;
    EXPECT_THROW(run(most + 1, 5), ModelError) << name;
    EXPECT_THROW(run(2, static_cast<int32_t>(encoder->config().vocab)), ModelError) << name;
    EXPECT_THROW(run(2, -1), ModelError) << name;
  }
}

}  // namespace
}  // namespace rose::models
