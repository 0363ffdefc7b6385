#include <atomic>

#include "models/decoder_config.h"

namespace rose::models {
namespace {

void expect(bool ok, const Checkpoint& checkpoint, std::string_view what, int64_t value,
            std::string_view rule) {
  if (!ok) fail("{}: {} is {}; {}", checkpoint.files().weights.string(), what, value, rule);
}

// A number of the file, or the architecture's default for it (0: there is none).
int64_t integer_or(const Checkpoint& checkpoint, std::string_view key, std::string_view gguf_key,
                   int64_t fallback) {
  if (fallback == 0) return checkpoint.integer(key, gguf_key);
  return checkpoint.find_integer(key, gguf_key).value_or(fallback);
}

int64_t vocabulary(const Checkpoint& checkpoint, int64_t fallback) {
  if (!checkpoint.is_gguf()) return integer_or(checkpoint, "vocab_size", "", fallback);
  // Converters leave "vocab_size" out of some files; the embedding has a row a token.
  return static_cast<int64_t>(checkpoint.tensors().at("token_embd.weight").shape.at(0));
}

void read_activation(const Checkpoint& checkpoint, DecoderConfig& c) {
  const auto& json = checkpoint.config();
  if (!json.is_object()) return;
  const char* key = json.contains("hidden_activation") ? "hidden_activation" : "hidden_act";
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"silu", "silu"},          {"swish", "silu"},    {"gelu_pytorch_tanh", "gelu_tanh"},
      {"gelu_new", "gelu_tanh"}, {"gelu", "gelu_erf"}, {"relu", "relu"}};
  for (auto [theirs, ours] : kNames)
    if (*found == theirs) {
      c.activation = ours;
      return;
    }
  fail("{}: the activation {} is not supported; use silu, gelu_pytorch_tanh, gelu or relu",
       field(checkpoint, key, ""), found->dump());
}

// What changes the arithmetic and is not built in.
void refuse_unsupported(const Checkpoint& checkpoint) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"})
    if (auto experts = checkpoint.find_integer(key, "expert_count"); experts.value_or(0) > 1)
      fail("{}: mixtures of experts are not supported ({} experts)", field(checkpoint, key, "expert_count"),
           *experts);
  if (checkpoint.is_gguf()) return;
  auto found = checkpoint.config().find("quantization_config");
  if (found != checkpoint.config().end() && !found->is_null())
    fail(
        "{}: weights quantised by '{}' are not supported in safetensors; use the model's unquantised files "
        "or a "
        "GGUF file",
        field(checkpoint, "quantization_config", ""),
        found->is_object() ? text_of(*found, *checkpoint.files().config, "quant_method", "an unknown method")
                           : "an unknown method");
}

}  // namespace

std::string field(const Checkpoint& checkpoint, std::string_view key, std::string_view gguf_key) {
  if (checkpoint.is_gguf())
    return fmt::format("{}: {}.{}", checkpoint.files().weights.string(), checkpoint.architecture(), gguf_key);
  return fmt::format("{}: {}", checkpoint.files().config->string(), key);
}

