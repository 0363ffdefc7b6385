#include <algorithm>

#include "models/decoder.h"
#include "weights/dequantize.h"

namespace rose::models {
namespace {

void expect(bool ok, const Checkpoint& checkpoint, std::string_view what, int64_t value,
            std::string_view rule) {
  if (!ok) fail("{}: {} is {}; {}", checkpoint.files().weights.string(), what, value, rule);
}

// config.json's "rope_scaling". GGUF files of Llama 3 carry divisors of the frequencies instead (rope_freqs).
void read_scaling(const Checkpoint& checkpoint, DecoderConfig& c) {
  if (checkpoint.is_gguf()) {
    if (auto* divisors = checkpoint.tensors().find("rope_freqs.weight"))
      c.rope_divisors = weights::dequantize(*divisors);
    auto type = checkpoint.metadata().text_or(c.architecture + ".rope.scaling.type", "none");
    if (type == "linear") {
      c.rope.scaling = kernels::RopeScaling::kLinear;
      c.rope.factor = checkpoint.metadata().real_or(c.architecture + ".rope.scaling.factor", 1);
    } else if (type != "none") {
      fail("{}: {}.rope.scaling.type: '{}' is not supported", checkpoint.files().weights.string(),
           c.architecture, type);
    }
    return;
  }
  // Files of newer versions hold base and scaling together in "rope_parameters".
  const auto& config = checkpoint.config();
  auto found = config.find(config.contains("rope_parameters") ? "rope_parameters" : "rope_scaling");
  if (found == config.end() || found->is_null()) return;
  if (!found->is_object()) fail("{}: rope_scaling: expected an object", checkpoint.files().config->string());
  if (found->contains("full_attention")) found = found->find("full_attention");
  auto number = [&](const char* key, double fallback) {
    auto value = found->find(key);
    if (value == found->end() || value->is_null()) return fallback;
    if (!value->is_number())
      fail("{}: rope_scaling.{}: expected a number", checkpoint.files().config->string(), key);
    return value->get<double>();
  };
  std::string type = found->value("rope_type", found->value("type", "default"));
  c.rope.base = number("rope_theta", c.rope.base);
  c.rope.factor = number("factor", 1);
  if (type == "linear") {
    c.rope.scaling = kernels::RopeScaling::kLinear;
  } else if (type == "llama3") {
    c.rope.scaling = kernels::RopeScaling::kLlama3;
    c.rope.low_frequency_factor = number("low_freq_factor", 1),
    c.rope.high_frequency_factor = number("high_freq_factor", 4);
    c.rope.original_positions = static_cast<int64_t>(number("original_max_position_embeddings", 8192));
  } else if (type == "yarn") {
    c.rope.scaling = kernels::RopeScaling::kYarn;
    c.rope.original_positions = static_cast<int64_t>(number("original_max_position_embeddings", 8192));
    c.rope.beta_fast = number("beta_fast", 32), c.rope.beta_slow = number("beta_slow", 1);
    c.rope.attention_factor = number("attention_factor", 0);
  } else if (type != "default") {
    fail("{}: rope_scaling.rope_type: '{}' is not supported", checkpoint.files().config->string(), type);
  }
}

int64_t vocabulary(const Checkpoint& checkpoint) {
  if (!checkpoint.is_gguf()) return checkpoint.integer("vocab_size", "vocab_size");
  // Converters leave "vocab_size" out of some files; the embedding has a row a token.
  return static_cast<int64_t>(checkpoint.tensors().at("token_embd.weight").shape.at(0));
}

}  // namespace

DecoderConfig read_decoder_config(const Checkpoint& checkpoint) {
  DecoderConfig c;
  c.architecture = checkpoint.architecture();
  c.layers = checkpoint.integer("num_hidden_layers", "block_count");
  c.hidden = checkpoint.integer("hidden_size", "embedding_length");
  c.intermediate = checkpoint.integer("intermediate_size", "feed_forward_length");
  c.q_heads = checkpoint.integer("num_attention_heads", "attention.head_count");
  c.kv_heads = checkpoint.find_integer("num_key_value_heads", "attention.head_count_kv").value_or(c.q_heads);
  expect(c.q_heads >= 1 && c.q_heads <= 4096, checkpoint, "the number of heads", c.q_heads,
         "expected 1 to 4096");
  expect(c.kv_heads >= 1 && c.q_heads % c.kv_heads == 0, checkpoint, "the number of key heads", c.kv_heads,
         "it must divide that of query heads");
  c.head_dim = checkpoint.find_integer("head_dim", "attention.key_length").value_or(c.hidden / c.q_heads);
  c.vocab = vocabulary(checkpoint);
  c.context_length = checkpoint.integer("max_position_embeddings", "context_length");
  c.epsilon = checkpoint.find_real("rms_norm_eps", "attention.layer_norm_rms_epsilon").value_or(1e-5);
  expect(c.layers >= 1 && c.layers <= 10000, checkpoint, "the number of layers", c.layers,
         "expected 1 to 10000");
  expect(c.hidden >= 1 && c.hidden <= 65536, checkpoint, "the hidden size", c.hidden, "expected 1 to 65536");
  expect(c.intermediate >= 1 && c.intermediate <= 1 << 20, checkpoint, "the feed-forward size",
         c.intermediate, "expected 1 to 1048576");
  expect(c.head_dim >= 2 && c.head_dim <= 512 && c.head_dim % 2 == 0, checkpoint, "the head size", c.head_dim,
         "expected an even number up to 512");
  expect(c.vocab >= 1 && c.vocab <= 1 << 24, checkpoint, "the vocabulary", c.vocab,
         "expected 1 to 16777216 tokens");
  expect(c.context_length >= 1 && c.context_length <= 1 << 30, checkpoint, "the context length",
         c.context_length, "expected 1 to 2^30");
  c.rope.rotary_dim = checkpoint.find_integer("", "rope.dimension_count").value_or(c.head_dim);
  expect(c.rope.rotary_dim >= 2 && c.rope.rotary_dim <= c.head_dim && c.rope.rotary_dim % 2 == 0, checkpoint,
         "the rotary dimension", c.rope.rotary_dim, "expected an even number up to the head size");
  c.rope.base = checkpoint.find_real("rope_theta", "rope.freq_base").value_or(10000);
  read_scaling(checkpoint, c);
  if (!c.rope_divisors.empty() && static_cast<int64_t>(c.rope_divisors.size()) != c.rope.rotary_dim / 2)
    fail("{}: rope_freqs.weight: has {} values, expected {}", checkpoint.files().weights.string(),
         c.rope_divisors.size(), c.rope.rotary_dim / 2);
  return c;
}

KvCache::KvCache(runtime::Context& context, const DecoderConfig& c, int64_t block_count, int64_t size)
    : blocks(block_count), block_size(size) {
  auto bytes = static_cast<size_t>(blocks * block_size * c.kv_heads * c.head_dim) * sizeof(float);
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    k.push_back(context.device().allocate(bytes));
    v.push_back(context.device().allocate(bytes));
  }
}

int64_t KvCache::bytes_per_token(const DecoderConfig& c) {
  return 2 * c.layers * c.kv_heads * c.head_dim * static_cast<int64_t>(sizeof(float));
}

}  // namespace rose::models
