// BERT against a plain forward pass in double precision, and pooling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/encoder.h"
#include "models/sentence.h"
#include "runtime/compile.h"
#include "tiny_decoder.h"
#include "weights/writer.h"

namespace rose::models {
namespace {

using Vector = std::vector<double>;

constexpr size_t kHidden = 48, kInner = 80, kHeads = 3, kVocab = 50, kPositions = 70, kLayers = 2;

struct TinyBert {
  std::map<std::string, std::vector<float>> tensors;
  std::map<std::string, std::vector<uint64_t>> shapes;

  TinyBert() {
    uint64_t state = 11;
    auto add = [&](const std::string& name, std::vector<uint64_t> shape, double scale, double center) {
      uint64_t count = 1;
      for (auto e : shape) count *= e;
      for (uint64_t i = 0; i < count; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        tensors[name].push_back(static_cast<float>(
            center + scale * (static_cast<double>(state >> 11) / 9007199254740992.0 * 2 - 1)));
      }
      shapes[name] = std::move(shape);
    };
    auto dense = [&](const std::string& name, size_t n, size_t k) {
      add(name + ".weight", {n, k}, std::sqrt(3.0 / static_cast<double>(k)), 0),
          add(name + ".bias", {n}, 0.2, 0);
    };
    auto norm = [&](const std::string& name) {
      add(name + ".weight", {kHidden}, 0.3, 1), add(name + ".bias", {kHidden}, 0.3, 0);
    };
    add("embeddings.word_embeddings.weight", {kVocab, kHidden}, 1, 0);
    add("embeddings.position_embeddings.weight", {kPositions, kHidden}, 1, 0);
    add("embeddings.token_type_embeddings.weight", {2, kHidden}, 1, 0);
    norm("embeddings.LayerNorm");
    for (size_t i = 0; i < kLayers; ++i) {
      std::string layer = "encoder.layer." + std::to_string(i) + ".";
      for (const char* part : {"query", "key", "value"})
        dense(layer + "attention.self." + part, kHidden, kHidden);
      dense(layer + "attention.output.dense", kHidden, kHidden), norm(layer + "attention.output.LayerNorm");
      dense(layer + "intermediate.dense", kInner, kHidden), dense(layer + "output.dense", kHidden, kInner),
          norm(layer + "output.LayerNorm");
    }
  }

  void write(const std::filesystem::path& folder, const std::string& prefix) const {
    std::filesystem::create_directories(folder);
    nlohmann::json config{{"model_type", "bert"},
                          {"num_hidden_layers", kLayers},
                          {"hidden_size", kHidden},
                          {"intermediate_size", kInner},
                          {"num_attention_heads", kHeads},
                          {"vocab_size", kVocab},
                          {"max_position_embeddings", kPositions},
                          {"type_vocab_size", 2},
                          {"layer_norm_eps", 1e-12},
                          {"hidden_act", "gelu"}};
    std::ofstream(folder / "config.json") << config.dump();
    weights::SafetensorsWriter writer;
    for (const auto& [name, values] : tensors)
      writer.add_tensor(
          {prefix + name, weights::Format::kF32, shapes.at(name), std::as_bytes(std::span(values))});
    writer.write(folder / "model.safetensors");
  }

