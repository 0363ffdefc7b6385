#include "engine/decoder_text_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "engine/prompt_pass.h"
#include "kernels/activation/functions.h"
#include "models/decoder.h"
#include "models/text_head.h"
#include "weights/dequantize.h"

namespace rose::engine {
namespace {

using models::ClassifierConfig;

// What Qwen3-Reranker was trained on (its model card), around the instruction, the query and the document.
constexpr std::string_view kRerankerBegin =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the "
    "Instruct "
    "provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n";
constexpr std::string_view kRerankerEnd = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
constexpr std::string_view kRerankerInstruction =
    "Given a web search query, retrieve relevant passages that answer the query";

bool is_named_reranker(const models::Checkpoint& checkpoint) {
  std::string name = checkpoint.name() + " " + checkpoint.files().weights.filename().string();
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.find("rerank") != std::string::npos;
}

// "qwen3.pooling_type" of GGUF files.
enum class GgufPooling : int64_t { kNone = 0, kMean = 1, kCls = 2, kLast = 3, kRank = 4 };
std::optional<GgufPooling> gguf_pooling(const models::Checkpoint& checkpoint) {
  if (auto value = checkpoint.find_integer("", "pooling_type"); checkpoint.is_gguf() && value && *value > 0)
    return static_cast<GgufPooling>(*value);
  return std::nullopt;
}

class DecoderTextEncoder : public TextEncoder {
 public:
  DecoderTextEncoder(runtime::Context& context, const models::Checkpoint& checkpoint,
                     const models::Vocabulary& vocabulary, models::Precision precision)
      : name_(checkpoint.name()), tokenizer_(vocabulary.tokenizer()) {
    choose(checkpoint);
    auto config = models::read_decoder_config(checkpoint);
    decoder_ = models::load_decoder(context, checkpoint, {.precision = precision, .head = false});
    pass_.emplace(context, *decoder_);
    max_tokens_ = std::min(sentence_.max_tokens.value_or(config.context_length), config.context_length);
    if (classifier_) {
      load_rows(checkpoint.tensor("score.weight",
                                  {static_cast<int64_t>(classifier_->labels.size()), config.hidden}));
    } else if (task_ == TextTask::kScore) {
      load_answers(checkpoint, config);
    }
  }

  bool can(TextTask task) const override {
    return task == task_ || (task == TextTask::kClassify && classifier_);
  }
  TextTask main_task() const override { return task_; }
  std::string description() const override {
    if (task_ == TextTask::kEmbed) return "an embedding model";
    if (task_ == TextTask::kScore) return "a reranker";
    return fmt::format("a classifier of {} labels", classifier_->labels.size());
  }
  int64_t max_tokens() const override { return max_tokens_; }
  int64_t dimensions() const override { return decoder_->config().hidden; }
  const models::SentenceConfig& config() const override { return sentence_; }
  const std::vector<std::string>& labels() const override {
    return classifier_ ? classifier_->labels : no_labels_;
  }
  int64_t weight_bytes() const override {
    return decoder_->weight_bytes() + static_cast<int64_t>(rows_.size() * sizeof(float));
  }

 protected:
  TextResult perform(TextTask task, std::span<const TextInput> inputs, const TextOptions& options) override {
    TextResult result;
    const auto limit =
        static_cast<size_t>(options.max_tokens ? std::min(options.max_tokens, max_tokens_) : max_tokens_);
    std::vector<std::vector<int32_t>> texts;
    for (const auto& input : inputs) {
      texts.push_back(encode(input, options, limit, result.truncated));
      if (texts.back().empty())
        throw EngineError(
            fmt::format("input {} has no tokens: there is nothing to work on", texts.size() - 1));
      result.prompt_tokens += static_cast<int64_t>(texts.back().size());
    }
    const auto pooling =
        options.pooling.value_or(task == TextTask::kEmbed ? sentence_.pooling.at(0) : models::Pooling::kLast);
    const bool last = pooling == models::Pooling::kLast;
    const auto width = static_cast<size_t>(dimensions());
    const size_t skip = prompt_tokens(options);
    std::vector<float> tokens;  // of the text under way
    pass_->run(texts, models::StepOutput::kHidden, last ? PromptPass::Rows::kLast : PromptPass::Rows::kAll,
               [&](size_t text, size_t at, std::span<const float> row) {
                 tokens.insert(tokens.end(), row.begin(), row.end());
                 if (at + 1 < texts[text].size()) return;
                 auto vector = models::pool(pooling, tokens, static_cast<int64_t>(width), false,
                                            last ? 0 : std::min(skip, texts[text].size() - 1));
                 tokens.clear();
                 result.rows.resize(texts.size());
                 result.rows[text] = finish(task, options, std::move(vector), text);
               });
    return result;
  }

