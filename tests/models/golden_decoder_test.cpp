// Every decoder against what Hugging Face transformers computes for the same weights
// (data/decoders.json, written by make_golden_decoders.py), from safetensors and from GGUF.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <numbers>

#include "decoder_runner.h"
#include "source_folder.h"
#include "tiny_decoder.h"
#include "weights/names.h"
#include "weights/writer.h"

namespace rose::models {
namespace {

using nlohmann::json;

const json& golden() {
  static const json all = json::parse(std::ifstream(source_folder() / "tests/models/data/decoders.json"));
  return all;
}

struct Named {
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

// The twin of `values` in make_golden_decoders.py.
Named make_tensor(const std::string& name, const std::vector<uint64_t>& shape, double norm_center) {
  uint64_t state = 0xCBF29CE484222325u, count = 1;
  for (unsigned char byte : name) state = (state ^ byte) * 0x100000001B3u;
  for (uint64_t extent : shape) count *= extent;
  const bool matrix = shape.size() > 1;
  double scale = matrix ? std::sqrt(3 / static_cast<double>(shape.back())) : 0.3;
  double center = !matrix && name.find("norm") != std::string::npos ? norm_center : 0;
  Named tensor{shape, {}};
  for (uint64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    tensor.values.push_back(
        static_cast<float>(center + scale * (static_cast<double>(state >> 11) / 9007199254740992.0 * 2 - 1)));
  }
  return tensor;
}

std::map<std::string, Named> make_tensors(const json& one) {
  std::map<std::string, Named> tensors;
  for (const auto& [name, shape] : one["tensors"].items())
    tensors[name] = make_tensor(name, shape.get<std::vector<uint64_t>>(), one["norm_center"]);
  return tensors;
}

void write_folder(const std::filesystem::path& folder, const json& config,
                  const std::map<std::string, Named>& tensors) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << config.dump();
  weights::SafetensorsWriter writer;
  for (const auto& [name, t] : tensors)
    writer.add_tensor({name, weights::Format::kF32, t.shape, std::as_bytes(std::span(t.values))});
  writer.write(folder / "model.safetensors");
}

// Rows of q and k of "llama" in GGUF files: reshape(heads, 2, head_dim / 2, columns), swap the middle two.
void permute(Named& t, uint64_t head_dim) {
  const auto columns = t.shape[1], half = head_dim / 2;
  std::vector<float> permuted(t.values.size());
  for (uint64_t row = 0; row < t.shape[0]; ++row) {
    uint64_t head = row / head_dim, side = row % head_dim / half, pair = row % half;
    std::copy_n(&t.values[row * columns], columns, &permuted[(head * head_dim + pair * 2 + side) * columns]);
  }
  t.values = permuted;
}

// What llama.cpp's converter makes of Llama 3's scaling: divisors of the frequencies.
std::vector<float> llama3_divisors(const json& rope, uint64_t dim) {
  std::vector<float> divisors;
  const double factor = rope["factor"], low = rope["low_freq_factor"], high = rope["high_freq_factor"],
               original = rope["original_max_position_embeddings"], base = rope["rope_theta"];
  for (uint64_t i = 0; i < dim; i += 2) {
    double wave = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / static_cast<double>(dim));
    double smooth = (original / wave - low) / (high - low);
    double divisor = wave < original / high  ? 1
                     : wave > original / low ? factor
                                             : 1 / ((1 - smooth) / factor + smooth);
    divisors.push_back(static_cast<float>(divisor));
  }
  return divisors;
}

void write_gguf(const std::filesystem::path& file, const json& config, std::map<std::string, Named> tensors) {
  const std::string type = config["model_type"];
  const std::string arch = type == "mistral" ? "llama" : type == "gemma3_text" ? "gemma3" : type;
  const bool gemma = arch.starts_with("gemma");
  const uint64_t heads = config["num_attention_heads"],
                 head_dim = config.contains("head_dim") ? config["head_dim"].get<uint64_t>()
                                                        : config["hidden_size"].get<uint64_t>() / heads;
  weights::GgufWriter writer;
  writer.add("general.architecture", arch);
  auto integer = [&](const std::string& key, uint64_t value) {
    writer.add(arch + "." + key, static_cast<uint32_t>(value));
  };
  auto real = [&](const std::string& key, double value) {
    writer.add(arch + "." + key, static_cast<float>(value));
  };
  integer("block_count", config["num_hidden_layers"]), integer("embedding_length", config["hidden_size"]);
  integer("feed_forward_length", config["intermediate_size"]), integer("attention.head_count", heads);
  integer("attention.head_count_kv", config["num_key_value_heads"]);
  integer("context_length", config["max_position_embeddings"]);
  integer("attention.key_length", head_dim), integer("attention.value_length", head_dim);
  real("attention.layer_norm_rms_epsilon", config["rms_norm_eps"]);
  if (config.contains("sliding_window") && config["sliding_window"].is_number())
    integer("attention.sliding_window", config["sliding_window"]);
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"})
    if (config.contains(key)) real(key, config[key]);
  json rope = config["rope_parameters"];
  if (rope.contains("full_attention")) rope = rope["full_attention"];
  real("rope.freq_base", rope["rope_theta"]);
  const auto rotary =
      static_cast<uint64_t>(static_cast<double>(head_dim) * rope.value("partial_rotary_factor", 1.0));
  integer("rope.dimension_count", rotary);
  const std::string scaling = rope["rope_type"];
  if (scaling == "linear" || scaling == "yarn")
    writer.add(arch + ".rope.scaling.type", scaling), real("rope.scaling.factor", rope["factor"]);
  if (scaling == "yarn" || scaling == "longrope")
    integer("rope.scaling.original_context_length", rope["original_max_position_embeddings"]);
  auto vector = [&](const std::string& name, std::vector<float> values) {
    tensors[name] = {{values.size()}, std::move(values)};
  };
  if (scaling == "llama3") vector("rope_freqs.weight", llama3_divisors(rope, rotary));
  if (scaling == "longrope")
    vector("rope_factors_short.weight", rope["short_factor"]),
        vector("rope_factors_long.weight", rope["long_factor"]);
  for (auto& [name, t] : tensors) {
    if (gemma && name.ends_with("norm.weight"))
      for (float& v : t.values) v += 1;
    if (arch == "llama" && (name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight")))
      permute(t, head_dim);
    auto gguf = name.starts_with("rope_") ? name : weights::gguf_name(arch, name).value();
    writer.add_tensor({gguf, weights::Format::kF32, t.shape, std::as_bytes(std::span(t.values))});
  }
  writer.write(file);
}

// Two computations in f32 (theirs and ours), each of whose sums of n terms errs by at most n roundings, layer
// after layer; norms keep rows at about one, and an error grows at most a few times in each part.
double tolerance(const json& one) {
  const json& c = one["config"];
  double terms = c["num_hidden_layers"].get<double>() *
                     (4 * c["hidden_size"].get<double>() + c["intermediate_size"].get<double>() + 100) +
                 c["hidden_size"].get<double>();
  double largest = 0;
  for (double l : one["logits"].get<std::vector<double>>()) largest = std::max(largest, std::abs(l));
  return 2 * 4 * terms * std::numeric_limits<float>::epsilon() / 2 * largest;
}

double distance(const std::vector<float>& got, const json& want, size_t first) {
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double difference = std::abs(got[i] - want[first + i].get<double>());
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  return worst;
}

void check(const json& one, const std::filesystem::path& path, const std::string& what) {
  auto checkpoint = Checkpoint::open(path);
  auto decoder = load_decoder(model_context(), checkpoint, Precision::kExact);
  const auto tokens = one["tokens"].get<std::vector<int32_t>>();
  const auto rows = one["rows"].get<std::vector<size_t>>();
  const auto vocab = static_cast<size_t>(decoder->config().vocab);
  const double allowed = tolerance(one);
  const auto all = static_cast<int32_t>(tokens.size());

  auto whole = Runner(*decoder, 16).feed({{0, tokens}});
  // In pieces, the later ones of single tokens, as an engine does that knows the whole prompt.
  Runner runner(*decoder, 16);
  std::vector<std::vector<float>> pieces;
  for (size_t at = 0; at < tokens.size();) {
    size_t end = at < 11 ? 11 : at + 1;
    auto got = runner.feed({{0,
                             {tokens.begin() + static_cast<std::ptrdiff_t>(at),
                              tokens.begin() + static_cast<std::ptrdiff_t>(end)},
                             all}});
    pieces.insert(pieces.end(), got.begin(), got.end());
    at = end;
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    EXPECT_LE(distance(whole[rows[r]], one["logits"], r * vocab), allowed) << what << " row " << rows[r];
    EXPECT_LE(distance(pieces[rows[r]], one["logits"], r * vocab), allowed)
        << what << " in pieces, row " << rows[r];
  }
  auto hidden = Runner(*decoder, 16).feed({{0, tokens}}, StepOutput::kHidden);
  EXPECT_LE(distance(hidden.back(), one["hidden"], 0), allowed) << what << " hidden";
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, SafetensorsGiveTheLogitsOfTransformers) {
  TemporaryFolder folder;
  const json& one = golden()[GetParam()];
  write_folder(folder.path() / "model", one["config"], make_tensors(one));
  check(one, folder.path() / "model", GetParam());
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, one] : golden().items()) all.push_back(name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Golden, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });

class GoldenGguf : public testing::TestWithParam<std::string> {};

TEST_P(GoldenGguf, FilesGiveTheLogitsOfTransformers) {
  TemporaryFolder folder;
  const json& one = golden()[GetParam()];
  write_gguf(folder.path() / "model.gguf", one["config"], make_tensors(one));
  check(one, folder.path() / "model.gguf", GetParam());
}

// Those that GGUF metadata can describe.
INSTANTIATE_TEST_SUITE_P(All, GoldenGguf,
                         testing::Values("llama", "llama_linear", "llama_llama3", "llama_yarn", "mistral",
                                         "qwen3", "gemma2_by_head", "gemma3", "phi3", "phi3_within",
                                         "phi3_beyond"),
                         [](const auto& info) { return info.param; });

// Gemma 3's larger models are stored as a part of one that sees pictures, in an older and a newer way;
// embedders are stored without the "model." ahead of names.
TEST(GoldenNames, PartsOfLargerModelsAndBodiesAreFound) {
  for (std::string prefix : {"language_model.model.", "model.language_model.", ""}) {
    TemporaryFolder folder;
    const json& one = golden()["gemma3"];
    std::map<std::string, Named> renamed;
    for (auto& [name, t] : make_tensors(one)) renamed[prefix + name.substr(6)] = std::move(t);
    json config = one["config"];
    if (!prefix.empty()) {
      renamed["vision_tower.weight"] = {{1}, {0}};
      config = {{"model_type", "gemma3"}, {"text_config", one["config"]}, {"vision_config", json::object()}};
    }
    write_folder(folder.path() / "model", config, renamed);
    check(one, folder.path() / "model", "below " + prefix);
  }
}

TEST(GoldenNames, WithoutItsHeadAModelGivesVectorsAlone) {
  TemporaryFolder folder;
  const json& one = golden()["qwen3"];
  write_folder(folder.path() / "model", one["config"], make_tensors(one));
  auto checkpoint = Checkpoint::open(folder.path() / "model");
  auto whole = load_decoder(model_context(), checkpoint, DecoderOptions{});
  auto body = load_decoder(model_context(), checkpoint, DecoderOptions{.head = false});
  EXPECT_LT(body->weight_bytes(), whole->weight_bytes());
  const auto tokens = one["tokens"].get<std::vector<int32_t>>();
  EXPECT_EQ(Runner(*body, 16).feed({{0, tokens}}, StepOutput::kHidden),
            Runner(*whole, 16).feed({{0, tokens}}, StepOutput::kHidden));
  EXPECT_THROW(Runner(*body, 16).feed({{0, tokens}}), ModelError);
}

}  // namespace
}  // namespace rose::models
