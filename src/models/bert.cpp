// BERT (Devlin et al., 2019): post_norm_encoder.h with learnt positions and two segments.
#include "models/bert.h"

#include "models/encoder_parts.h"
#include "models/post_norm_encoder.h"

namespace rose::models {

EncoderConfig read_bert(const Checkpoint& checkpoint) {
  EncoderFields fields(checkpoint);
  EncoderConfig c;
  c.architecture = checkpoint.architecture();
  c.layers = fields.integer("num_hidden_layers", 1, 10000);
  c.hidden = fields.integer("hidden_size", 1, 65536);
  c.intermediate = fields.integer("intermediate_size", 1, 65536);
  c.heads = fields.integer("num_attention_heads", 1, 65536);
  if (c.hidden % c.heads)
    fields.fail("num_attention_heads", fmt::format("{} does not divide hidden_size {}", c.heads, c.hidden));
  c.vocab = fields.integer("vocab_size", 1, 1 << 24);
  c.positions = c.max_tokens = fields.integer("max_position_embeddings", 1, 1 << 24);
  c.segments = fields.integer_or("type_vocab_size", 2, 1, 1 << 16);
  c.epsilon = fields.positive("layer_norm_eps", 1e-12);
  c.activation = fields.activation("hidden_act", "gelu");
  if (fields.text("position_embedding_type", "absolute") != "absolute")
    fields.fail("position_embedding_type", "only absolute positions are supported");
  if (fields.flag("is_decoder", false)) fields.fail("is_decoder", "only encoders are supported");
  return c;
}

std::unique_ptr<Encoder> make_bert(const Build& build, EncoderConfig config) {
  return make_post_norm_encoder(build, std::move(config), bert_names());
}

}  // namespace rose::models