 private:
  // What the model was trained for.
  void choose(const models::Checkpoint& checkpoint) {
    const auto pooling = gguf_pooling(checkpoint);
    if (!checkpoint.is_gguf() && models::is_classifier(checkpoint)) {
      classifier_ = models::read_classifier_config(checkpoint);
      task_ = classifier_->labels.size() == 1 ? TextTask::kScore : TextTask::kClassify;
      asks_ = task_ == TextTask::kScore && is_named_reranker(checkpoint);
    } else if (pooling == GgufPooling::kRank || (!pooling && is_named_reranker(checkpoint))) {
      task_ = TextTask::kScore, asks_ = true;
    } else if (pooling) {
      sentence_.pooling = {*pooling == GgufPooling::kMean  ? models::Pooling::kMean
                           : *pooling == GgufPooling::kCls ? models::Pooling::kCls
                                                           : models::Pooling::kLast};
      sentence_.normalize = true;
    } else if (checkpoint.files().modules) {
      sentence_ = models::read_sentence_config(checkpoint);
      for (const auto& module : sentence_.modules)
        if (module.kind == models::SentenceModule::Kind::kDense)
          throw EngineError(fmt::format("{}: dense modules behind a decoder are not supported",
                                        checkpoint.files().modules->string()));
      if (sentence_.pooling.size() != 1)
        throw EngineError(fmt::format("{}: a decoder with several poolings is not supported",
                                      checkpoint.files().modules->string()));
    } else {
      throw EngineError(
          fmt::format("{} is a language model ('{}') that was not trained for vectors or scores of texts (it "
                      "has no modules.json "
                      "and no classification head); use `rose generate`",
                      name_, checkpoint.architecture()));
    }
  }

  void load_rows(const weights::Tensor& tensor) { rows_ = weights::dequantize(tensor); }

  // The output head's rows of "no" and "yes": all that a reranker needs of it.
  void load_answers(const models::Checkpoint& checkpoint, const models::DecoderConfig& config) {
    if (checkpoint.tensors().contains(
            "cls.output.weight")) {  // llama.cpp's converter keeps them apart, yes first
      load_rows(checkpoint.tensor("cls.output.weight", {2, config.hidden}));
      std::rotate(rows_.begin(), rows_.begin() + config.hidden, rows_.end());
      return;
    }
    const bool own = !config.tied && checkpoint.find("lm_head.weight");
    const auto& head = checkpoint.tensor(own ? "lm_head.weight" : "model.embed_tokens.weight",
                                         {config.vocab, config.hidden});
    for (const char* answer : {"no", "yes"}) {
      auto id = tokenizer_.token_to_id(answer);
      if (!id || static_cast<int64_t>(*id) >= config.vocab)
        throw EngineError(
            fmt::format("{}: a reranker of this kind answers yes or no, and the vocabulary has no "
                        "token '{}'",
                        name_, answer));
      std::vector<float> row(static_cast<size_t>(config.hidden));
      weights::dequantize(head.format, head.bytes.subspan(*id * head.row_bytes(), head.row_bytes()), row);
      rows_.insert(rows_.end(), row.begin(), row.end());
    }
  }

  static std::vector<int32_t> ids_of(const std::vector<text::TokenId>& ids) {
    return {ids.begin(), ids.end()};
  }

  std::vector<int32_t> encode(const TextInput& input, const TextOptions& options, size_t limit,
                              int64_t& truncated) const {
    if (asks_ && input.second) return encode_question(input, options, limit, truncated);
    const std::string first = options.prompt + std::string(input.first);
    auto attempt = [&](const text::EncodeOptions& how) {
      return input.second ? tokenizer_.encode_pair(first, *input.second, how).ids
                          : tokenizer_.encode(first, how);
    };
    auto ids = attempt({});
    if (ids.size() > limit) {
      ++truncated;
      ids = attempt({.max_length = limit});
    }
    return ids_of(ids);
  }

