// Llama (Touvron et al., 2023) and its kin: pre-norm blocks of rotary attention and a gated feed-forward
// part.
//
//   x = embed(tokens)
//   for each layer:  x += Wo·attention(rope(Wqkv·norm(x)))
//                    x += Wdown·(silu(Wgate·norm(x)) · Wup·norm(x))
//   logits = Whead·norm(x)
//
// Llama 1 to 3, SmolLM2 and Mistral are this with other numbers; Qwen 2 adds biases to q, k and v; Qwen 3
// norms the heads of q and k instead; for Phi-3 see phi.cpp.
#include "models/llama.h"

#include "models/decoder_config.h"
#include "models/decoder_parts.h"
#include "models/step_graphs.h"

namespace rose::models {
namespace {

class Llama : public Decoder {
 public:
  Llama(const Build& build, DecoderConfig config)
      : Decoder(std::move(config)),
        embed_(build, config_, 1),
        rope_(build.context, config_),
        norm_(build.context, {.dtype = build.compute.dtype,
                              .hidden = config_.hidden,
                              .epsilon = config_.epsilon,
                              .pdl = build.compute.gpu}),
        head_(build, config_, false, embed_),
        data_(build.context, config_) {
    for (int64_t i = 0; i < config_.layers; ++i)
      layers_.push_back(
          {norm_weight(build, layer_tensor(i, "input_layernorm.weight"), config_.hidden, false),
           norm_weight(build, layer_tensor(i, "post_attention_layernorm.weight"), config_.hidden, false),
           SelfAttention(build, config_, i, {.global = config_.is_global(i)}),
           FeedForward(build, config_, i, true)});
  }

  int64_t weight_bytes() const override {
    int64_t bytes = head_.bytes() + embed_.bytes();
    for (const auto& layer : layers_) bytes += layer.attention.bytes() + layer.feed_forward.bytes();
    return bytes;
  }

  void forward(const Step& step, KvCache& cache, runtime::DevicePointer out) override {
    rope_.prepare(step);
    auto tiles = layers_[0].attention.kernel().tiles(step);
    data_.load(step, rope_.places(step), tiles.several, tiles.single);
    const uint64_t addresses[] = {rope_.table().address, cache.id, out.address};
    graphs_.run(data_, addresses, [&] { launch(cache, out); });
  }

 private:
  void launch(KvCache& cache, runtime::DevicePointer out) {
    auto x = data_.room(data_.x, config_.hidden), h = data_.room(data_.h, config_.hidden);
    embed_(data_, x);
    for (auto& layer : layers_) {
      norm_(data_.stream, x, layer.attention_norm, h, data_.tokens);
      layer.attention(data_, rope_, cache, h, x);
      norm_(data_.stream, x, layer.feed_forward_norm, h, data_.tokens);
      layer.feed_forward(data_, h, x);
    }
    head_(data_, x, out);
  }

  struct Layer {
    runtime::Buffer attention_norm, feed_forward_norm;
    SelfAttention attention;
    FeedForward feed_forward;
  };

  TokenEmbedding embed_;
  RopeTable rope_;
  kernels::RmsNorm norm_;
  std::vector<Layer> layers_;
  OutputHead head_;
  StepData data_;
  StepGraphs graphs_;
};

}  // namespace

std::unique_ptr<Decoder> make_llama(const Build& build, DecoderConfig config) {
  return std::make_unique<Llama>(build, std::move(config));
}

DecoderConfig configure_llama(const Checkpoint& checkpoint) {
  auto c = read_common_config(checkpoint);
  // Converters to GGUF put the two elements of a rotary pair side by side.
  if (checkpoint.is_gguf()) c.rope_style = "interleaved";
  set_window(checkpoint, c, checkpoint.find_integer("", "attention.sliding_window").value_or(0),
             [](int64_t) { return true; });
  return c;
}

DecoderConfig configure_mistral(const Checkpoint& checkpoint) {
  DecoderConfig defaults;
  defaults.kv_heads = 8;
  auto c = read_common_config(checkpoint, defaults);
  // null means that there is no window, and silence means one of 4096 tokens.
  int64_t silent =
      checkpoint.config().is_object() && !checkpoint.config().contains("sliding_window") ? 4096 : 0;
  set_window(checkpoint, c,
             checkpoint.find_integer("sliding_window", "attention.sliding_window").value_or(silent),
             [](int64_t) { return true; });
  return c;
}

namespace {

// Qwen's files name a window even where none is used.
void set_qwen_window(const Checkpoint& checkpoint, DecoderConfig& c) {
  if (checkpoint.is_gguf() ||
      !flag_of(checkpoint.config(), *checkpoint.files().config, "use_sliding_window", false))
    return;
  set_window(checkpoint, c, checkpoint.find_integer("sliding_window", "").value_or(4096),
             [](int64_t) { return true; });
  if (checkpoint.config().contains("layer_types")) return;
  const int64_t first = checkpoint.find_integer("max_window_layers", "").value_or(28);
  for (int64_t i = 0; i < c.layers; ++i) c.sliding[static_cast<size_t>(i)] = i >= first;
}

}  // namespace

DecoderConfig configure_qwen2(const Checkpoint& checkpoint) {
  auto c = read_common_config(checkpoint);
  set_qwen_window(checkpoint, c);
  return c;
}

DecoderConfig configure_qwen3(const Checkpoint& checkpoint) {
  DecoderConfig defaults;
  defaults.head_dim = checkpoint.is_gguf() ? 0 : 128;
  auto c = read_common_config(checkpoint, defaults);
  c.qk_norm = true;
  set_qwen_window(checkpoint, c);
  return c;
}

}  // namespace rose::models
