#include "models/post_norm_encoder.h"

#include "models/encoder_parts.h"

namespace rose::models {
namespace {

class PostNormEncoder : public Encoder {
 public:
  PostNormEncoder(const Build& build, EncoderConfig config, const PostNormNames& names)
      : Encoder(build.context, std::move(config)),
        embed_(build, config_,
               {.word = names.word,
                .position = names.position,
                .segment = names.segment,
                .norm = names.embedding_norm}),
        data_(build) {
    auto norm = [&](const std::string& name) {
      return EncoderNorm(build, name, config_.hidden, config_.epsilon, config_.norm_bias);
    };
    for (int64_t i = 0; i < config_.layers; ++i) {
      std::string layer = fmt::format(fmt::runtime(names.layer), i);
      layers_.push_back(
          {EncoderAttention(build, config_, i,
                            {.qkv = {layer + names.query, layer + names.key, layer + names.value},
                             .output = layer + names.output}),
           norm(layer + names.attention_norm),
           EncoderFeedForward(build, config_, layer + names.up, layer + names.down, false),
           norm(layer + names.output_norm)});
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
    auto x = data_.room(data_.x, config_.hidden);
    embed_(data_, step, x);
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

  EncoderEmbedding embed_;
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

std::unique_ptr<Encoder> make_post_norm_encoder(const Build& build, EncoderConfig config,
                                                const PostNormNames& names) {
  return std::make_unique<PostNormEncoder>(build, std::move(config), names);
}

}  // namespace rose::models
