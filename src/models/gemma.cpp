// Gemma 3 (Gemma team, 2025): as Llama, with norms on both sides of each part, norms of the heads of q and k,
// five sliding-window layers for each global one (with rotary bases of their own), tanh-GELU, and embeddings
// scaled up.
//
//   x = embed(tokens)·√hidden
//   for each layer:  x += norm(Wo·attention(rope(headnorm(Wqkv·norm(x)))))
//                    x += norm(Wdown·(gelu(Wgate·norm(x)) · Wup·norm(x)))
//   logits = Whead·norm(x)
//
// All norms multiply by 1 + weight; GGUF files hold the sum.
#include "models/gemma.h"

#include <cmath>

#include "models/decoder_parts.h"

namespace rose::models {
namespace {

class Gemma3 : public Decoder {
 public:
  Gemma3(runtime::Context& context, const Checkpoint& checkpoint, DecoderConfig config, Precision precision)
      : Decoder(std::move(config)),
        embed_(checkpoint, config_, static_cast<float>(std::sqrt(static_cast<double>(config_.hidden)))),
        global_rope_(context, config_.rope, {}),
        local_rope_(context, local(config_), {}),
        norm_(context, {.dtype = ir::f32, .hidden = config_.hidden, .epsilon = config_.epsilon}),
        add_and_norm_(
            context,
            {.dtype = ir::f32, .hidden = config_.hidden, .epsilon = config_.epsilon, .residual = true}),
        head_(context, checkpoint, config_, precision, !checkpoint.is_gguf()),
        data_(context, config_),
        part_(context) {
    const bool one = !checkpoint.is_gguf();
    for (int64_t i = 0; i < config_.layers; ++i) {
      auto weight = [&](std::string_view name) {
        return norm_weight(context, checkpoint, layer_tensor(i, name), config_.hidden, one);
      };
      layers_.push_back({weight("input_layernorm.weight"), weight("post_attention_layernorm.weight"),
                         weight("pre_feedforward_layernorm.weight"),
                         weight("post_feedforward_layernorm.weight"),
                         SelfAttention(context, checkpoint, config_, i, precision,
                                       {.adds = false, .global = config_.is_global(i), .add_one = one}),
                         FeedForward(context, checkpoint, config_, i, precision, "gelu_tanh", false),
                         config_.is_global(i)});
    }
  }

  int64_t weight_bytes() const override {
    int64_t bytes = head_.bytes();
    for (const auto& layer : layers_) bytes += layer.attention.bytes() + layer.feed_forward.bytes();
    return bytes;
  }

  void forward(const Step& step, KvCache& cache, runtime::DevicePointer logits) override {
    data_.load(step, layers_[0].attention.kernel());
    for (int32_t length : step.lengths) global_rope_.for_positions(length), local_rope_.for_positions(length);
    auto& stream = data_.stream;
    auto x = data_.room(data_.x, config_.hidden), h = data_.room(data_.h, config_.hidden),
         part = data_.room(part_, config_.hidden);
    embed_(stream, step.tokens, x);
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
    head_(data_, step.logit_rows, x, logits);
  }

 private:
  static kernels::RopeParameters local(const DecoderConfig& config) {
    auto rope = config.rope;
    rope.base = config.local_rope_base, rope.scaling = kernels::RopeScaling::kNone;
    return rope;
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
  Workspace part_;
};

}  // namespace

namespace {

// Newer files list the kind of each layer. All known ones repeat: some sliding-window layers, then a global
// one.
void read_layer_types(const Checkpoint& checkpoint, DecoderConfig& c) {
  auto types = checkpoint.config().find("layer_types");
  if (types == checkpoint.config().end() || !types->is_array()) return;
  int64_t first = 0;
  while (first < static_cast<int64_t>(types->size()) &&
         (*types)[static_cast<size_t>(first)] != "full_attention")
    ++first;
  c.global_every = first < static_cast<int64_t>(types->size()) ? first + 1 : 0;
  for (int64_t i = 0; i < c.layers; ++i)
    if (i >= static_cast<int64_t>(types->size()) ||
        ((*types)[static_cast<size_t>(i)] == "full_attention") != c.is_global(i))
      fail("{}: layer_types: this order of layers is not supported", checkpoint.files().config->string());
}

}  // namespace

std::unique_ptr<Decoder> load_gemma3(runtime::Context& context, const Checkpoint& checkpoint,
                                     Precision precision) {
  auto config = read_decoder_config(checkpoint);
  config.qk_norm = true;
  config.window = checkpoint.find_integer("sliding_window", "attention.sliding_window").value_or(0);
  config.global_every =
      checkpoint.find_integer("sliding_window_pattern", "attention.sliding_window_pattern").value_or(6);
  config.local_rope_base =
      checkpoint.find_real("rope_local_base_freq", "rope.local_freq_base").value_or(10000);
  if (!checkpoint.is_gguf()) {
    read_layer_types(checkpoint, config);
    auto rope = checkpoint.config().find("rope_parameters");
    if (rope == checkpoint.config().end())
      config.rope.base = checkpoint.find_real("rope_theta", "").value_or(1e6);
    else if (rope->contains("sliding_attention"))
      config.local_rope_base = (*rope)["sliding_attention"].value("rope_theta", 10000.0);
    config.epsilon = checkpoint.find_real("rms_norm_eps", "").value_or(1e-6);
    if (auto scalar = checkpoint.find_real("query_pre_attn_scalar", ""))
      config.attention_scale = 1 / std::sqrt(*scalar);
  }
  return std::make_unique<Gemma3>(context, checkpoint, std::move(config), precision);
}

}  // namespace rose::models
