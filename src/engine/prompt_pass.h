// Whole texts through a decoder without generation: for scores of texts and for their vectors.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "models/decoder.h"
#include "runtime/context.h"

namespace rose::engine {

/// One thread at a time may call it. Context and decoder must outlive it.
class PromptPass {
 public:
  PromptPass(runtime::Context& context, models::Decoder& decoder);

  enum class Rows { kLast, kAll };
  /// Which text, which of its tokens, and what the model gives there.
  using Visit = std::function<void(size_t text, size_t token, std::span<const float> row)>;
  /// Calls `visit` for the wanted tokens of all texts, of one text in order. What a text gets does not depend
  /// on the others. Texts need at least one token and at most the model's context_length; the caller has
  /// checked it.
  void run(std::span<const std::vector<int32_t>> texts, models::StepOutput output, Rows rows,
           const Visit& visit);

 private:
  void run_group(std::span<const std::vector<int32_t>> texts, size_t first, models::StepOutput output,
                 Rows rows, const Visit& visit);

  runtime::Context& context_;
  models::Decoder& decoder_;
  std::optional<models::KvCache> cache_;
  models::Workspace out_;
};

/// The log-probability of each token of a text but the first, given those before it.
/// Throws EngineError for texts of less than two tokens or more than the context, and for NaN.
struct TextScore {
  std::vector<float> logprobs;  // tokens - 1
  double sum = 0;
  double perplexity = 0;  // e^(-sum / (tokens - 1))
};
TextScore score_text(PromptPass& pass, const models::DecoderConfig& config,
                     const std::vector<int32_t>& tokens);

}  // namespace rose::engine
