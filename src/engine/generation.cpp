#include "engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace rose::engine {
namespace {

constexpr int64_t kBlockSize = 32;  // tokens

int64_t blocks_for(int64_t tokens) { return (tokens + kBlockSize - 1) / kBlockSize; }

int64_t cache_tokens(const EngineOptions& options, const models::DecoderConfig& config) {
  return options.cache_tokens ? options.cache_tokens : std::min<int64_t>(config.context_length, 4096);
}

void expect(bool ok, std::string_view what, double value, std::string_view rule) {
  if (!ok) throw EngineError(fmt::format("{} is {}; {}", what, value, rule));
}

void check(const SamplingOptions& s, int64_t vocab) {
  expect(s.temperature >= 0 && std::isfinite(s.temperature), "temperature", s.temperature, "use 0 or more");
  expect(s.top_p > 0 && s.top_p <= 1, "top_p", s.top_p, "use a number above 0, up to 1");
  expect(s.min_p >= 0 && s.min_p < 1, "min_p", s.min_p, "use 0 or more, below 1");
  expect(s.top_k >= 0, "top_k", s.top_k, "use 0 (all) or more");
  expect(s.repetition > 0 && std::isfinite(s.repetition), "the repetition penalty", s.repetition,
         "use a number above 0; 1 is none");
  expect(std::isfinite(s.presence) && std::isfinite(s.frequency), "a penalty", NAN, "use a finite number");
  for (auto [token, bias] : s.logit_bias) {
    expect(token >= 0 && token < vocab, "a token of the logit bias", token,
           fmt::format("the model has {} tokens", vocab));
    expect(!std::isnan(bias), "a logit bias", bias, "use a number");
  }
}

bool has_penalties(const SamplingOptions& s) {
  return s.repetition != 1 || s.presence != 0 || s.frequency != 0;
}

template <typename T>
runtime::DevicePointer put(runtime::Stream& stream, models::Workspace& workspace,
                           const std::vector<T>& values) {
  auto at = workspace.at_least(static_cast<int64_t>(values.size() * sizeof(T)));
  stream.upload(at, values.data(), values.size() * sizeof(T));
  return at;
}

}  // namespace

const char* finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kNone:
      break;
  }
  return "none";
}

// A request on its way.
struct GenerationEngine::Sequence {
  Sequence(int64_t number, GenerationRequest&& r, const text::Tokenizer& tokenizer, int64_t most)
      : id(number), request(std::move(r)), stream(tokenizer, request.stop_strings), budget(most) {}

  int64_t id;
  GenerationRequest request;
  TextStream stream;
  int64_t budget;               // tokens that it may still generate at the start
  std::vector<int32_t> tokens;  // prompt and answer
  int64_t cached = 0;           // tokens whose keys and values the cache holds
  std::vector<int32_t> blocks;
  std::vector<int32_t> counts;  // with penalties: by token, see kernels/sampling/sample.h
  GenerationResult result;
  std::chrono::steady_clock::time_point submitted = std::chrono::steady_clock::now();

  bool done() const { return result.finish != FinishReason::kNone; }
};

GenerationEngine::GenerationEngine(runtime::Context& context, models::Decoder& decoder,
                                   const models::Vocabulary& vocabulary, const EngineOptions& options)
    : context_(context),
      decoder_(decoder),
      vocabulary_(vocabulary),
      options_(options),
      context_length_(std::min(decoder.config().context_length, cache_tokens(options, decoder.config()))),
      cache_(context, decoder.config(), blocks_for(cache_tokens(options, decoder.config())), kBlockSize),
      pool_(cache_.blocks),
      logits_(context),
      settings_(context),
      counts_(context),
      bias_(context),
      scratch_(context),
      tokens_(context),
      flags_(context),
      logprobs_(context) {}

GenerationEngine::~GenerationEngine() = default;

int64_t GenerationEngine::cache_bytes() const {
  return cache_.blocks * cache_.block_size * models::KvCache::bytes_per_token(decoder_.config());
}

