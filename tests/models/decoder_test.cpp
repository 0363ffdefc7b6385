// Every decoder against a plain forward pass in double precision, on small random checkpoints.
#include "models/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "decoder_runner.h"
#include "ir/small_float.h"
#include "models/llama.h"
#include "tiny_decoder.h"
#include "weights/error.h"
#include "weights/writer.h"

namespace rose::models {
namespace {

std::vector<int32_t> some_tokens(int64_t count, int64_t vocab, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(static_cast<int32_t>((seed >> 33) % static_cast<uint64_t>(vocab)));
  }
  return tokens;
}

// On GPUs, activations and weights are rounded to bf16: about twelve roundings of a layer, each of a random
// sign and of half a unit at most, add up as the root of their number; the factor is for their growth on the
// way. On x86, f32 against double: each sum of n terms errs by at most n roundings of its terms, layer after
// layer; norms keep rows at about one, and an error of a row grows at most a few times in each part.
double tolerance(const TinyDecoder& tiny, const std::vector<double>& logits) {
  double largest = 0;
  for (double l : logits) largest = std::max(largest, std::abs(l));
  if (test_compute().gpu)
    return 6 * ir::unit_roundoff(test_compute().dtype) * std::sqrt(12.0 * static_cast<double>(tiny.layers)) *
           largest;
  double terms = static_cast<double>(tiny.layers * (4 * tiny.hidden + tiny.intermediate + 100) + tiny.hidden);
  return 4 * terms * std::numeric_limits<float>::epsilon() / 2 * largest;
}

void expect_near(const std::vector<std::vector<float>>& got, const std::vector<double>& want,
                 size_t first_row, double allowed, const std::string& what) {
  size_t vocab = got.at(0).size();
  double worst = 0;
  for (size_t r = 0; r < got.size(); ++r)
    for (size_t i = 0; i < vocab; ++i) {
      double difference = std::abs(got[r][i] - want[(first_row + r) * vocab + i]);
      worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
    }
  EXPECT_LE(worst, allowed) << what;
}

void check(const TinyDecoder& tiny, const std::filesystem::path& path, const std::string& what,
           double slack = 1) {
  auto checkpoint = Checkpoint::open(path);
  auto decoder = load_decoder(model_context(), checkpoint, Precision::kExact);
  Runner runner(*decoder, 16);
  auto first = some_tokens(75, tiny.vocab, 1), second = some_tokens(40, tiny.vocab, 2);
  auto want = tiny.logits(first), other = tiny.logits(second);
  double allowed = slack * tolerance(tiny, want);
  auto part = [](const std::vector<int32_t>& all, size_t begin, size_t end) {
    return std::vector<int32_t>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                all.begin() + static_cast<std::ptrdiff_t>(end));
  };
  // A prompt alone, its rest beside a second prompt, then single tokens of both, then of one: several, so
  // that a device that records steps of equal shape replays them too.
  expect_near(runner.feed({{0, part(first, 0, 33)}}), want, 0, allowed, what + " prompt");
  auto both = runner.feed({{0, part(first, 33, 70)}, {1, part(second, 0, 39)}});
  expect_near({both.begin(), both.begin() + 37}, want, 33, allowed, what + " continued prompt");
  expect_near({both.begin() + 37, both.end()}, other, 0, allowed, what + " second prompt");
  both = runner.feed({{1, {second[39]}}, {0, {first[70]}}});
  expect_near({both.begin(), both.begin() + 1}, other, 39, allowed, what + " second's step");
  expect_near({both.begin() + 1, both.end()}, want, 70, allowed, what + " first's step");
  for (size_t i = 71; i < 75; ++i)
    expect_near(runner.feed({{0, {first[i]}}}), want, i, allowed, what + fmt::format(" step {}", i));
}

TinyDecoder tiny(const std::string& type) {
  TinyDecoder t;
  t.type = type;
  if (type == "mistral") t.window = 20, t.tied = false;
  if (type == "qwen2") t.qkv_bias = true, t.q_heads = 6, t.kv_heads = 1;
  if (type == "qwen3") t.qk_norm = true, t.head_dim = 32, t.rope_base = 1e6;
  if (type == "gemma3_text")
    t.qk_norm = true, t.layers = 4, t.window = 16, t.global_every = 2, t.rope_base = 1e6, t.epsilon = 1e-6;
  t.randomise(7);
  return t;
}