DecoderConfig read_common_config(const Checkpoint& checkpoint, DecoderConfig c) {
  refuse_unsupported(checkpoint);
  c.architecture = checkpoint.architecture();
  c.layers = checkpoint.integer("num_hidden_layers", "block_count");
  c.hidden = checkpoint.integer("hidden_size", "embedding_length");
  c.intermediate = checkpoint.integer("intermediate_size", "feed_forward_length");
  c.q_heads = integer_or(checkpoint, "num_attention_heads", "attention.head_count", c.q_heads);
  c.kv_heads = checkpoint.find_integer("num_key_value_heads", "attention.head_count_kv")
                   .value_or(c.kv_heads ? c.kv_heads : c.q_heads);
  expect(c.q_heads >= 1 && c.q_heads <= 4096, checkpoint, "the number of heads", c.q_heads,
         "expected 1 to 4096");
  expect(c.kv_heads >= 1 && c.q_heads % c.kv_heads == 0, checkpoint, "the number of key heads", c.kv_heads,
         "it must divide that of query heads");
  c.head_dim = checkpoint.find_integer("head_dim", "attention.key_length")
                   .value_or(c.head_dim ? c.head_dim : c.hidden / c.q_heads);
  c.vocab = vocabulary(checkpoint, c.vocab);
  c.context_length = integer_or(checkpoint, "max_position_embeddings", "context_length", c.context_length);
  c.epsilon = checkpoint.find_real("rms_norm_eps", "attention.layer_norm_rms_epsilon").value_or(c.epsilon);
  expect(c.layers >= 1 && c.layers <= 10000, checkpoint, "the number of layers", c.layers,
         "expected 1 to 10000");
  expect(c.hidden >= 1 && c.hidden <= 65536, checkpoint, "the hidden size", c.hidden, "expected 1 to 65536");
  expect(c.intermediate >= 1 && c.intermediate <= 1 << 20, checkpoint, "the feed-forward size",
         c.intermediate, "expected 1 to 1048576");
  expect(c.head_dim >= 2 && c.head_dim <= 512 && c.head_dim % 2 == 0, checkpoint, "the head size", c.head_dim,
         "expected an even number up to 512");
  auto value_dim = checkpoint.find_integer("", "attention.value_length").value_or(c.head_dim);
  expect(value_dim == c.head_dim, checkpoint, "the head size of values", value_dim,
         "it must equal that of keys");
  expect(c.vocab >= 1 && c.vocab <= 1 << 24, checkpoint, "the vocabulary", c.vocab,
         "expected 1 to 16777216 tokens");
  expect(c.context_length >= 1 && c.context_length <= 1 << 30, checkpoint, "the context length",
         c.context_length, "expected 1 to 2^30");
  if (!(c.epsilon > 0 && c.epsilon < 1))
    fail("{} is {}; expected a small positive number",
         field(checkpoint, "rms_norm_eps", "attention.layer_norm_rms_epsilon"), c.epsilon);
  read_activation(checkpoint, c);
  read_rope(checkpoint, c);
  if (checkpoint.config().is_object()) {
    auto tied = checkpoint.config().find("tie_word_embeddings");
    if (tied != checkpoint.config().end() && tied->is_boolean()) c.tied = tied->get<bool>();
  }
  return c;
}

void set_window(const Checkpoint& checkpoint, DecoderConfig& c, int64_t window,
                bool (*slides)(int64_t layer)) {
  expect(window >= 0 && window <= 1 << 30, checkpoint, "the sliding window", window,
         "expected 0 to 2^30 tokens");
  c.window = window;
  c.sliding.clear();
  for (int64_t i = 0; i < c.layers; ++i) c.sliding.push_back(slides(i));
  if (checkpoint.is_gguf()) return;
  auto types = checkpoint.config().find("layer_types");
  if (types == checkpoint.config().end() || types->is_null()) return;
  if (!types->is_array() || static_cast<int64_t>(types->size()) != c.layers)
    fail("{}: expected a list of {} kinds of layers", field(checkpoint, "layer_types", ""), c.layers);
  for (size_t i = 0; i < types->size(); ++i) {
    const auto& type = (*types)[i];
    if (type != "sliding_attention" && type != "full_attention")
      fail("{}: the kind {} of layer {} is not supported; ROSE knows sliding_attention and full_attention",
           field(checkpoint, "layer_types", ""), type.dump(), i);
    c.sliding[i] = type == "sliding_attention";
    if (c.sliding[i] && window == 0)
      fail("{}: is missing, but layer_types has layers with a window",
           field(checkpoint, "sliding_window", ""));
  }
}

KvCache::KvCache(runtime::Context& context, const DecoderConfig& c, int64_t block_count, int64_t size)
    : blocks(block_count), block_size(size) {
  static std::atomic<uint64_t> made{0};
  id = ++made;
  const auto compute = compute_on(context.properties());
  auto bytes = static_cast<size_t>(blocks * block_size * c.kv_heads * c.head_dim * compute.bytes());
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    k.push_back(context.device().allocate(bytes));
    v.push_back(context.device().allocate(bytes));
  }
}

int64_t KvCache::bytes_per_token(const DecoderConfig& c, const Compute& compute) {
  return 2 * c.layers * c.kv_heads * c.head_dim * compute.bytes();
}

}  // namespace rose::models