int64_t GenerationEngine::submit(GenerationRequest request) {
  auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) throw EngineError("the prompt is empty: a model needs at least one token to go on from");
  if (prompt >= context_length_)
    throw EngineError(
        fmt::format("the prompt has {} tokens; with its answer it must fit into a context of {}", prompt,
                    context_length_));
  expect(request.max_tokens >= 1, "max_tokens", static_cast<double>(request.max_tokens), "use 1 or more");
  for (int32_t token : request.prompt)
    expect(token >= 0 && token < decoder_.config().vocab, "a token of the prompt", token,
           fmt::format("the model has {}", decoder_.config().vocab));
  check(request.sampling, decoder_.config().vocab);
  int64_t budget = std::min(request.max_tokens, context_length_ - prompt);
  auto s = std::make_unique<Sequence>(next_id_++, std::move(request), vocabulary_.tokenizer(), budget);
  s->tokens = s->request.prompt;
  s->result.prompt_tokens = prompt;
  s->result.seed = s->request.sampling.seed.value_or(std::random_device{}() |
                                                     static_cast<uint64_t>(std::random_device{}()) << 32);
  if (has_penalties(s->request.sampling)) {
    s->counts.assign(static_cast<size_t>(decoder_.config().vocab), 0);
    for (int32_t token : s->tokens) s->counts[static_cast<size_t>(token)] |= kernels::kInPrompt;
  }
  waiting_.push_back(std::move(s));
  return waiting_.back()->id;
}

// A request starts when there are blocks for all the tokens that it may come to.
void GenerationEngine::admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.batch) {
    auto& s = *waiting_.front();
    s.blocks = pool_.take(blocks_for(s.result.prompt_tokens + s.budget));
    if (s.blocks.empty()) return;
    running_.push_back(std::move(waiting_.front()));
    waiting_.erase(waiting_.begin());
  }
}

// The next tokens of every running request. `sampled`: those whose last token's logits are row i of the step.
models::Step GenerationEngine::gather(std::vector<Sequence*>& sampled) {
  models::Step step;
  step.first_tokens = {0};
  for (auto& s : running_)
    step.table_width = std::max(step.table_width, static_cast<int64_t>(s->blocks.size()));
  for (auto& s : running_) {
    auto all = static_cast<int64_t>(s->tokens.size()), end = std::min(all, s->cached + options_.prompt_chunk);
    for (int64_t i = s->cached; i < end; ++i) {
      step.tokens.push_back(s->tokens[static_cast<size_t>(i)]);
      step.positions.push_back(static_cast<int32_t>(i));
      step.slots.push_back(int64_t{s->blocks[static_cast<size_t>(i / kBlockSize)]} * kBlockSize +
                           i % kBlockSize);
    }
    s->cached = end;
    step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
    step.lengths.push_back(static_cast<int32_t>(end));
    step.block_table.insert(step.block_table.end(), s->blocks.begin(), s->blocks.end());
    step.block_table.resize(step.lengths.size() * static_cast<size_t>(step.table_width), 0);
    if (end == all) {
      step.logit_rows.push_back(static_cast<int32_t>(step.tokens.size()) - 1);
      sampled.push_back(s.get());
    }
  }
  return step;
}

bool GenerationEngine::step() {
  admit();
  if (running_.empty()) return false;
  std::vector<Sequence*> sampled;
  auto step = gather(sampled);
  auto logits = logits_.at_least(static_cast<int64_t>(std::max<size_t>(sampled.size(), 1)) *
                                 decoder_.config().vocab * 4);
  decoder_.forward(step, cache_, logits);
  if (!sampled.empty()) sample(sampled);
  for (auto& s : running_)
    if (s->done()) {
      pool_.give_back(s->blocks);
      finished_.emplace(s->id, std::move(s->result));
      s.reset();
    }
  std::erase(running_, nullptr);
  return !running_.empty() || !waiting_.empty();
}

