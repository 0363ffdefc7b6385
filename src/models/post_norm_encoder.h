// The encoder of the original transformer with its norms behind the additions: what BERT, RoBERTa and
// DistilBERT share. They differ in the names of their tensors and in what is added to a token's vector.
//
//   x = layernorm(word[token] + segment[type] + position[place])
//   for each layer:  x = layernorm(x + Wo·attention(Wqkv·x + b) + b)
//                    x = layernorm(x + Wdown·gelu(Wup·x + b) + b)
#pragma once

#include "models/encoder.h"

namespace rose::models {

/// Names of tensors without ".weight" and ".bias"; "{}" in `layer` is the layer's number.
struct PostNormNames {
  std::string word, position, segment;  // whole names; segment is empty where there is none
  std::string embedding_norm;
  std::string layer;  // in front of the following
  std::string query, key, value, output, attention_norm, up, down, output_norm;
};

/// BERT's names, which RoBERTa has too.
PostNormNames bert_names();

std::unique_ptr<Encoder> make_post_norm_encoder(const Build& build, EncoderConfig config,
                                                const PostNormNames& names);

}  // namespace rose::models
