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

enum class Pooling {
  kMean,
  kCls,           // the first token
  kLast,          // the last token
  kMax,           // of each element
  kWeightedMean,  // the n-th token counts n times
  kMeanSqrt,      // the sum over the root of the number of tokens
};

/// What happens to a pooled vector.
struct SentenceModule {
  enum class Kind { kDense, kNormalize };
  Kind kind = Kind::kNormalize;
  std::filesystem::path folder;  // kDense: of its weights
  int64_t in = 0, out = 0;
  bool bias = true;
  std::string activation;  // a name of kernels/activation; "" for none
};

struct SentenceConfig {
  std::vector<Pooling> pooling{Pooling::kMean};  // several: their vectors one behind the other
  bool include_prompt = true;                    // tokens of a prompt count in the pooling
  std::vector<SentenceModule> modules;           // all but a normalisation at the end
  bool normalize = false;                        // at the end, to length 1
  std::optional<int64_t> max_tokens;             // of a text, special tokens included; longer ones are cut
  bool lower_case = false;                       // before the tokenizer
  std::map<std::string, std::string> prompts;    // by name: put in front of texts
  std::string default_prompt;                    // name of one of them, or ""
};

/// Without modules.json: mean pooling, no normalisation. Throws ModelError naming file and field for what is
/// malformed and for modules that are not supported.
SentenceConfig read_sentence_config(const Checkpoint& checkpoint);

const char* pooling_name(Pooling pooling);
/// "mean", "cls", "last", "max", "weightedmean", "mean_sqrt_len_tokens".
std::optional<Pooling> parse_pooling(std::string_view name);

/// The last part of a class's path, "torch.nn.modules.activation.Tanh", as kernels/activation calls it; ""
/// for Identity, nothing for other functions.
std::optional<std::string> parse_torch_activation(std::string_view path);

/// One vector of `width` elements from the rows of a text's tokens, [tokens, width]. The first `skip` tokens
/// do not count, but the weights of kWeightedMean do count them.
std::vector<float> pool(Pooling pooling, std::span<const float> rows, int64_t width, bool normalize,
                        size_t skip = 0);
/// Scales to length 1; leaves zeros alone.
void normalize(std::span<float> vector);

}  // namespace rose::models