void GenerationEngine::sample(const std::vector<Sequence*>& rows) {
  const int64_t vocab = decoder_.config().vocab;
  auto& stream = context_.stream();
  std::vector<kernels::SampleSettings> settings;
  std::vector<int32_t> counts;
  std::vector<float> bias;
  bool logprobs = false;
  for (auto* s : rows) {
    const auto& o = s->request.sampling;
    kernels::SampleSettings row;
    row.temperature = o.temperature, row.top_p = o.top_p, row.min_p = o.min_p, row.top_k = o.top_k;
    row.repetition = o.repetition, row.presence = o.presence, row.frequency = o.frequency;
    row.seed = s->result.seed, row.position = static_cast<uint32_t>(s->tokens.size());
    if (!s->counts.empty()) {
      row.count_row = static_cast<int32_t>(counts.size() / static_cast<size_t>(vocab));
      counts.insert(counts.end(), s->counts.begin(), s->counts.end());
    }
    if (!o.logit_bias.empty()) {
      row.bias_row = static_cast<int32_t>(bias.size() / static_cast<size_t>(vocab));
      bias.resize(bias.size() + static_cast<size_t>(vocab), 0);
      for (auto [token, value] : o.logit_bias) bias[bias.size() - static_cast<size_t>(vocab - token)] = value;
    }
    logprobs |= s->request.logprobs;
    settings.push_back(row);
  }
  kernels::SampleSpec spec;
  spec.dtype = ir::f32, spec.vocab = vocab;
  spec.penalties = !counts.empty(), spec.bias = !bias.empty(), spec.logprob = logprobs;
  auto& sampler = samplers_[spec.penalties + 2 * spec.bias + 4 * spec.logprob];
  if (!sampler) sampler = std::make_unique<kernels::Sample>(context_, spec);

  auto count = static_cast<int64_t>(rows.size());
  kernels::Sample::Arguments a;
  a.logits = logits_.at_least(0), a.settings = put(stream, settings_, settings), a.rows = count;
  if (spec.penalties) a.counts = put(stream, counts_, counts);
  if (spec.bias) a.bias = put(stream, bias_, bias);
  if (spec.penalties || spec.bias) a.workspace = scratch_.at_least(count * vocab * 4);
  a.tokens = tokens_.at_least(count * 4), a.flags = flags_.at_least(count * 4);
  if (spec.logprob) a.logprobs = logprobs_.at_least(count * 4);
  (*sampler)(stream, a);
  std::vector<int32_t> tokens(rows.size()), flags(rows.size());
  std::vector<float> values(rows.size());
  stream.download(tokens.data(), a.tokens, tokens.size() * 4);
  stream.download(flags.data(), a.flags, flags.size() * 4);
  if (spec.logprob) stream.download(values.data(), a.logprobs, values.size() * 4);
  stream.synchronize();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (flags[i])
      throw EngineError(
          "the model gave no number for a token's probability (NaN): its weights or this program are broken");
    accept(*rows[i], tokens[i], values[i]);
  }
}

void GenerationEngine::accept(Sequence& s, int32_t token, float logprob) {
  if (s.result.tokens.empty())
    s.result.first_token_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - s.submitted).count();
  if (std::ranges::count(s.request.stop_tokens, token)) return finish(s, FinishReason::kStop);
  s.tokens.push_back(token);
  s.result.tokens.push_back(token);
  if (s.request.logprobs) s.result.logprobs.push_back(logprob);
  if (!s.counts.empty()) ++s.counts[static_cast<size_t>(token)];
  std::string text = s.stream.push(token);
  s.result.text += text;
  if (!text.empty() && s.request.on_text && !s.request.on_text(text))
    return finish(s, FinishReason::kCancelled);
  if (s.stream.stopped()) return finish(s, FinishReason::kStop);
  if (static_cast<int64_t>(s.result.tokens.size()) >= s.budget) finish(s, FinishReason::kLength);
}

void GenerationEngine::finish(Sequence& s, FinishReason reason) {
  s.result.finish = reason;
  if (reason == FinishReason::kCancelled) return;
  std::string text = s.stream.finish();
  s.result.text += text;
  if (!text.empty() && s.request.on_text) s.request.on_text(text);
}

std::optional<GenerationResult> GenerationEngine::take(int64_t id) {
  auto found = finished_.find(id);
  if (found == finished_.end()) return std::nullopt;
  auto result = std::move(found->second);
  finished_.erase(found);
  return result;
}

GenerationResult GenerationEngine::generate(GenerationRequest request) {
  int64_t id = submit(std::move(request));
  while (true) {
    bool more = step();
    if (auto result = take(id)) return *result;
    if (!more) throw EngineError("the request has vanished");
  }
}

}  // namespace rose::engine
