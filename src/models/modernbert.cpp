// ModernBERT (Warner et al., 2024): pre-norm blocks, rotated queries and keys, gated feed-forward parts; most
// layers see the neighbourhood of a token alone.
//
//   x = layernorm(word[token])
//   for each layer:  x += Wo·attention(rope(Wqkv·norm(x)))     (the first layer has no norm here)
//                    x += Wo·(gelu(W1·norm(x)) · W2·norm(x))
//   layernorm(x)
#include "models/modernbert.h"

#include <optional>

#include "models/encoder_parts.h"

namespace rose::models {
namespace {

class ModernBert : public Encoder {
 public:
  ModernBert(const Build& build, EncoderConfig config)
      : Encoder(build.context, std::move(config)),
        embed_(build, config_, {.word = "embeddings.tok_embeddings.weight", .norm = "embeddings.norm"}),
        final_norm_(norm(build, "final_norm")),
        rope_(build.context, config_.head_dim(), config_.rope_base),
        local_rope_(build.context, config_.head_dim(), config_.local_rope_base),
        data_(build) {
    for (int64_t i = 0; i < config_.layers; ++i) {
      std::string layer = fmt::format("layers.{}.", i);
      std::optional<EncoderNorm> attention_norm;
      if (i > 0) attention_norm.emplace(norm(build, layer + "attn_norm"));
      layers_.push_back(
          {std::move(attention_norm),
           EncoderAttention(build, config_, i, {.qkv = {layer + "attn.Wqkv"}, .output = layer + "attn.Wo"}),
           norm(build, layer + "mlp_norm"),
           EncoderFeedForward(build, config_, layer + "mlp.Wi", layer + "mlp.Wo", true)});
    }
  }

  int64_t weight_bytes() const override {
    int64_t bytes = embed_.bytes();
    for (const auto& layer : layers_) bytes += layer.attention.bytes() + layer.feed_forward.bytes();
    return bytes;
  }

  runtime::DevicePointer run(const EncoderStep& step) override {
    auto tiles = layers_[0].attention.tiles(step);
    data_.load(step, tiles.several, tiles.single, embed_.places(step));
    for (size_t i = 0; i + 1 < step.first_tokens.size(); ++i) {
      int64_t length = step.first_tokens[i + 1] - step.first_tokens[i];
      rope_.prepare(length), local_rope_.prepare(length);
    }
    auto x = data_.room(data_.x, config_.hidden), h = data_.room(data_.h, config_.hidden);
    embed_(data_, step, x);
    for (int64_t i = 0; i < config_.layers; ++i) {
      auto& layer = layers_[static_cast<size_t>(i)];
      if (layer.attention_norm) (*layer.attention_norm)(data_.stream, x, h, data_.tokens);
      layer.attention(data_, config_.is_local(i) ? &local_rope_ : &rope_, layer.attention_norm ? h : x, x);
      layer.feed_forward_norm(data_.stream, x, h, data_.tokens);
      layer.feed_forward(data_, h, x);
    }
    final_norm_(data_.stream, x, x, data_.tokens);
    return x;
  }

 private:
  struct Layer {
    std::optional<EncoderNorm> attention_norm;
    EncoderAttention attention;
    EncoderNorm feed_forward_norm;
    EncoderFeedForward feed_forward;
  };

  EncoderNorm norm(const Build& build, const std::string& name) const {
    return EncoderNorm(build, name, config_.hidden, config_.epsilon, config_.norm_bias);
  }

  EncoderEmbedding embed_;
  EncoderNorm final_norm_;
  EncoderRope rope_, local_rope_;
  std::vector<Layer> layers_;
  EncoderData data_;
};

// The base of a kind of layer: "rope_parameters" of newer files, "global_rope_theta" and "local_rope_theta"
// of older ones.
double rope_base(const Checkpoint& checkpoint, const EncoderFields& fields, const char* kind, const char* key,
                 double otherwise) {
  double base = fields.positive(key, otherwise);
  auto found = checkpoint.config().find("rope_parameters");
  if (found == checkpoint.config().end() || !found->is_object()) return base;
  auto of_kind = found->find(kind);
  if (of_kind == found->end() || !of_kind->is_object()) return base;
  if (std::string type = text_of(*of_kind, *checkpoint.files().config, "rope_type", "default");
      type != "default")
    fields.fail("rope_parameters", fmt::format("{}: the scaling '{}' is not supported", kind, type));
  auto theta = of_kind->find("rope_theta");
  if (theta == of_kind->end()) return base;
  if (!theta->is_number() || !(theta->get<double>() > 0))
    fields.fail("rope_parameters", fmt::format("{}: rope_theta must be a number above 0", kind));
  return theta->get<double>();
}

std::vector<bool> local_layers(const Checkpoint& checkpoint, const EncoderFields& fields, int64_t layers) {
  std::vector<bool> local;
  auto found = checkpoint.config().find("layer_types");
  if (found == checkpoint.config().end() || found->is_null()) {
    int64_t every = fields.integer_or("global_attn_every_n_layers", 3, 1, 10000);
    for (int64_t i = 0; i < layers; ++i) local.push_back(i % every != 0);
    return local;
  }
  if (!found->is_array() || static_cast<int64_t>(found->size()) != layers)
    fields.fail("layer_types", fmt::format("expected a list of {} names", layers));
  for (const auto& type : *found) {
    if (type != "full_attention" && type != "sliding_attention")
      fields.fail("layer_types",
                  fmt::format("{} is unknown; use full_attention or sliding_attention", type.dump()));
    local.push_back(type == "sliding_attention");
  }
  return local;
}

}  // namespace

EncoderConfig read_modernbert(const Checkpoint& checkpoint) {
  EncoderFields fields(checkpoint);
  EncoderConfig c;
  c.architecture = checkpoint.architecture();
  c.layers = fields.integer("num_hidden_layers", 1, 10000);
  c.hidden = fields.integer("hidden_size", 1, 65536);
  c.intermediate = fields.integer("intermediate_size", 1, 65536);
  c.heads = fields.integer("num_attention_heads", 1, 65536);
  if (c.hidden % c.heads || c.head_dim() % 2)
    fields.fail("num_attention_heads",
                fmt::format("{} must divide hidden_size {} into even heads", c.heads, c.hidden));
  c.vocab = fields.integer("vocab_size", 1, 1 << 24);
  c.max_tokens = fields.integer("max_position_embeddings", 1, 1 << 24);
  c.epsilon = fields.positive("norm_eps", 1e-5);
  c.activation = fields.activation("hidden_activation", "gelu");
  c.attention_bias = fields.flag("attention_bias", false);
  c.feed_forward_bias = fields.flag("mlp_bias", false);
  c.norm_bias = fields.flag("norm_bias", false);
  c.window = fields.integer_or("local_attention", 128, 1, 1 << 24);
  c.local_layers = local_layers(checkpoint, fields, c.layers);
  c.rope_base = rope_base(checkpoint, fields, "full_attention", "global_rope_theta", 160000);
  c.local_rope_base = rope_base(checkpoint, fields, "sliding_attention", "local_rope_theta", 10000);
  return c;
}

std::unique_ptr<Encoder> make_modernbert(const Build& build, EncoderConfig config) {
  return std::make_unique<ModernBert>(build, std::move(config));
}

}  // namespace rose::models
