// Llama (Touvron et al., 2023) and its kin: pre-norm blocks of rotary attention and a gated feed-forward
// part.
//
//   x = embed(tokens)
//   for each layer:  x += Wo·attention(rope(Wqkv·norm(x)))
//                    x += Wdown·(silu(Wgate·norm(x)) · Wup·norm(x))
//   logits = Whead·norm(x)
//
// Llama 1 to 3, SmolLM2 and Mistral are this with other numbers; Qwen 2 adds biases to q, k and v; Qwen 3
// norms the heads of q and k instead.
#include "models/llama.h"

#include "models/decoder_parts.h"

namespace rose::models {
namespace {

class Llama : public Decoder {
 public:
  Llama(runtime::Context& context, const Checkpoint& checkpoint, DecoderConfig config, Precision precision)
      : Decoder(std::move(config)),
        embed_(checkpoint, config_, 1),
        rope_(context, config_.rope, config_.rope_divisors),
        norm_(context, {.dtype = ir::f32, .hidden = config_.hidden, .epsilon = config_.epsilon}),
        head_(context, checkpoint, config_, precision, false),
        data_(context, config_) {
    for (int64_t i = 0; i < config_.layers; ++i)
      layers_.push_back(
          {norm_weight(context, checkpoint, layer_tensor(i, "input_layernorm.weight"), config_.hidden, false),
           norm_weight(context, checkpoint, layer_tensor(i, "post_attention_layernorm.weight"),
                       config_.hidden, false),
           SelfAttention(context, checkpoint, config_, i, precision, {.global = config_.is_global(i)}),
           FeedForward(context, checkpoint, config_, i, precision, "silu", true)});
  }

  int64_t weight_bytes() const override {
    int64_t bytes = head_.bytes();
    for (const auto& layer : layers_) bytes += layer.attention.bytes() + layer.feed_forward.bytes();
    return bytes;
  }

  void forward(const Step& step, KvCache& cache, runtime::DevicePointer logits) override {
    data_.load(step, layers_[0].attention.kernel());
    for (int32_t length : step.lengths) rope_.for_positions(length);
    auto x = data_.room(data_.x, config_.hidden), h = data_.room(data_.h, config_.hidden);
    embed_(data_.stream, step.tokens, x);
    for (auto& layer : layers_) {
      norm_(data_.stream, x, layer.attention_norm, h, data_.tokens);
      layer.attention(data_, rope_, cache, h, x);
      norm_(data_.stream, x, layer.feed_forward_norm, h, data_.tokens);
      layer.feed_forward(data_, h, x);
    }
    head_(data_, step.logit_rows, x, logits);
  }

 private:
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
};

}  // namespace

std::unique_ptr<Decoder> load_llama(runtime::Context& context, const Checkpoint& checkpoint,
                                    Precision precision) {
  auto config = read_decoder_config(checkpoint);
  // Converters to GGUF put the two elements of a rotary pair side by side.
  if (checkpoint.is_gguf()) config.rope_style = "interleaved";
  config.window = checkpoint.find_integer("sliding_window", "attention.sliding_window").value_or(0);
  config.global_every = 0;
  return std::make_unique<Llama>(context, checkpoint, std::move(config), precision);
}

std::unique_ptr<Decoder> load_qwen2(runtime::Context& context, const Checkpoint& checkpoint,
                                    Precision precision) {
  auto config = read_decoder_config(checkpoint);
  if (checkpoint.config().is_object() && checkpoint.config().value("use_sliding_window", false))
    fail("{}: use_sliding_window: is not supported for {}", checkpoint.files().config->string(),
         config.architecture);
  return std::make_unique<Llama>(context, checkpoint, std::move(config), precision);
}

std::unique_ptr<Decoder> load_qwen3(runtime::Context& context, const Checkpoint& checkpoint,
                                    Precision precision) {
  auto config = read_decoder_config(checkpoint);
  config.qk_norm = true;
  return std::make_unique<Llama>(context, checkpoint, std::move(config), precision);
}

}  // namespace rose::models
