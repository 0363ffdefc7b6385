// Gemma 2 and 3 (Gemma team, 2024 and 2025): as Llama, with norms on both sides of each part, tanh-GELU, and
// embeddings scaled up.
//
//   x = embed(tokens)·√hidden
//   for each layer:  x += norm(Wo·attention(rope(headnorm(Wqkv·norm(x)))))
//                    x += norm(Wdown·(gelu(Wgate·norm(x)) · Wup·norm(x)))
//   logits = cap(Whead·norm(x))
//
// Gemma 2 has no norms of heads; its scores and logits are capped, and every other layer sees a window alone.
// Gemma 3 has no caps; of six layers five see a window, and those have a rotary base of their own.
// All norms multiply by 1 + weight; GGUF files hold the sum.
#include "models/gemma.h"

#include <cmath>

#include "models/decoder_config.h"
#include "models/decoder_parts.h"
#include "models/step_graphs.h"

namespace rose::models {
namespace {

class Gemma : public Decoder {
 public:
  Gemma(const Build& build, DecoderConfig config)
      : Decoder(std::move(config)),
        embed_(build, config_, std::sqrt(static_cast<double>(config_.hidden))),
        global_rope_(build.context, config_),
        local_rope_(build.context, local(config_)),
        norm_(build.context, norm_spec(build, config_, false)),
        add_and_norm_(build.context, norm_spec(build, config_, true)),
        head_(build, config_, !build.checkpoint.is_gguf(), embed_),
        data_(build.context, config_) {
    const bool one = !build.checkpoint.is_gguf();
    for (int64_t i = 0; i < config_.layers; ++i) {
      auto weight = [&](std::string_view name) {
        return norm_weight(build, layer_tensor(i, name), config_.hidden, one);
      };
      layers_.push_back(
          {weight("input_layernorm.weight"), weight("post_attention_layernorm.weight"),
           weight("pre_feedforward_layernorm.weight"), weight("post_feedforward_layernorm.weight"),
           SelfAttention(build, config_, i, {.adds = false, .global = config_.is_global(i), .add_one = one}),
           FeedForward(build, config_, i, false), config_.is_global(i)});
    }
  }

  int64_t weight_bytes() const override {
    int64_t bytes = head_.bytes() + embed_.bytes();
    for (const auto& layer : layers_) bytes += layer.attention.bytes() + layer.feed_forward.bytes();
    return bytes;
  }

  void forward(const Step& step, KvCache& cache, runtime::DevicePointer out) override {
    global_rope_.prepare(step), local_rope_.prepare(step);
    auto tiles = layers_[0].attention.kernel().tiles(step);
    data_.load(step, step.positions, tiles.several, tiles.single);
    const uint64_t addresses[] = {global_rope_.table().address, local_rope_.table().address, cache.id,
                                  out.address};
    graphs_.run(data_, addresses, [&] { launch(cache, out); });
  }

 private:
  void launch(KvCache& cache, runtime::DevicePointer out) {
    auto& stream = data_.stream;
    auto x = data_.room(data_.x, config_.hidden), h = data_.room(data_.h, config_.hidden),
         part = data_.room(data_.part, config_.hidden);
    embed_(data_, x);
    norm_(stream, x, layers_[0].before_attention, h, data_.tokens);
    for (size_t i = 0; i < layers_.size(); ++i) {
      auto& layer = layers_[i];
      layer.attention(data_, layer.global ? global_rope_ : local_rope_, cache, h, part);
      norm_(stream, part, layer.after_attention, part, data_.tokens);
      add_and_norm_(stream, part, x, layer.before_feed_forward, h, data_.tokens);
      layer.feed_forward(data_, h, part);
      norm_(stream, part, layer.after_feed_forward, part, data_.tokens);
      // x += part; h is what the next layer reads (behind the last layer nobody does).
      add_and_norm_(stream, part, x, layers_[std::min(i + 1, layers_.size() - 1)].before_attention, h,
                    data_.tokens);
    }
    head_(data_, x, out);
  }

  static kernels::RmsNormSpec norm_spec(const Build& build, const DecoderConfig& config, bool residual) {
    return {.dtype = build.compute.dtype,
            .hidden = config.hidden,
            .epsilon = config.epsilon,
            .residual = residual,
            .pdl = build.compute.gpu};
  }
  static DecoderConfig local(DecoderConfig config) {
    if (config.local_rope_base == 0) return config;
    config.rope.base = config.local_rope_base, config.rope.scaling = kernels::RopeScaling::kNone;
    return config;
  }

