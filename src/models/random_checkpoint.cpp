// Checkpoints of a configuration alone: the tensors that its architecture has, with random numbers in them.
#include <algorithm>

#include "models/checkpoint.h"
#include "models/shipped_configs.h"
#include "weights/random.h"

namespace rose::models {
namespace {

using weights::RandomTensor;

class Tensors {
 public:
  void matrix(const std::string& stem, int64_t n, int64_t k, bool bias) {
    add(stem + ".weight", {n, k}, 0);
    if (bias) add(stem + ".bias", {n}, 0);
  }
  void norm(const std::string& stem, int64_t size, float center = 1) {
    add(stem + ".weight", {size}, center);
  }
  void layer_norm(const std::string& stem, int64_t size) {
    norm(stem, size);
    add(stem + ".bias", {size}, 0);
  }
  std::vector<RandomTensor> take() { return std::move(list_); }

 private:
  void add(std::string name, std::initializer_list<int64_t> shape, float center) {
    RandomTensor tensor{std::move(name), {}, center};
    for (int64_t extent : shape) tensor.shape.push_back(static_cast<uint64_t>(std::max<int64_t>(extent, 0)));
    list_.push_back(std::move(tensor));
  }
  std::vector<RandomTensor> list_;
};

int64_t count(const Checkpoint& c, const char* key, int64_t most) {
  const int64_t value = c.integer(key, key);
  if (value < 1 || value > most)
    fail("{}: {}: is {}; expected 1 to {}", c.files().config->string(), key, value, most);
  return value;
}

// Llama and its kin; see llama.cpp and gemma.cpp for what each tensor does.
std::vector<RandomTensor> decoder_tensors(const Checkpoint& c) {
  const std::string& type = c.architecture();
  const bool gemma = type == "gemma3_text",
             qkv_bias = type == "qwen2" || flag_of(c.config(), *c.files().config, "attention_bias", false);
  const bool all_bias = type != "qwen2" && qkv_bias,
             mlp_bias = flag_of(c.config(), *c.files().config, "mlp_bias", false);
  const int64_t hidden = count(c, "hidden_size", 65536), inner = count(c, "intermediate_size", 1 << 20),
                layers = count(c, "num_hidden_layers", 10000), heads = count(c, "num_attention_heads", 4096),
                vocab = count(c, "vocab_size", 1 << 24);
  const int64_t kv_heads = c.find_integer("num_key_value_heads", "").value_or(heads),
                head_dim = c.find_integer("head_dim", "").value_or(hidden / heads);
  const float one = gemma ? 0 : 1;  // Gemma multiplies by 1 + weight
  Tensors t;
  t.matrix("model.embed_tokens", vocab, hidden, false);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i), self = layer + "self_attn.",
                      mlp = layer + "mlp.";
    t.norm(layer + "input_layernorm", hidden, one);
    t.matrix(self + "q_proj", heads * head_dim, hidden, qkv_bias);
    t.matrix(self + "k_proj", kv_heads * head_dim, hidden, qkv_bias);
    t.matrix(self + "v_proj", kv_heads * head_dim, hidden, qkv_bias);
    t.matrix(self + "o_proj", hidden, heads * head_dim, all_bias);
    if (type == "qwen3" || gemma)
      t.norm(self + "q_norm", head_dim, one), t.norm(self + "k_norm", head_dim, one);
    t.norm(layer + "post_attention_layernorm", hidden, one);
    if (gemma)
      t.norm(layer + "pre_feedforward_layernorm", hidden, one),
          t.norm(layer + "post_feedforward_layernorm", hidden, one);
    t.matrix(mlp + "gate_proj", inner, hidden, mlp_bias);
    t.matrix(mlp + "up_proj", inner, hidden, mlp_bias);
    t.matrix(mlp + "down_proj", hidden, inner, mlp_bias);
  }
  t.norm("model.norm", hidden, one);
  if (!flag_of(c.config(), *c.files().config, "tie_word_embeddings", gemma))
    t.matrix("lm_head", vocab, hidden, false);
  return t.take();
}

std::vector<RandomTensor> bert_tensors(const Checkpoint& c) {
  const int64_t hidden = count(c, "hidden_size", 65536), inner = count(c, "intermediate_size", 1 << 20),
                layers = count(c, "num_hidden_layers", 10000);
  Tensors t;
  t.matrix("embeddings.word_embeddings", count(c, "vocab_size", 1 << 24), hidden, false);
  t.matrix("embeddings.position_embeddings", count(c, "max_position_embeddings", 1 << 24), hidden, false);
  t.matrix("embeddings.token_type_embeddings", c.find_integer("type_vocab_size", "").value_or(2), hidden,
           false);
  t.layer_norm("embeddings.LayerNorm", hidden);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const char* part : {"query", "key", "value"})
      t.matrix(layer + "attention.self." + part, hidden, hidden, true);
    t.matrix(layer + "attention.output.dense", hidden, hidden, true);
    t.layer_norm(layer + "attention.output.LayerNorm", hidden);
    t.matrix(layer + "intermediate.dense", inner, hidden, true);
    t.matrix(layer + "output.dense", hidden, inner, true);
    t.layer_norm(layer + "output.LayerNorm", hidden);
  }
  return t.take();
}

using List = std::vector<RandomTensor> (*)(const Checkpoint&);
constexpr std::pair<const char*, List> kArchitectures[] = {
    {"llama", decoder_tensors}, {"mistral", decoder_tensors},     {"qwen2", decoder_tensors},
    {"qwen3", decoder_tensors}, {"gemma3_text", decoder_tensors}, {"bert", bert_tensors},
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

}  // namespace

Checkpoint Checkpoint::random(const std::string& config) {
  Checkpoint c;
  std::error_code ignored;
  std::string names;
  for (const ShippedConfig& shipped : shipped_configs()) {
    names += (names.empty() ? "" : ", ") + std::string(shipped.name);
    if (lower(shipped.name) == lower(config)) {
      c.config_ = nlohmann::json::parse(shipped.json);
      c.files_.folder = std::string(shipped.name);
      c.files_.config = c.files_.weights = std::string(shipped.name) + ".json (shipped)";
    }
  }
  if (c.config_.is_null()) {
    std::filesystem::path path = config;
    if (std::filesystem::is_directory(path, ignored)) path /= "config.json";
    if (!std::filesystem::exists(path, ignored))
      fail("{}: there is no such configuration: give the path of a config.json, or one of {}", config, names);
    c.config_ = read_json(path);
    c.files_.config = c.files_.weights = path;
    // "gpt/config.json" is called gpt, "gpt.json" too.
    c.files_.folder =
        path.filename() == "config.json" ? std::filesystem::absolute(path).parent_path() : path.stem();
  }
  c.read_model_type();
  for (const auto& [name, list] : kArchitectures) {
    if (c.architecture_ != name) continue;
    try {
      c.tensors_ = weights::random_tensors(c.files_.weights, list(c));
    } catch (const nlohmann::json::exception& error) {
      fail("{}: {}", c.files_.config->string(), error.what());
    }
    return c;
  }
  std::string known;
  for (const auto& [name, list] : kArchitectures) known += (known.empty() ? "" : ", ") + std::string(name);
  fail("{}: model_type: the tensors of '{}' are not known; random weights are made for {}",
       c.files_.config->string(), c.architecture_, known);
}

}  // namespace rose::models
