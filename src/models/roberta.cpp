// RoBERTa (Liu et al., 2019) and XLM-RoBERTa (Conneau et al., 2020): BERT whose positions begin behind the
// number of the padding token, which keeps that row for itself.
#include "models/roberta.h"

#include "models/bert.h"
#include "models/encoder_parts.h"
#include "models/post_norm_encoder.h"

namespace rose::models {

EncoderConfig read_roberta(const Checkpoint& checkpoint) {
  auto c = read_bert(checkpoint);
  EncoderFields fields(checkpoint);
  c.padding = fields.integer_or("pad_token_id", 1, 0, c.positions - 2);
  c.first_position = c.padding + 1;
  c.max_tokens = c.positions - c.first_position;
  return c;
}

std::unique_ptr<Encoder> make_roberta(const Build& build, EncoderConfig config) {
  return make_post_norm_encoder(build, std::move(config), bert_names());
}

}  // namespace rose::models
