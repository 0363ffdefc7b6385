#include "spoiled_model.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "weights/names.h"
#include "weights/quantize.h"
#include "weights/writer.h"

namespace rose::cli::test {
namespace {

using weights::Format;

std::vector<std::byte> random_values(uint64_t count, float scale, float center, Format format) {
  static std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(center - scale, center + scale);
  std::vector<float> values(count);
  for (float& v : values) v = uniform(random);
  return weights::quantize(format, values);
}

// The tokens of both models: a to z, and two that are no text.
std::vector<std::string> letters() {
  std::vector<std::string> tokens = {"<unk>", "<end>"};
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  tokens.emplace_back("ab");
  return tokens;
}

nlohmann::json vocabulary_json() {
  nlohmann::json vocabulary;
  for (const auto& token : letters()) vocabulary[token] = vocabulary.size();
  return vocabulary;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TinyTensor>& tensors) {
  weights::SafetensorsWriter writer;
  for (const auto& t : tensors) writer.add_tensor({t.name, t.format, t.shape, t.bytes});
  writer.write(path);
}

}  // namespace

SpoiledFolder::SpoiledFolder() {
  std::string name = std::filesystem::temp_directory_path() / "rose-cli-XXXXXX";
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make " + name);
  path_ = name;
}

SpoiledFolder::~SpoiledFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

TinyModel::TinyModel(Format format, int layers) {
  const uint64_t block = weights::info(format).block_elements;
  const uint64_t heads = 4, kv_heads = 2, width = std::max<uint64_t>(block, 32), inner = 2 * width,
                 vocab = letters().size();
  auto small = [](uint64_t value) { return static_cast<uint32_t>(value); };
  std::vector<int32_t> types(vocab, 1);
  types[0] = 2, types[1] = 3;
  keys = {{"general.architecture", std::string("llama")},
          {"general.name", std::string("tiny")},
          {"llama.block_count", static_cast<uint32_t>(layers)},
          {"llama.embedding_length", small(width)},
          {"llama.feed_forward_length", small(inner)},
          {"llama.attention.head_count", small(heads)},
          {"llama.attention.head_count_kv", small(kv_heads)},
          {"llama.context_length", 200u},
          {"llama.attention.layer_norm_rms_epsilon", 1e-5F},
          {"tokenizer.ggml.model", std::string("gpt2")},
          {"tokenizer.ggml.pre", std::string("gpt-2")},
          {"tokenizer.ggml.tokens", letters()},
          {"tokenizer.ggml.merges", std::vector<std::string>{"a b"}},
          {"tokenizer.ggml.token_type", types},
          {"tokenizer.ggml.eos_token_id", 1u},
          {"tokenizer.ggml.add_bos_token", false},
          {"tokenizer.chat_template", std::string("{% for m in messages %}{{ m.content }}{% endfor %}")}};
  auto add = [&](const std::string& name, std::vector<uint64_t> shape, float scale, float center) {
    uint64_t count = 1;
    for (auto extent : shape) count *= extent;
    const Format used = shape.size() == 2 ? format : Format::kF32;
    tensors.push_back({name, std::move(shape), used, random_values(count, scale, center, used)});
  };
  const uint64_t kv_width = width / heads * kv_heads;
  add("model.embed_tokens.weight", {vocab, width}, 1, 0), add("model.norm.weight", {width}, 0.2F, 1);
  add("lm_head.weight", {vocab, width}, 0.6F, 0);
  for (int i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", {width}, 0.2F, 1);
    add(layer + "post_attention_layernorm.weight", {width}, 0.2F, 1);
    add(layer + "self_attn.q_proj.weight", {width, width}, 0.5F, 0);
    add(layer + "self_attn.k_proj.weight", {kv_width, width}, 0.5F, 0);
    add(layer + "self_attn.v_proj.weight", {kv_width, width}, 0.5F, 0);
    add(layer + "self_attn.o_proj.weight", {width, width}, 0.5F, 0);
    add(layer + "mlp.gate_proj.weight", {inner, width}, 0.3F, 0);
    add(layer + "mlp.up_proj.weight", {inner, width}, 0.3F, 0);
    add(layer + "mlp.down_proj.weight", {width, inner}, 0.3F, 0);
  }

  config = {{"model_type", "llama"},
            {"num_hidden_layers", layers},
            {"hidden_size", width},
            {"intermediate_size", inner},
            {"num_attention_heads", heads},
            {"num_key_value_heads", kv_heads},
            {"vocab_size", vocab},
            {"max_position_embeddings", 200},
            {"rms_norm_eps", 1e-5},
            {"rope_theta", 10000.0},
            {"eos_token_id", 1}};
  tokenizer = {{"added_tokens", {{{"id", 1}, {"content", "<end>"}, {"special", true}}}},
               {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
               {"decoder", {{"type", "ByteLevel"}}},
               {"model", {{"type", "BPE"}, {"vocab", vocabulary_json()}, {"merges", {"a b"}}}}};
  tokenizer_config = {{"eos_token", "<end>"},
                      {"chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}"}};
}

MetaInput& TinyModel::key(const std::string& name) {
  auto found = std::ranges::find(keys, name, &std::pair<std::string, MetaInput>::first);
  if (found != keys.end()) return found->second;
  return keys.emplace_back(name, false).second;
}

void TinyModel::erase_key(const std::string& name) {
  std::erase_if(keys, [&](const auto& key) { return key.first == name; });
}

TinyTensor& TinyModel::tensor(const std::string& name) {
  return *std::ranges::find(tensors, name, &TinyTensor::name);
}

void TinyModel::erase_tensor(const std::string& name) {
  std::erase_if(tensors, [&](const auto& t) { return t.name == name; });
}

std::filesystem::path TinyModel::write_gguf(const std::filesystem::path& file, uint32_t version) const {
  weights::GgufWriter writer(version);
  for (const auto& [name, value] : keys)
    std::visit(
        [&, &key = name](const auto& v) {
          if constexpr (requires { std::span(v); } && !std::is_same_v<std::decay_t<decltype(v)>, std::string>)
            writer.add(key, std::span(v));
          else
            writer.add(key, v);
        },
        value);
  for (const auto& t : tensors)
    writer.add_tensor({weights::gguf_name("llama", t.name).value_or(t.name), t.format, t.shape, t.bytes});
  writer.write(file);
  return file;
}

std::filesystem::path TinyModel::write_folder(const std::filesystem::path& folder) const {
  std::filesystem::create_directories(folder);
  write_text(folder / "config.json", config.dump());
  write_text(folder / "tokenizer.json", tokenizer.dump());
  write_text(folder / "tokenizer_config.json", tokenizer_config.dump());
  write_safetensors(folder / "model.safetensors", tensors);
  return folder;
}

TinyEmbedder::TinyEmbedder() {
  const uint64_t width = 32, inner = 64, vocab = letters().size(), positions = 40;
  auto add = [&](const std::string& name, std::vector<uint64_t> shape, float center = 0) {
    uint64_t count = 1;
    for (auto extent : shape) count *= extent;
    tensors.push_back(
        {name, std::move(shape), Format::kF32, random_values(count, 0.5F, center, Format::kF32)});
  };
  auto linear = [&](const std::string& name, uint64_t n, uint64_t k) {
    add(name + ".weight", {n, k}), add(name + ".bias", {n});
  };
  auto norm = [&](const std::string& name) {
    add(name + ".weight", {width}, 1), add(name + ".bias", {width});
  };
  add("embeddings.word_embeddings.weight", {vocab, width});
  add("embeddings.position_embeddings.weight", {positions, width});
  add("embeddings.token_type_embeddings.weight", {2, width});
  norm("embeddings.LayerNorm");
  const std::string layer = "encoder.layer.0.";
  for (const char* part : {"query", "key", "value"}) linear(layer + "attention.self." + part, width, width);
  linear(layer + "attention.output.dense", width, width), norm(layer + "attention.output.LayerNorm");
  linear(layer + "intermediate.dense", inner, width), linear(layer + "output.dense", width, inner);
  norm(layer + "output.LayerNorm");
  config = {{"model_type", "bert"},     {"num_hidden_layers", 1},
            {"hidden_size", width},     {"intermediate_size", inner},
            {"num_attention_heads", 2}, {"vocab_size", vocab},
            {"type_vocab_size", 2},     {"max_position_embeddings", positions},
            {"layer_norm_eps", 1e-12},  {"hidden_act", "gelu"}};
  tokenizer = {{"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
               {"model", {{"type", "WordPiece"}, {"unk_token", "<unk>"}, {"vocab", vocabulary_json()}}}};
  modules = {{{"idx", 0}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
             {{"idx", 1}, {"path", "1_Pooling"}, {"type", "sentence_transformers.models.Pooling"}}};
  pooling = {{"pooling_mode_mean_tokens", true}};
  sentence = {{"max_seq_length", 16}};
  prompts = {{"prompts", {{"query", "q "}}}};
}

std::filesystem::path TinyEmbedder::write_folder(const std::filesystem::path& folder) const {
  std::filesystem::create_directories(folder / "1_Pooling");
  write_text(folder / "config.json", config.dump());
  write_text(folder / "tokenizer.json", tokenizer.dump());
  write_text(folder / "modules.json", modules.dump());
  write_text(folder / "1_Pooling" / "config.json", pooling.dump());
  write_text(folder / "sentence_bert_config.json", sentence.dump());
  write_text(folder / "config_sentence_transformers.json", prompts.dump());
  write_safetensors(folder / "model.safetensors", tensors);
  return folder;
}

std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

void write_bytes(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace rose::cli::test
