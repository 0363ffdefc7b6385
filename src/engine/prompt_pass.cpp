#include "engine/prompt_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/log_probability.h"

namespace rose::engine {
namespace {

constexpr int64_t kGroupTokens = 2048;               // of texts that share steps, unless one has more
constexpr int64_t kChunk = 512;                      // tokens of one text in a step
constexpr int64_t kOutputBytes = int64_t{64} << 20;  // of one step's rows

int64_t blocks_for(int64_t tokens, int64_t block_size) { return (tokens + block_size - 1) / block_size; }
int64_t length(const std::vector<int32_t>& text) { return static_cast<int64_t>(text.size()); }

}  // namespace

PromptPass::PromptPass(runtime::Context& context, models::Decoder& decoder)
    : context_(context), decoder_(decoder), out_(context) {}

void PromptPass::run(std::span<const std::vector<int32_t>> texts, models::StepOutput output, Rows rows,
                     const Visit& visit) {
  for (size_t first = 0; first < texts.size();) {
    size_t end = first + 1;
    for (int64_t tokens = length(texts[first]);
         end < texts.size() && (tokens += length(texts[end])) <= kGroupTokens;)
      ++end;
    run_group(texts.subspan(first, end - first), first, output, rows, visit);
    first = end;
  }
}

void PromptPass::run_group(std::span<const std::vector<int32_t>> texts, size_t first,
                           models::StepOutput output, Rows rows, const Visit& visit) {
  const auto& config = decoder_.config();
  const int64_t block_size = models::compute_on(context_.properties()).block_size;
  const int64_t width = output == models::StepOutput::kLogits ? config.vocab : config.hidden;
  // All rows of a chunk are kept at once; its size depends on the model alone.
  const int64_t most_rows = std::clamp<int64_t>(kOutputBytes / (width * 4), 2, kChunk);
  const int64_t chunk = rows == Rows::kAll ? most_rows : kChunk;
  std::vector<int64_t> first_block(1, 0), done(texts.size(), 0);
  int64_t widest = 0;
  for (const auto& text : texts) {
    first_block.push_back(first_block.back() + blocks_for(length(text), block_size));
    widest = std::max(widest, blocks_for(length(text), block_size));
  }
  if (!cache_ || cache_->blocks < first_block.back()) {
    cache_.reset();
    cache_.emplace(context_, config, first_block.back(), block_size);
  }
  while (true) {
    models::Step step;
    step.first_tokens = {0}, step.output = output, step.table_width = widest;
    std::vector<std::pair<size_t, size_t>> wanted;  // text and token of each row
    for (size_t t = 0; t < texts.size(); ++t) {
      const int64_t all = length(texts[t]), end = std::min(all, done[t] + chunk);
      if (done[t] == all || (rows == Rows::kAll && !wanted.empty())) continue;
      for (int64_t i = done[t]; i < end; ++i) {
        if (rows == Rows::kAll || i == all - 1) {
          wanted.emplace_back(t, i);
          step.logit_rows.push_back(static_cast<int32_t>(step.tokens.size()));
        }
        step.tokens.push_back(texts[t][static_cast<size_t>(i)]);
        step.positions.push_back(static_cast<int32_t>(i));
        step.slots.push_back(first_block[t] * block_size + i);
      }
      done[t] = end;
      step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
      step.lengths.push_back(static_cast<int32_t>(end)), step.known.push_back(static_cast<int32_t>(all));
      for (int64_t b = 0; b < widest; ++b)
        step.block_table.push_back(
            static_cast<int32_t>(std::min(first_block[t] + b, first_block[t + 1] - 1)));
    }
    if (step.tokens.empty()) return;
    auto out = out_.at_least(std::max<int64_t>(static_cast<int64_t>(wanted.size()), 1) * width * 4);
    decoder_.forward(step, *cache_, out);
    std::vector<float> values(wanted.size() * static_cast<size_t>(width));
    context_.stream().download(values.data(), out, values.size() * sizeof(float));
    context_.stream().synchronize();
    for (size_t i = 0; i < wanted.size(); ++i)
      visit(first + wanted[i].first, wanted[i].second,
            std::span(values).subspan(i * static_cast<size_t>(width), static_cast<size_t>(width)));
  }
}

TextScore score_text(PromptPass& pass, const models::DecoderConfig& config,
                     const std::vector<int32_t>& tokens) {
  if (tokens.size() < 2)
    throw EngineError(fmt::format(
        "the text has {} tokens; the probability of a token needs one before it, so two are the least",
        tokens.size()));
  if (length(tokens) > config.context_length)
    throw EngineError(fmt::format("the text has {} tokens; the model's context has {}", tokens.size(),
                                  config.context_length));
  for (int32_t token : tokens)
    if (token < 0 || token >= config.vocab)
      throw EngineError(fmt::format("a token of the text is {}; the model has {}", token, config.vocab));
  TextScore score;
  pass.run(std::span(&tokens, 1), models::StepOutput::kLogits, PromptPass::Rows::kAll,
           [&](size_t, size_t at, std::span<const float> logits) {
             if (at + 1 == tokens.size()) return;
             const double logprob = logits[static_cast<size_t>(tokens[at + 1])] - log_sum_exp(logits);
             if (std::isnan(logprob))
               throw EngineError(
                   "the model gave no number for a token's probability (NaN): its weights or this "
                   "program are broken");
             score.logprobs.push_back(static_cast<float>(logprob));
             score.sum += logprob;
           });
  score.perplexity = std::exp(-score.sum / static_cast<double>(tokens.size() - 1));
  return score;
}

}  // namespace rose::engine