  struct Layer {
    runtime::Buffer before_attention, after_attention, before_feed_forward, after_feed_forward;
    SelfAttention attention;
    FeedForward feed_forward;
    bool global;
  };

  TokenEmbedding embed_;
  RopeTable global_rope_, local_rope_;
  kernels::RmsNorm norm_, add_and_norm_;
  std::vector<Layer> layers_;
  OutputHead head_;
  StepData data_;
  StepGraphs graphs_;
};

// What older files of Gemma leave out.
DecoderConfig gemma_defaults() {
  DecoderConfig c;
  c.q_heads = 8, c.kv_heads = 4, c.head_dim = 256;
  c.epsilon = 1e-6, c.activation = "gelu_tanh", c.tied = true;
  return c;
}

// "query_pre_attn_scalar". GGUF files have no word for it: it is the head size but in the largest models,
// which are known by their layers and take hidden / heads.
void set_attention_scale(const Checkpoint& checkpoint, DecoderConfig& c, int64_t largest_layers) {
  double scalar = checkpoint.find_real("query_pre_attn_scalar", "")
                      .value_or(checkpoint.is_gguf() ? static_cast<double>(c.head_dim) : 256);
  if (checkpoint.is_gguf() && c.layers == largest_layers)
    scalar = static_cast<double>(c.hidden) / static_cast<double>(c.q_heads);
  if (!(scalar > 0))
    fail("{}: expected a positive number, found {}", field(checkpoint, "query_pre_attn_scalar", ""), scalar);
  c.attention_scale = 1 / std::sqrt(scalar);
}

// Without a key a model of this kind caps as it was published; null means that it does not.
double cap(const Checkpoint& checkpoint, const char* key, double published) {
  double silent = checkpoint.config().is_object() && checkpoint.config().contains(key) ? 0 : published;
  double value = checkpoint.find_real(key, key).value_or(silent);
  if (value < 0) fail("{}: expected a positive number, found {}", field(checkpoint, key, key), value);
  return value;
}

}  // namespace

std::unique_ptr<Decoder> make_gemma(const Build& build, DecoderConfig config) {
  return std::make_unique<Gemma>(build, std::move(config));
}

DecoderConfig configure_gemma2(const Checkpoint& checkpoint) {
  auto defaults = gemma_defaults();
  defaults.vocab = 256000, defaults.context_length = 8192;
  auto c = read_common_config(checkpoint, defaults);
  set_window(checkpoint, c,
             checkpoint.find_integer("sliding_window", "attention.sliding_window").value_or(4096),
             [](int64_t layer) { return layer % 2 == 0; });
  set_attention_scale(checkpoint, c, 46);
  c.softcap = cap(checkpoint, "attn_logit_softcapping", 50);
  c.final_softcap = cap(checkpoint, "final_logit_softcapping", 30);
  return c;
}

DecoderConfig configure_gemma3(const Checkpoint& checkpoint) {
  auto defaults = gemma_defaults();
  defaults.vocab = 262208, defaults.context_length = 131072, defaults.rope.base = 1e6;
  auto c = read_common_config(checkpoint, defaults);
  if (checkpoint.config().is_object() && checkpoint.config().value("use_bidirectional_attention", false))
    fail("{}: attention in both directions (embedders such as EmbeddingGemma) is not supported",
         field(checkpoint, "use_bidirectional_attention", ""));
  c.qk_norm = true;
  const int64_t every =
      checkpoint.find_integer("sliding_window_pattern", "attention.sliding_window_pattern").value_or(6);
  set_window(checkpoint, c,
             checkpoint.find_integer("sliding_window", "attention.sliding_window").value_or(4096),
             [](int64_t) { return true; });
  if (checkpoint.is_gguf() || !checkpoint.config().contains("layer_types"))
    for (int64_t i = 0; i < c.layers; ++i)
      c.sliding[static_cast<size_t>(i)] = every < 1 || (i + 1) % every != 0;
  set_attention_scale(checkpoint, c, 62);
  c.softcap = cap(checkpoint, "attn_logit_softcapping", 0);
  c.final_softcap = cap(checkpoint, "final_logit_softcapping", 0);
  c.local_rope_base = checkpoint.find_real("rope_local_base_freq", "rope.local_freq_base").value_or(10000);
  if (checkpoint.is_gguf()) return c;
  auto rope = checkpoint.config().find("rope_parameters");
  if (rope != checkpoint.config().end() && rope->is_object())
    if (auto local = rope->find("sliding_attention"); local != rope->end() && local->is_object())
      c.local_rope_base = real_of(*local, *checkpoint.files().config, "rope_theta", c.local_rope_base);
  return c;
}

}  // namespace rose::models