  Vector project(const Vector& x, const std::string& name) const {
    const auto &w = tensors.at(name + ".weight"), &b = tensors.at(name + ".bias");
    Vector out(b.begin(), b.end());
    for (size_t i = 0; i < out.size(); ++i)
      for (size_t j = 0; j < x.size(); ++j) out[i] += double{w[i * x.size() + j]} * x[j];
    return out;
  }
  Vector norm(const Vector& x, const std::string& name) const {
    double mean = 0, variance = 0, n = static_cast<double>(x.size());
    for (double v : x) mean += v / n;
    for (double v : x) variance += (v - mean) * (v - mean) / n;
    Vector out(x.size());
    for (size_t i = 0; i < x.size(); ++i)
      out[i] = (x[i] - mean) / std::sqrt(variance + 1e-12) * tensors.at(name + ".weight")[i] +
               tensors.at(name + ".bias")[i];
    return out;
  }
  static void add(Vector& x, const Vector& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  std::vector<Vector> forward(const std::vector<int32_t>& tokens, const std::vector<int32_t>& types) const {
    std::vector<Vector> x;
    for (size_t t = 0; t < tokens.size(); ++t) {
      Vector row(kHidden);
      for (size_t e = 0; e < kHidden; ++e)
        row[e] = double{tensors.at(
                     "embeddings.word_embeddings.weight")[static_cast<size_t>(tokens[t]) * kHidden + e]} +
                 tensors.at("embeddings.position_embeddings.weight")[t * kHidden + e] +
                 tensors.at(
                     "embeddings.token_type_embeddings.weight")[static_cast<size_t>(types[t]) * kHidden + e];
      x.push_back(norm(row, "embeddings.LayerNorm"));
    }
    const size_t d = kHidden / kHeads, n = x.size();
    for (size_t i = 0; i < kLayers; ++i) {
      std::string layer = "encoder.layer." + std::to_string(i) + ".", self = layer + "attention.self.";
      std::vector<Vector> q, k, v;
      for (const auto& row : x)
        q.push_back(project(row, self + "query")), k.push_back(project(row, self + "key")),
            v.push_back(project(row, self + "value"));
      for (size_t t = 0; t < n; ++t) {
        Vector attended(kHidden);
        for (size_t head = 0; head < kHeads; ++head) {
          Vector weights(n);
          double total = 0;
          for (size_t j = 0; j < n; ++j) {
            double score = 0;
            for (size_t e = head * d; e < (head + 1) * d; ++e) score += q[t][e] * k[j][e];
            total += weights[j] = std::exp(score / std::sqrt(static_cast<double>(d)));
          }
          for (size_t j = 0; j < n; ++j)
            for (size_t e = head * d; e < (head + 1) * d; ++e) attended[e] += weights[j] / total * v[j][e];
        }
        add(x[t], project(attended, layer + "attention.output.dense"));
        x[t] = norm(x[t], layer + "attention.output.LayerNorm");
        Vector inner = project(x[t], layer + "intermediate.dense");
        for (double& e : inner) e = e / 2 * (1 + std::erf(e / std::sqrt(2.0)));
        add(x[t], project(inner, layer + "output.dense"));
        x[t] = norm(x[t], layer + "output.LayerNorm");
      }
    }
    return x;
  }
};

std::unique_ptr<runtime::Context> open() {
  runtime::ContextOptions options;
  options.device = "x86";
  options.cache.disk = false;
  options.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
  return runtime::open_context(std::move(options));
}

// Tokens of a text of this length, and segments that change halfway.
std::pair<std::vector<int32_t>, std::vector<int32_t>> text(size_t length) {
  std::pair<std::vector<int32_t>, std::vector<int32_t>> t;
  for (size_t i = 0; i < length; ++i)
    t.first.push_back(static_cast<int32_t>((i * 17 + length) % kVocab)), t.second.push_back(i > length / 2);
  return t;
}

TEST(Bert, MatchesThePlainForwardPassWhateverSharesTheStep) {
  TinyBert tiny;
  auto context = open();
  for (const char* prefix : {"", "bert."}) {
    TemporaryFolder folder;
    tiny.write(folder.path(), prefix);
    auto encoder = load_encoder(*context, Checkpoint::open(folder.path()), Precision::kExact);
    EncoderStep step;
    std::vector<size_t> lengths = {5, 1, 70, 33};
    for (size_t length : lengths) {
      auto [tokens, types] = text(length);
      step.tokens.insert(step.tokens.end(), tokens.begin(), tokens.end());
      step.types.insert(step.types.end(), types.begin(), types.end());
      step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
    }
    auto got = encoder->forward(step);
    // Each layer sums a few hundred terms in f32; its norms keep rows at about one.
    const double allowed = 4 * kLayers * (4 * kHidden + kInner + kPositions) * 6e-8 * 3;
    double worst = 0;
    size_t at = 0;
    for (size_t length : lengths) {
      auto [tokens, types] = text(length);
      EncoderStep alone;
      alone.tokens = tokens, alone.types = types, alone.first_tokens.push_back(static_cast<int32_t>(length));
      auto single = encoder->forward(alone);
      EXPECT_TRUE(
          std::equal(single.begin(), single.end(), got.begin() + static_cast<std::ptrdiff_t>(at * kHidden)))
          << "a text of " << length << " tokens depends on its company";
      for (const auto& row : tiny.forward(tokens, types)) {
        for (size_t e = 0; e < kHidden; ++e)
          worst = std::max(worst, std::abs(row[e] - got[at * kHidden + e]));
        ++at;
      }
    }
    EXPECT_LE(worst, allowed) << prefix;
  }
}

TEST(Bert, RefusesIdsAndLengthsBeyondItsTables) {
  TinyBert tiny;
  auto context = open();
  TemporaryFolder folder;
  tiny.write(folder.path(), "");
  auto encoder = load_encoder(*context, Checkpoint::open(folder.path()), Precision::kExact);
  auto run = [&](std::vector<int32_t> tokens, std::vector<int32_t> types) {
    EncoderStep step;
    step.first_tokens.push_back(static_cast<int32_t>(tokens.size()));
    step.tokens = std::move(tokens), step.types = std::move(types);
    return encoder->forward(step);
  };
  EXPECT_THROW(run({static_cast<int32_t>(kVocab)}, {0}), ModelError);
  EXPECT_THROW(run({-1}, {0}), ModelError);
  EXPECT_THROW(run({1}, {2}), ModelError);
  EXPECT_THROW(run(std::vector<int32_t>(kPositions + 1, 1), std::vector<int32_t>(kPositions + 1, 0)),
               ModelError);
}

TEST(Sentence, PoolsAsTheNameSays) {
  std::vector<float> rows = {1, 2, 3, 6, -4, 10};  // three tokens of two elements
  EXPECT_EQ(pool(Pooling::kMean, rows, 2, false), (std::vector<float>{0, 6}));
  EXPECT_EQ(pool(Pooling::kCls, rows, 2, false), (std::vector<float>{1, 2}));
  EXPECT_EQ(pool(Pooling::kLast, rows, 2, false), (std::vector<float>{-4, 10}));
  EXPECT_EQ(pool(Pooling::kMax, rows, 2, false), (std::vector<float>{3, 10}));
  EXPECT_EQ(pool(Pooling::kMean, rows, 2, true), (std::vector<float>{0, 1}));
  EXPECT_EQ(pool(Pooling::kWeightedMean, rows, 2, false), (std::vector<float>{-5.0f / 6, 44.0f / 6}));
  EXPECT_FLOAT_EQ(pool(Pooling::kMeanSqrt, rows, 2, false)[1], static_cast<float>(18 / std::sqrt(3.0)));
  // Without the first token, which nevertheless has its weight's place.
  EXPECT_EQ(pool(Pooling::kMean, rows, 2, false, 1), (std::vector<float>{-0.5, 8}));
  EXPECT_EQ(pool(Pooling::kCls, rows, 2, false, 1), (std::vector<float>{3, 6}));
  EXPECT_EQ(pool(Pooling::kMax, rows, 2, false, 2), (std::vector<float>{-4, 10}));
  EXPECT_FLOAT_EQ(pool(Pooling::kWeightedMean, rows, 2, false, 1)[0], -6.0f / 5);
}

TEST(Sentence, ReadsTheModelsOwnFiles) {
  TinyBert tiny;
  TemporaryFolder folder;
  tiny.write(folder.path(), "");
  auto put = [&](const char* name, const char* text) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    std::ofstream(folder.path() / name) << text;
  };
  put("modules.json", R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
    {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}, {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}])");
  put("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  put("sentence_bert_config.json", R"({"max_seq_length": 33})");
  put("config_sentence_transformers.json",
      R"({"prompts": {"query": "Q: "}, "default_prompt_name": "query"})");
  auto config = read_sentence_config(Checkpoint::open(folder.path()));
  EXPECT_EQ(config.pooling, std::vector{Pooling::kCls});
  EXPECT_TRUE(config.normalize);
  EXPECT_EQ(config.max_tokens, 33);
  EXPECT_EQ(config.prompts.at(config.default_prompt), "Q: ");
  // Several modes are put together in the library's order, whatever theirs in the file.
  put("1_Pooling/config.json",
      R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true, "include_prompt": false})");
  config = read_sentence_config(Checkpoint::open(folder.path()));
  EXPECT_EQ(config.pooling, (std::vector{Pooling::kCls, Pooling::kMean}));
  EXPECT_FALSE(config.include_prompt);
  put("1_Pooling/config.json", R"({"pooling_mode": ["weightedmean", "lasttoken"]})");
  config = read_sentence_config(Checkpoint::open(folder.path()));
  EXPECT_EQ(config.pooling, (std::vector{Pooling::kWeightedMean, Pooling::kLast}));
}

// What a malformed or unsupported file must answer: its name and the field.
TEST(Sentence, NamesFileAndFieldOfWhatItCannotRead) {
  TinyBert tiny;
  TemporaryFolder folder;
  tiny.write(folder.path(), "");
  auto put = [&](const char* name, const char* text) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    std::ofstream(folder.path() / name) << text;
  };
  auto expect = [&](const char* what, const char* file, const char* field) {
    try {
      read_sentence_config(Checkpoint::open(folder.path()));
      ADD_FAILURE() << what << " was accepted";
    } catch (const ModelError& error) {
      EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
    }
  };
  const char* pooling = R"([{"type": "x.Pooling", "path": "1_Pooling"}])";
  const char* dense = R"([{"type": "x.Dense", "path": "2_Dense"}])";
  put("modules.json", R"({"type": "x.Pooling"})"), expect("no list", "modules.json", "list");
  put("modules.json", R"([{"type": "x.CNN", "path": ""}])"), expect("a CNN", "modules.json", "CNN");
  put("modules.json", R"([{"type": "x.Pooling", "path": "../other"}])"), expect("..", "modules.json", "path");
  put("modules.json", R"([{"type": 7}])"), expect("a number", "modules.json", "type");
  put("modules.json", pooling), expect("no file", "1_Pooling", "cannot be read");
  put("1_Pooling/config.json", R"({"pooling_mode": "median"})"),
      expect("a median", "1_Pooling/config.json", "pooling_mode");
  put("1_Pooling/config.json", R"({"pooling_mode_cls_token": 1})"),
      expect("a number", "1_Pooling/config.json", "pooling_mode_cls_token");
  put("1_Pooling/config.json", R"({"pooling_mode_cls_token": false})"),
      expect("no mode", "1_Pooling/config.json", "pooling_mode");
  put("modules.json", dense);
  put("2_Dense/config.json", R"({"out_features": 3})"),
      expect("no size", "2_Dense/config.json", "in_features");
  put("2_Dense/config.json",
      R"({"in_features": 3, "out_features": 3, "activation_function": "torch.Exotic"})"),
      expect("a function", "2_Dense/config.json", "activation_function");
  put("modules.json", "[]");
  put("sentence_bert_config.json", R"({"max_seq_length": -4})"),
      expect("a length", "sentence_bert_config.json", "max_seq_length");
  put("sentence_bert_config.json", "{}");
  put("config_sentence_transformers.json", R"({"prompts": {}, "default_prompt_name": "q"})"),
      expect("a prompt", "config_sentence_transformers.json", "default_prompt_name");
}

}  // namespace
}  // namespace rose::models