  // The middle is cut where the whole would be too long, as the model card does.
  std::vector<int32_t> encode_question(const TextInput& input, const TextOptions& options, size_t limit,
                                       int64_t& truncated) const {
    auto plain = [&](std::string_view text) {
      return tokenizer_.encode(text, {.add_special_tokens = false});
    };
    auto ids = plain(kRerankerBegin);
    const auto end = plain(kRerankerEnd);
    if (limit <= ids.size() + end.size())
      throw EngineError(fmt::format("max_tokens {}: what stands around the texts alone has {} tokens", limit,
                                    ids.size() + end.size()));
    const std::string_view instruction =
        options.instruction.empty() ? kRerankerInstruction : std::string_view(options.instruction);
    auto middle = plain(
        fmt::format("<Instruct>: {}\n<Query>: {}\n<Document>: {}", instruction, input.first, *input.second));
    if (size_t room = limit - ids.size() - end.size(); middle.size() > room) ++truncated, middle.resize(room);
    ids.insert(ids.end(), middle.begin(), middle.end());
    ids.insert(ids.end(), end.begin(), end.end());
    return ids_of(ids);
  }

  size_t prompt_tokens(const TextOptions& options) const {
    if (sentence_.include_prompt || options.prompt.empty()) return 0;
    auto ids = tokenizer_.encode(options.prompt);
    while (!ids.empty() && tokenizer_.is_special(ids.back())) ids.pop_back();
    return ids.size();
  }

  std::vector<float> finish(TextTask task, const TextOptions& options, std::vector<float> vector,
                            size_t input) const {
    for (float v : vector)
      if (!std::isfinite(v))
        throw EngineError(fmt::format(
            "the result of input {} is not finite: the weights are damaged or too large for this --dtype",
            input));
    if (task == TextTask::kEmbed) {
      if (options.dimensions) vector.resize(static_cast<size_t>(options.dimensions));
      if (options.normalize.value_or(sentence_.normalize)) models::normalize(vector);
      return vector;
    }
    std::vector<double> logits;
    for (size_t at = 0; at < rows_.size(); at += vector.size()) {
      double sum = 0;
      for (size_t e = 0; e < vector.size(); ++e) sum += double{rows_[at + e]} * vector[e];
      logits.push_back(sum);
    }
    if (!classifier_) {  // no and yes: the probability of yes among the two
      const double margin = logits[1] - logits[0];
      return {static_cast<float>(options.raw ? margin : 1 / (1 + std::exp(-margin)))};
    }
    if (!options.raw) activate(task, logits);
    return {logits.begin(), logits.end()};
  }

  void activate(TextTask task, std::vector<double>& logits) const {
    using Problem = ClassifierConfig::Problem;
    if (task == TextTask::kScore) {
      if (classifier_->score_activation.empty()) return;
      auto function = kernels::parse_activation("score", classifier_->score_activation);
      for (double& v : logits) v = kernels::activate_reference(function, v);
    } else if (classifier_->problem == Problem::kMultiLabel) {
      for (double& v : logits) v = 1 / (1 + std::exp(-v));
    } else if (classifier_->problem == Problem::kSingleLabel) {
      const double most = *std::ranges::max_element(logits);
      double sum = 0;
      for (double& v : logits) sum += v = std::exp(v - most);
      for (double& v : logits) v /= sum;
    }
  }

  std::string name_;
  const text::Tokenizer& tokenizer_;
  models::SentenceConfig sentence_;
  std::optional<ClassifierConfig> classifier_;
  TextTask task_ = TextTask::kEmbed;
  bool asks_ = false;        // pairs become Qwen3-Reranker's question
  std::vector<float> rows_;  // [answers or labels, hidden]
  std::unique_ptr<models::Decoder> decoder_;
  std::optional<PromptPass> pass_;
  int64_t max_tokens_ = 0;
  std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TextEncoder> open_decoder_text_encoder(runtime::Context& context,
                                                       const models::Checkpoint& checkpoint,
                                                       const models::Vocabulary& vocabulary,
                                                       models::Precision precision) {
  return std::make_unique<DecoderTextEncoder>(context, checkpoint, vocabulary, precision);
}

}  // namespace rose::engine
