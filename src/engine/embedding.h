// The pooling engine: texts to one vector each, through an encoder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/error.h"
#include "models/encoder.h"
#include "models/sentence.h"
#include "models/vocabulary.h"

namespace rose::engine {

struct EmbeddingResult {
  std::vector<std::vector<float>> embeddings;  // one a text
  int64_t prompt_tokens = 0;                   // of all texts, special tokens included
  int64_t truncated = 0;                       // texts that were cut
};

/// One thread at a time may call it. Encoder and vocabulary must outlive it.
class EmbeddingEngine {
 public:
  EmbeddingEngine(models::Encoder& encoder, const models::Vocabulary& vocabulary,
                  models::SentenceConfig config);

  /// Texts are cut at max_tokens(); a vector does not depend on the other texts. `prompt` is put in front of
  /// each.
  EmbeddingResult embed(const std::vector<std::string>& texts, const std::string& prompt = "");

  int64_t max_tokens() const { return max_tokens_; }
  const models::SentenceConfig& config() const { return config_; }

 private:
  models::Encoder& encoder_;
  const models::Vocabulary& vocabulary_;
  models::SentenceConfig config_;
  int64_t max_tokens_;
};

}  // namespace rose::engine
