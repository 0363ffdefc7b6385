// DistilBERT (Sanh et al., 2019): half of BERT's layers, no segments, other names for everything.
#include "models/distilbert.h"

#include "models/encoder_parts.h"
#include "models/post_norm_encoder.h"

namespace rose::models {

EncoderConfig read_distilbert(const Checkpoint& checkpoint) {
  EncoderFields fields(checkpoint);
  EncoderConfig c;
  c.architecture = checkpoint.architecture();
  c.layers = fields.integer("n_layers", 1, 10000);
  c.hidden = fields.integer("dim", 1, 65536);
  c.intermediate = fields.integer("hidden_dim", 1, 65536);
  c.heads = fields.integer("n_heads", 1, 65536);
  if (c.hidden % c.heads) fields.fail("n_heads", fmt::format("{} does not divide dim {}", c.heads, c.hidden));
  c.vocab = fields.integer("vocab_size", 1, 1 << 24);
  c.positions = c.max_tokens = fields.integer("max_position_embeddings", 1, 1 << 24);
  c.activation = fields.activation("activation", "gelu");
  return c;
}

std::unique_ptr<Encoder> make_distilbert(const Build& build, EncoderConfig config) {
  PostNormNames names{.word = "embeddings.word_embeddings.weight",
                      .position = "embeddings.position_embeddings.weight",
                      .segment = "",
                      .embedding_norm = "embeddings.LayerNorm",
                      .layer = "transformer.layer.{}.",
                      .query = "attention.q_lin",
                      .key = "attention.k_lin",
                      .value = "attention.v_lin",
                      .output = "attention.out_lin",
                      .attention_norm = "sa_layer_norm",
                      .up = "ffn.lin1",
                      .down = "ffn.lin2",
                      .output_norm = "output_layer_norm"};
  return make_post_norm_encoder(build, std::move(config), names);
}

}  // namespace rose::models
