#include "engine/encoder_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/tokenize_ahead.h"
#include "kernels/activation/functions.h"
#include "models/encoder.h"
#include "models/text_head.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::engine {
namespace {

using models::ClassifierConfig;
using models::SentenceModule;

// Tokens of one forward pass, unless one text has more: on x86 its activations stay in the caches.
constexpr int64_t kStepTokensX86 = 1024, kStepTokensGpu = 16384;

class EncoderEngine : public TextEncoder {
 public:
  EncoderEngine(runtime::Context& context, const models::Checkpoint& checkpoint,
                const models::Vocabulary& vocabulary, models::Precision precision)
      : context_(context),
        tokenizer_(vocabulary.tokenizer()),
        sentence_(models::read_sentence_config(checkpoint)) {
    if (models::is_classifier(checkpoint)) classifier_ = models::read_classifier_config(checkpoint);
    encoder_ = models::load_encoder(context, checkpoint, precision);
    const auto& config = encoder_->config();
    max_tokens_ = std::min(sentence_.max_tokens.value_or(config.max_tokens), config.max_tokens);
    if (classifier_)
      head_.emplace(models::load_classifier(context, checkpoint, config, *classifier_));
    else
      load_modules(checkpoint);
    gpu_ = context.properties().kind == runtime::DeviceProperties::Kind::kCuda;
  }

  bool can(TextTask task) const override {
    if (task == TextTask::kEmbed) return !classifier_;
    return classifier_ && (task == TextTask::kClassify || classifier_->labels.size() == 1);
  }
  TextTask main_task() const override {
    if (!classifier_) return TextTask::kEmbed;
    return classifier_->labels.size() == 1 ? TextTask::kScore : TextTask::kClassify;
  }
  std::string description() const override {
    if (!classifier_) return "an embedding model";
    if (classifier_->labels.size() == 1) return "a reranker (a classifier of one label)";
    return fmt::format("a classifier of {} labels", classifier_->labels.size());
  }
  int64_t max_tokens() const override { return max_tokens_; }
  int64_t dimensions() const override { return dimensions_; }
  const models::SentenceConfig& config() const override { return sentence_; }
  const std::vector<std::string>& labels() const override {
    return classifier_ ? classifier_->labels : no_labels_;
  }
  int64_t weight_bytes() const override {
    int64_t bytes = encoder_->weight_bytes() + (head_ ? head_->bytes() : 0);
    for (const auto& module : modules_)
      if (module) bytes += module->bytes();
    return bytes;
  }

 protected:
  TextResult perform(TextTask task, std::span<const TextInput> inputs, const TextOptions& options) override {
    TextResult result;
    result.rows.reserve(inputs.size());
    const int64_t limit = options.max_tokens ? std::min(options.max_tokens, max_tokens_) : max_tokens_;
    const auto step_tokens = static_cast<size_t>(gpu_ ? kStepTokensGpu : kStepTokensX86);
    const size_t skip = prompt_tokens(options);
    std::atomic<int64_t> truncated = 0;
    size_t bytes = 0;
    for (const auto& input : inputs) bytes += input.first.size() + input.second.value_or("").size();
    TokenizeAhead ahead(inputs.size(), bytes, context_.properties().processors, [&](size_t i) {
      return encode(inputs[i], options, static_cast<size_t>(limit), truncated);
    });
    models::EncoderStep step;
    for (size_t i = 0; i < inputs.size(); ++i) {
      auto all = ahead.take(i);
      if (all.ids.empty())
        throw EngineError(fmt::format("input {} has no tokens: there is nothing to work on", i));
      if (!step.tokens.empty() && step.tokens.size() + all.ids.size() > step_tokens)
        flush(step, task, options, skip, result);
      step.tokens.insert(step.tokens.end(), all.ids.begin(), all.ids.end());
      step.types.insert(step.types.end(), all.type_ids.begin(), all.type_ids.end());
      step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
      result.prompt_tokens += static_cast<int64_t>(all.ids.size());
    }
    flush(step, task, options, skip, result);
    result.truncated = truncated;
    return result;
  }

 private:
  void load_modules(const models::Checkpoint& checkpoint) {
    const int64_t hidden = encoder_->config().hidden;
    dimensions_ = hidden * static_cast<int64_t>(sentence_.pooling.size());
    for (const auto& module : sentence_.modules) {
      auto& head = modules_.emplace_back();
      if (module.kind != SentenceModule::Kind::kDense) continue;
      if (module.in != dimensions_)
        throw EngineError(
            fmt::format("{}: in_features: {} does not fit the {} elements of the module before it",
                        (module.folder / "config.json").string(), module.in, dimensions_));
      head.emplace(context_).add(checkpoint.module(module.folder), "linear", module.in, module.out,
                                 module.bias, module.activation);
      dimensions_ = module.out;
    }
  }

  // Tokens of the prompt that the pooling leaves out: those in front of the text, not the one behind it.
  size_t prompt_tokens(const TextOptions& options) const {
    if (sentence_.include_prompt || options.prompt.empty()) return 0;
    auto ids = tokenizer_.encode(prepared(options.prompt));
    if (!ids.empty() && tokenizer_.is_special(ids.back())) ids.pop_back();
    return ids.size();
  }

  std::string prepared(std::string_view text) const {
    if (!sentence_.lower_case) return std::string(text);
    std::string valid(text);
    if (!text::unicode::is_valid(text)) valid = text::unicode::replace_invalid(text);
    return text::unicode::lowercase(valid);
  }

