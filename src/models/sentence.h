// How a sentence-transformers model turns the vectors of tokens into one vector a text: read from the model's
// own files modules.json, 1_Pooling/config.json, sentence_bert_config.json and
// config_sentence_transformers.json.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/checkpoint.h"

namespace rose::models {

enum class Pooling { kMean, kCls, kLast, kMax };

struct SentenceConfig {
  Pooling pooling = Pooling::kMean;
  bool normalize = false;                      // to length 1
  std::optional<int64_t> max_tokens;           // of a text, special tokens included; longer ones are cut
  bool lower_case = false;                     // before the tokenizer
  std::map<std::string, std::string> prompts;  // by name: put in front of texts
  std::string default_prompt;                  // name of one of them, or ""
};

/// Without modules.json: mean pooling, no normalisation. Throws ModelError for modules that are not
/// supported.
SentenceConfig read_sentence_config(const Checkpoint& checkpoint);

const char* pooling_name(Pooling pooling);
std::optional<Pooling> parse_pooling(std::string_view name);  // "mean", "cls", "last", "max"

/// One vector of `width` elements from the rows of a text's tokens, [tokens, width].
std::vector<float> pool(Pooling pooling, std::span<const float> rows, int64_t width, bool normalize);

}  // namespace rose::models
