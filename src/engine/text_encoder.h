// The pooling engine's interface: texts, or pairs of texts, become vectors, scores or class probabilities,
// whatever kind of model does it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"
#include "models/linear.h"
#include "models/sentence.h"
#include "models/vocabulary.h"
#include "runtime/context.h"

namespace rose::engine {

enum class TextTask { kEmbed, kScore, kClassify };

/// Borrowed: both texts must outlive the call they are given to. Text that is not valid UTF-8 is repaired as
/// the tokenizer does it.
struct TextInput {
  std::string_view first;                  // a text, or the query of a pair
  std::optional<std::string_view> second;  // the document of a pair
};

struct TextOptions {
  int64_t max_tokens = 0;  // texts are cut to so many tokens; 0: to the model's own limit
  bool raw = false;        // scores and classes: what the last layer gives, without sigmoid or softmax
  // Embeddings:
  std::string prompt;                      // put in front of each text
  std::optional<models::Pooling> pooling;  // else as the model's files say
  std::optional<bool> normalize;           // to length 1; else as the model's files say
  int64_t dimensions = 0;  // the first so many of a Matryoshka model (cut before normalising); 0: all
  // Scores: what the model is told to look for, where it takes such an instruction.
  std::string instruction;
};

struct TextResult {
  std::vector<std::vector<float>>
      rows;                   // one an input: a vector, a score (one element), or one value a label
  int64_t prompt_tokens = 0;  // of all inputs, special tokens included
  int64_t truncated = 0;      // inputs that were cut
};

/// One thread at a time may call it. A row does not depend on the other inputs of its call.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  TextEncoder(const TextEncoder&) = delete;
  TextEncoder& operator=(const TextEncoder&) = delete;

  virtual bool can(TextTask task) const = 0;
  /// The task that the model was made for.
  virtual TextTask main_task() const = 0;
  /// For people: "an embedding model", "a reranker", "a classifier of 3 labels".
  virtual std::string description() const = 0;
  /// Tokens of an input at most, special tokens included.
  virtual int64_t max_tokens() const = 0;
  /// Elements of a full embedding.
  virtual int64_t dimensions() const = 0;
  /// Prompts by name and the default one; pooling and normalisation of embeddings.
  virtual const models::SentenceConfig& config() const = 0;
  /// Names of the classes, in the order of the values of a classify() row.
  virtual const std::vector<std::string>& labels() const = 0;
  virtual int64_t weight_bytes() const = 0;

  /// Throws EngineError when the model cannot do the task (the message says what it is and which command
  /// fits), for inputs without tokens and for options that mean nothing.
  TextResult run(TextTask task, std::span<const TextInput> inputs, const TextOptions& options = {});

 protected:
  TextEncoder() = default;
  /// `task` is one that it can do, and there is an input.
  virtual TextResult perform(TextTask task, std::span<const TextInput> inputs,
                             const TextOptions& options) = 0;
};

/// Makes the text encoder of a checkpoint; context, checkpoint and vocabulary must outlive it. Throws
/// ModelError for an architecture that neither encodes texts nor can be made to, WeightsError for wrong
/// tensors.
std::unique_ptr<TextEncoder> open_text_encoder(runtime::Context& context,
                                               const models::Checkpoint& checkpoint,
                                               const models::Vocabulary& vocabulary,
                                               models::Precision precision);

}  // namespace rose::engine