  // Long texts are encoded twice: they are few, and only so it is known that they were cut.
  text::Encoding encode(const TextInput& input, const TextOptions& options, size_t limit,
                        std::atomic<int64_t>& truncated) const {
    std::string first =
        options.prompt.empty() ? prepared(input.first) : prepared(options.prompt + std::string(input.first));
    std::string second = input.second ? prepared(*input.second) : "";
    auto attempt = [&](const text::EncodeOptions& how) {
      return input.second ? tokenizer_.encode_pair(first, second, how) : tokenizer_.encode_single(first, how);
    };
    auto all = attempt({});
    if (all.ids.size() <= limit) return all;
    ++truncated;
    all = attempt({.max_length = limit});
    if (all.ids.size() > limit)
      throw EngineError(fmt::format("max_tokens {}: the special tokens alone are {}", limit, all.ids.size()));
    return all;
  }

  // Runs the step's texts and empties it.
  void flush(models::EncoderStep& step, TextTask task, const TextOptions& options, size_t skip,
             TextResult& result) {
    if (step.tokens.empty()) return;
    auto rows = encoder_->forward(step);
    const auto texts = static_cast<size_t>(step.texts());
    std::vector<float> vectors = pool(step, rows, options, skip);
    vectors = classifier_ ? (*head_)(vectors, step.texts()) : apply_modules(std::move(vectors), texts);
    const size_t width = vectors.size() / texts;
    for (size_t t = 0; t < texts; ++t) {
      std::vector<float> vector(vectors.begin() + static_cast<std::ptrdiff_t>(t * width),
                                vectors.begin() + static_cast<std::ptrdiff_t>((t + 1) * width));
      for (float v : vector)
        if (!std::isfinite(v))
          throw EngineError(fmt::format(
              "the result of input {} is not finite: the weights are damaged or too large for this --dtype",
              result.rows.size()));
      finish(task, options, vector);
      result.rows.push_back(std::move(vector));
    }
    step = {};
  }

  // [texts, hidden × poolings]
  std::vector<float> pool(const models::EncoderStep& step, std::span<const float> rows,
                          const TextOptions& options, size_t skip) const {
    std::vector<models::Pooling> poolings = sentence_.pooling;
    if (classifier_) poolings = {classifier_->pooling};
    if (options.pooling) {
      if (poolings.size() > 1 && !modules_.empty())
        throw EngineError("pooling: this model's further layers need all of its own poolings");
      poolings = {*options.pooling};
    }
    const auto width = encoder_->config().hidden;
    std::vector<float> all;
    for (size_t t = 0; t + 1 < step.first_tokens.size(); ++t) {
      const auto begin = static_cast<size_t>(step.first_tokens[t]),
                 end = static_cast<size_t>(step.first_tokens[t + 1]);
      const auto w = static_cast<size_t>(width);
      auto mine = rows.subspan(begin * w, (end - begin) * w);
      for (auto pooling : poolings) {
        auto vector = models::pool(pooling, mine, width, false, std::min(skip, end - begin - 1));
        all.insert(all.end(), vector.begin(), vector.end());
      }
    }
    return all;
  }

  std::vector<float> apply_modules(std::vector<float> vectors, size_t texts) {
    for (auto& module : modules_) {
      if (module) {
        vectors = (*module)(vectors, static_cast<int64_t>(texts));
        continue;
      }
      const size_t width = vectors.size() / texts;
      for (size_t t = 0; t < texts; ++t) models::normalize(std::span(vectors).subspan(t * width, width));
    }
    return vectors;
  }

  void finish(TextTask task, const TextOptions& options, std::vector<float>& row) const {
    if (task == TextTask::kEmbed) {
      if (options.dimensions) row.resize(static_cast<size_t>(options.dimensions));
      if (options.normalize.value_or(sentence_.normalize)) models::normalize(row);
    } else if (!options.raw) {
      task == TextTask::kScore ? score(row) : classify(row);
    }
  }

  void score(std::vector<float>& row) const {
    if (classifier_->score_activation.empty()) return;
    auto function = kernels::parse_activation("score", classifier_->score_activation);
    for (float& v : row) v = static_cast<float>(kernels::activate_reference(function, v));
  }

  void classify(std::vector<float>& row) const {
    if (classifier_->problem == ClassifierConfig::Problem::kRegression) return;
    if (classifier_->problem == ClassifierConfig::Problem::kMultiLabel) {
      for (float& v : row) v = static_cast<float>(1 / (1 + std::exp(-double{v})));
      return;
    }
    double most = *std::ranges::max_element(row), sum = 0;
    for (float v : row) sum += std::exp(v - most);
    for (float& v : row) v = static_cast<float>(std::exp(v - most) / sum);
  }

  runtime::Context& context_;
  const text::Tokenizer& tokenizer_;
  models::SentenceConfig sentence_;
  std::optional<ClassifierConfig> classifier_;
  std::unique_ptr<models::Encoder> encoder_;
  std::optional<models::TextHead> head_;                  // of a classifier
  std::vector<std::optional<models::TextHead>> modules_;  // of an embedding model; nothing: normalise
  int64_t max_tokens_ = 0, dimensions_ = 0;
  bool gpu_ = false;
  std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TextEncoder> open_encoder_engine(runtime::Context& context,
                                                 const models::Checkpoint& checkpoint,
                                                 const models::Vocabulary& vocabulary,
                                                 models::Precision precision) {
  return std::make_unique<EncoderEngine>(context, checkpoint, vocabulary, precision);
}

}  // namespace rose::engine
