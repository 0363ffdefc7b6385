#include "models/post_norm_encoder.h"

#include "models/encoder_parts.h"

namespace rose::models {
namespace {

class PostNormEncoder : public Encoder {
 public:
  PostNormEncoder(runtime::Context& context, const Checkpoint& checkpoint, EncoderConfig config,
                  const PostNormNames& names, Precision precision)
      : Encoder(context, std::move(config)),
        embed_(checkpoint, config_, names.word, names.position, names.segment),
        embedding_norm_(norm(checkpoint, names.embedding_norm)),
        data_(context) {
    for (int64_t i = 0; i < config_.layers; ++i) {
      std::string layer = fmt::format(fmt::runtime(names.layer), i);
      layers_.push_back(
          {EncoderAttention(context, checkpoint, config_, i,
                            {.qkv = {layer + names.query, layer + names.key, layer + names.value},
                             .output = layer + names.output},
                            precision),
           norm(checkpoint, layer + names.attention_norm),
           EncoderFeedForward(context, checkpoint, config_, layer + names.up, layer + names.down, false,
                              precision),
           norm(checkpoint, layer + names.output_norm)});
    }
  }

  int64_t weight_bytes() const override {
    int64_t bytes = 0;
    for (const auto& layer : layers_) bytes += layer.attention.bytes() + layer.feed_forward.bytes();
    return bytes;
  }

  runtime::DevicePointer run(const EncoderStep& step) override {
    layers_[0].attention.prepare(data_, step);
    auto x = data_.room(data_.x, config_.hidden);
    embed_(data_.stream, step, x);
    embedding_norm_(data_.stream, x, x, data_.tokens);
    for (auto& layer : layers_) {
      layer.attention(data_, nullptr, x, x);
      layer.attention_norm(data_.stream, x, x, data_.tokens);
      layer.feed_forward(data_, x, x);
      layer.output_norm(data_.stream, x, x, data_.tokens);
    }
    return x;
  }

 private:
  struct Layer {
    EncoderAttention attention;
    EncoderNorm attention_norm;
    EncoderFeedForward feed_forward;
    EncoderNorm output_norm;
  };

  EncoderNorm norm(const Checkpoint& checkpoint, const std::string& name) {
    return EncoderNorm(context_, checkpoint, name, config_.hidden, config_.epsilon, config_.norm_bias);
  }

  EncoderEmbedding embed_;
  EncoderNorm embedding_norm_;
  std::vector<Layer> layers_;
  EncoderData data_;
};

}  // namespace

PostNormNames bert_names() {
  return {.word = "embeddings.word_embeddings.weight",
          .position = "embeddings.position_embeddings.weight",
          .segment = "embeddings.token_type_embeddings.weight",
          .embedding_norm = "embeddings.LayerNorm",
          .layer = "encoder.layer.{}.",
          .query = "attention.self.query",
          .key = "attention.self.key",
          .value = "attention.self.value",
          .output = "attention.output.dense",
          .attention_norm = "attention.output.LayerNorm",
          .up = "intermediate.dense",
          .down = "output.dense",
          .output_norm = "output.LayerNorm"};
}

std::unique_ptr<Encoder> load_post_norm_encoder(runtime::Context& context, const Checkpoint& checkpoint,
                                                EncoderConfig config, const PostNormNames& names,
                                                Precision precision) {
  return std::make_unique<PostNormEncoder>(context, checkpoint, std::move(config), names, precision);
}

}  // namespace rose::models