class Decoders : public testing::TestWithParam<const char*> {};

TEST_P(Decoders, SafetensorsMatchThePlainForwardPass) {
  TemporaryFolder folder;
  auto t = tiny(GetParam());
  check(t, t.write_folder(folder.path() / "model"), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, Decoders, testing::Values("llama", "mistral", "qwen2", "qwen3", "gemma3_text"),
                         [](const auto& info) { return std::string(info.param); });

TEST(LlamaDecoders, TakeBiasesWhereverACheckpointHasThem) {
  TemporaryFolder folder;
  auto t = tiny("llama");
  t.qkv_bias = t.all_biases = true;
  t.tensors.clear(), t.randomise(9);
  check(t, t.write_folder(folder.path() / "model"), "llama with biases");
}

// What newer versions of transformers write instead of rope_theta and sliding_window_pattern.
TEST(GemmaDecoders, ReadRopeParametersAndLayerTypes) {
  TemporaryFolder folder;
  auto t = tiny("gemma3_text");
  auto path = t.write_folder(folder.path() / "model");
  auto config = read_json(path / "config.json");
  for (const char* key : {"rope_theta", "rope_local_base_freq", "sliding_window_pattern"}) config.erase(key);
  config["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  config["rope_parameters"] = {{"full_attention", {{"rope_theta", 1e6}, {"rope_type", "default"}}},
                               {"sliding_attention", {{"rope_theta", 10000.0}, {"rope_type", "default"}}}};
  std::ofstream(path / "config.json") << config.dump();
  check(t, path, "gemma3 in new words");
  config["layer_types"] = {"sliding_attention", "linear_attention", "sliding_attention", "full_attention"};
  std::ofstream(path / "config.json") << config.dump();
  EXPECT_THROW(load_decoder(model_context(), Checkpoint::open(path), Precision::kExact), ModelError);
}

TEST(GgufDecoders, MatchThePlainForwardPass) {
  for (const char* type : {"llama", "qwen2", "qwen3"})
    for (auto format : {weights::Format::kF32, weights::Format::kQ8_0, weights::Format::kQ4_1}) {
      TemporaryFolder folder;
      auto t = tiny(type);
      auto file = t.write_gguf(folder.path() / "model.gguf", format);
      check(t, file, std::string(type) + " " + std::string(weights::name(format)));
    }
}

// As the mixtures of K-quants have it: q and k in one format, v in another, and a width that fills no panel.
TEST(GgufDecoders, MatricesOfOneLayerInDifferentFormats) {
  using weights::Format;
  const std::map<std::string, Format> mixtures[] = {
      {{"v_proj.weight", Format::kQ6_K},
       {"up_proj.weight", Format::kQ5_0},
       {"down_proj.weight", Format::kQ3_K}},
      {{"q_proj.weight", Format::kF16}, {"k_proj.weight", Format::kBF16}, {"gate_proj.weight", Format::kF32}},
      {{"k_proj.weight", Format::kQ4_0},
       {"up_proj.weight", Format::kMXFP4},
       {"v_proj.weight", Format::kF32}}};
  for (const auto& mixture : mixtures) {
    TemporaryFolder folder;
    auto t = tiny("llama");
    t.hidden = 256, t.intermediate = 512, t.head_dim = 24, t.kv_heads = 1;
    t.tensors.clear(), t.randomise(11);
    auto file = t.write_gguf(folder.path() / "model.gguf", Format::kQ8_0, mixture);
    check(t, file, mixture.rbegin()->first + " in " + std::string(weights::name(mixture.rbegin()->second)));
  }
}

TEST(GgufDecoders, GemmaHoldsNormsWithOneAdded) {
  TemporaryFolder folder;
  auto t = tiny("gemma3_text");
  t.layers = 6, t.global_every = 6;  // what files without the pattern mean
  t.tensors.clear(), t.randomise(3);
  check(t, t.write_gguf(folder.path() / "model.gguf"), "gemma3");
}

// Activations in 8 bits move the logits, but not far.
TEST(FastProducts, StayCloseToTheExactOnes) {
  TemporaryFolder folder;
  auto t = tiny("llama");
  t.hidden = 256, t.intermediate = 512;
  t.tensors.clear(), t.randomise(5);
  auto checkpoint = Checkpoint::open(
      t.write_gguf(folder.path() / "model.gguf", weights::Format::kQ4_1,
                   {{"v_proj.weight", weights::Format::kQ6_K}, {"up_proj.weight", weights::Format::kQ8_0}}));
  auto decoder = load_decoder(model_context(), checkpoint, Precision::kFast);
  Runner runner(*decoder, 16);
  auto tokens = some_tokens(50, t.vocab, 1);
  auto want = t.logits(tokens);
  auto got = runner.feed({{0, tokens}});
  double dot = 0, a = 0, b = 0;
  for (size_t r = 0; r < got.size(); ++r)
    for (size_t i = 0; i < got[r].size(); ++i) {
      double x = got[r][i], y = want[r * got[r].size() + i];
      dot += x * y, a += x * x, b += y * y;
    }
  // A rounding to 8 bits errs by 0.3 % of a block's typical element (1/254 of the largest, which is 2 to 3
  // times that, evenly spread); some ten of them in a row, independent, make 1 %, and the cosine of that is 1
  // - 0.5e-4.
  EXPECT_GE(dot / std::sqrt(a * b), 1 - 2e-4);
}

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(BrokenCheckpoints, AreRefusedByFileAndTensor) {
  TemporaryFolder folder;
  auto refuse = [&](TinyDecoder t, const std::string& name, std::initializer_list<const char*> words) {
    auto path = t.write_folder(folder.path() / name);
    std::string message =
        message_of([&] { load_decoder(model_context(), Checkpoint::open(path), Precision::kExact); });
    for (const char* word : words) EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  auto t = tiny("llama");
  t.tensors.erase("model.layers.1.mlp.up_proj.weight");
  refuse(t, "missing", {"missing/model.safetensors", "model.layers.1.mlp.up_proj.weight"});
  t = tiny("llama");
  t.shapes["model.layers.0.self_attn.k_proj.weight"] = {64, 32};
  refuse(t, "shape", {"model.layers.0.self_attn.k_proj.weight", "[32, 64]", "[64, 32]"});
  t = tiny("llama");
  t.tensors["model.norm.weight"][5] = NAN;
  refuse(t, "nan", {"model.safetensors", "model.norm.weight"});
  t = tiny("llama");
  t.kv_heads = 3;
  refuse(t, "heads", {"key heads", "3"});
  t = tiny("llama");
  t.type = "nonesuch";
  refuse(t, "type", {"nonesuch", "llama"});
}

TEST(BrokenCheckpoints, ConfigurationsAreChecked) {
  TemporaryFolder folder;
  auto t = tiny("llama");
  auto path = t.write_folder(folder.path() / "model");
  auto with = [&](const char* text) {
    std::ofstream(path / "config.json") << text;
    return message_of([&] { load_decoder(model_context(), Checkpoint::open(path), Precision::kExact); });
  };
  EXPECT_NE(with("{").find("config.json: is not valid JSON"), std::string::npos);
  EXPECT_NE(with("[]").find("config.json: expected a JSON object, found array"), std::string::npos);
  EXPECT_NE(with(R"({"model_type": "llama"})").find("num_hidden_layers: is missing"), std::string::npos);
  EXPECT_NE(with(R"({"model_type": "llama", "num_hidden_layers": 1.5})").find("integer"), std::string::npos);
  EXPECT_NE(with(R"({"model_type": "llama", "num_hidden_layers": "2"})").find("expected a number"),
            std::string::npos);
  std::filesystem::remove(path / "config.json");
  EXPECT_NE(message_of([&] { Checkpoint::open(path); }).find("config.json"), std::string::npos);
}

}  // namespace
}  // namespace rose::models
