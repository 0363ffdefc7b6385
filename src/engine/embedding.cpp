#include "engine/embedding.h"

#include <algorithm>

namespace rose::engine {
namespace {

constexpr size_t kStepTokens = 4096;  // of one forward pass, unless one text has more

}  // namespace

EmbeddingEngine::EmbeddingEngine(models::Encoder& encoder, const models::Vocabulary& vocabulary,
                                 models::SentenceConfig config)
    : encoder_(encoder),
      vocabulary_(vocabulary),
      config_(std::move(config)),
      max_tokens_(
          std::min(config_.max_tokens.value_or(encoder.config().positions), encoder.config().positions)) {
  if (config_.lower_case)
    throw EngineError(
        "sentence_bert_config.json: do_lower_case: only tokenizers that lower the case themselves are "
        "supported");
}

EmbeddingResult EmbeddingEngine::embed(const std::vector<std::string>& texts, const std::string& prompt) {
  EmbeddingResult result;
  models::EncoderStep step;
  const auto width = encoder_.config().hidden;
  auto flush = [&] {
    if (step.tokens.empty()) return;
    auto rows = encoder_.forward(step);
    for (size_t t = 0; t + 1 < step.first_tokens.size(); ++t) {
      auto begin = static_cast<size_t>(step.first_tokens[t] * width),
           end = static_cast<size_t>(step.first_tokens[t + 1] * width);
      result.embeddings.push_back(models::pool(config_.pooling, std::span(rows).subspan(begin, end - begin),
                                               width, config_.normalize));
    }
    step = {};
  };
  for (const auto& text : texts) {
    auto all = vocabulary_.tokenizer().encode_single(prompt + text,
                                                     {.max_length = static_cast<size_t>(max_tokens_)});
    if (all.ids.empty()) throw EngineError("a text has no tokens: there is nothing to embed");
    if (all.ids.size() == static_cast<size_t>(max_tokens_) &&
        vocabulary_.tokenizer().encode(prompt + text).size() > all.ids.size())
      ++result.truncated;
    if (step.tokens.size() + all.ids.size() > kStepTokens) flush();
    step.tokens.insert(step.tokens.end(), all.ids.begin(), all.ids.end());
    step.types.insert(step.types.end(), all.type_ids.begin(), all.type_ids.end());
    step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
    result.prompt_tokens += static_cast<int64_t>(all.ids.size());
  }
  flush();
  return result;
}

}  // namespace rose::engine
