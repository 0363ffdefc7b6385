#include "engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "engine/generation_sequence.h"

namespace rose::engine {
namespace {

int64_t blocks_for(int64_t tokens, int64_t block_size) { return (tokens + block_size - 1) / block_size; }

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
  expect(std::isfinite(s.presence), "the presence penalty", s.presence, "use a finite number");
  expect(std::isfinite(s.frequency), "the frequency penalty", s.frequency, "use a finite number");
  for (auto [token, bias] : s.logit_bias) {
    expect(token >= 0 && token < vocab, "a token of the logit bias", token,
           fmt::format("the model has {} tokens", vocab));
    expect(bias < INFINITY, "a logit bias", bias, "use a finite number, or -inf to forbid the token");
  }
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

GenerationEngine::GenerationEngine(runtime::Context& context, models::Decoder& decoder,
                                   const models::Vocabulary* vocabulary, const EngineOptions& options)
    : context_(context),
      decoder_(decoder),
      vocabulary_(vocabulary),
      options_(options),
      compute_(models::compute_on(context.properties())),
      context_length_(std::min(decoder.config().context_length, cache_tokens(options, decoder.config()))),
      cache_(context, decoder.config(),
             blocks_for(cache_tokens(options, decoder.config()), compute_.block_size), compute_.block_size),
      pool_(cache_.blocks),
      logits_(context),
      settings_(context),
      counts_(context),
      bias_(context),
      scratch_(context),
      tokens_(context),
      flags_(context),
      logprobs_(context) {
  if (options_.prompt_chunk <= 0) options_.prompt_chunk = compute_.prompt_chunk;
  if (options_.keep_prefix)
    options_.prompt_chunk = blocks_for(options_.prompt_chunk, compute_.block_size) * compute_.block_size;
}

GenerationEngine::~GenerationEngine() = default;

int64_t GenerationEngine::cache_bytes() const {
  return cache_.blocks * cache_.block_size * models::KvCache::bytes_per_token(decoder_.config(), compute_);
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
  expect(request.top_logprobs >= 0 && request.top_logprobs <= 1000, "the number of top log-probabilities",
         request.top_logprobs, "use 0 to 1000");
  check(request.sampling, decoder_.config().vocab);
  if (!vocabulary_ && !request.stop_strings.empty())
    throw EngineError(
        "stop strings need a vocabulary, and this engine was made without one; use stop tokens");
  int64_t budget = std::min(request.max_tokens, context_length_ - prompt);
  auto s = std::make_unique<Sequence>(next_id_++, std::move(request), vocabulary_, budget);
  s->tokens = s->request.prompt;
  s->result.prompt_tokens = prompt;
  s->result.seed = s->request.sampling.seed.value_or(std::random_device{}() |
                                                     static_cast<uint64_t>(std::random_device{}()) << 32);
  if (const auto& o = s->request.sampling; o.repetition != 1 || o.presence != 0 || o.frequency != 0) {
    s->counts.assign(static_cast<size_t>(decoder_.config().vocab), 0);
    for (int32_t token : s->tokens) s->counts[static_cast<size_t>(token)] |= kernels::kInPrompt;
  }
  waiting_.push_back(std::move(s));
  return waiting_.back()->id;
}

// A request starts when there are blocks for all the tokens that it may come to.
void GenerationEngine::admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.batch) {
    if (!find_room(*waiting_.front())) return;
    running_.push_back(std::move(waiting_.front()));
    waiting_.erase(waiting_.begin());
  }
}

bool GenerationEngine::find_room(Sequence& s) {
  const int64_t need = blocks_for(s.result.prompt_tokens + s.budget, compute_.block_size),
                reuse = reusable(s);
  const auto kept = static_cast<std::ptrdiff_t>(reuse / compute_.block_size);
  std::vector<int32_t> blocks(kept_blocks_.begin(), kept_blocks_.begin() + kept);
  pool_.give_back({kept_blocks_.begin() + kept, kept_blocks_.end()});
  kept_blocks_.clear(), kept_tokens_.clear();
  if (int64_t more = need - kept; more > 0) {
    auto taken = pool_.take(more);
    if (taken.empty()) {
      pool_.give_back(blocks);
      return false;
    }
    blocks.insert(blocks.end(), taken.begin(), taken.end());
  }
  s.blocks = std::move(blocks);
  s.cached = s.result.reused_tokens = reuse;
  return true;
}

// Tokens of the prompt that the cache still holds, as they would be computed anew: whole blocks of the last
// prompt (not of its answer, whose tokens went through the model one by one, which rounds differently), and
// at least two tokens less than the prompt, so that its end is computed together as it would be without the
// cache.
int64_t GenerationEngine::reusable(const Sequence& s) const {
  const int64_t boundary = decoder_.config().rope_switch;
  auto known = std::min(kept_tokens_.size(), s.tokens.size() - std::min<size_t>(2, s.tokens.size()));
  if (boundary && (static_cast<int64_t>(kept_tokens_.size()) > boundary) !=
                      (static_cast<int64_t>(s.tokens.size()) > boundary))
    return 0;
  auto same =
      std::ranges::mismatch(std::span(kept_tokens_).first(known), std::span(s.tokens).first(known)).in1 -
      std::span(kept_tokens_).begin();
  return same / compute_.block_size * compute_.block_size;
}

// Its blocks become free, or are kept for a prompt that begins alike.
void GenerationEngine::retire(Sequence& s) {
  const int64_t prompt = s.result.prompt_tokens, boundary = decoder_.config().rope_switch;
  const bool turned = boundary && prompt <= boundary && s.beyond;
  if (!options_.keep_prefix || turned || s.cached < prompt) return pool_.give_back(s.blocks);
  pool_.give_back(kept_blocks_);
  const auto keep = static_cast<std::ptrdiff_t>(prompt / compute_.block_size);
  kept_blocks_.assign(s.blocks.begin(), s.blocks.begin() + keep);
  pool_.give_back({s.blocks.begin() + keep, s.blocks.end()});
  kept_tokens_.assign(s.tokens.begin(), s.tokens.begin() + keep * compute_.block_size);
}

// Beyond some number of tokens all keys of a sequence turn by other angles (rope_switch): they are computed
// again.
void GenerationEngine::turn_anew(Sequence& s) {
  const auto all = static_cast<int64_t>(s.tokens.size()), boundary = decoder_.config().rope_switch;
  if (!boundary || all <= boundary || s.beyond) return;
  s.beyond = true;
  s.cached = s.result.prompt_tokens > boundary ? s.cached : 0;
}

// Which requests share a forward step: all of them, or, where the device computes prompts in another way
// than single tokens, each prompt for itself and those that generate together.
std::vector<std::vector<GenerationEngine::Sequence*>> GenerationEngine::groups() {
  for (auto& s : running_) turn_anew(*s);
  std::vector<std::vector<Sequence*>> groups(1);
  if (compute_.mixed_steps) {
    for (auto& s : running_) groups[0].push_back(s.get());
    return groups;
  }
  std::vector<Sequence*> prompts;
  for (auto& s : running_) {
    if (static_cast<int64_t>(s->tokens.size()) - s->cached > 1) {
      prompts.push_back(s.get());
      continue;
    }
    if (static_cast<int64_t>(groups.back().size()) == compute_.decode_rows) groups.emplace_back();
    groups.back().push_back(s.get());
  }
  if (groups[0].empty()) groups.clear();
  for (auto* s : prompts) groups.push_back({s});
  return groups;
}

// The next tokens of some requests. Those whose last token's logits are rows of the step join `sampled`.
models::Step GenerationEngine::gather(const std::vector<Sequence*>& group, std::vector<Sequence*>& sampled) {
  models::Step step;
  step.first_tokens = {0};
  // A power of two: steps of equal shape can be replayed.
  step.table_width = 8;
  for (auto* s : group)
    while (step.table_width < static_cast<int64_t>(s->blocks.size())) step.table_width *= 2;
  for (auto* s : group) {
    const auto all = static_cast<int64_t>(s->tokens.size());
    // Chunks end at places that do not depend on where the cache's part ends.
    const int64_t end = std::min(all, (s->cached / options_.prompt_chunk + 1) * options_.prompt_chunk);
    for (int64_t i = s->cached; i < end; ++i) {
      step.tokens.push_back(s->tokens[static_cast<size_t>(i)]);
      step.positions.push_back(static_cast<int32_t>(i));
      step.slots.push_back(int64_t{s->blocks[static_cast<size_t>(i / compute_.block_size)]} *
                               compute_.block_size +
                           i % compute_.block_size);
    }
    s->cached = end;
    step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
    step.lengths.push_back(static_cast<int32_t>(end)), step.known.push_back(static_cast<int32_t>(all));
    step.block_table.insert(step.block_table.end(), s->blocks.begin(), s->blocks.end());
    step.block_table.resize(step.lengths.size() * static_cast<size_t>(step.table_width), 0);
    if (end == all) {
      step.logit_rows.push_back(static_cast<int32_t>(step.tokens.size()) - 1);
      sampled.push_back(s);
    }
  }
  return step;
}

bool GenerationEngine::step() {
  admit();
  if (running_.empty()) return false;
  std::vector<Sequence*> sampled;
  const int64_t row_bytes = decoder_.config().vocab * 4;
  auto logits = logits_.at_least(static_cast<int64_t>(running_.size()) * row_bytes);
  for (const auto& group : groups()) {
    auto first = static_cast<int64_t>(sampled.size());
    auto step = gather(group, sampled);
    decoder_.forward(step, cache_, logits + first * row_bytes);
  }
  if (!sampled.empty()) sample(sampled);
  for (auto& s : running_)
    if (s->done()) {
      retire(*s);
      finished_.emplace(s->id, std::move(s->result));
      s.reset();
    }
  std::erase(running_, nullptr);
  return !running_.empty() || !waiting_.empty();
}

void GenerationEngine::accept(Sequence& s, int32_t token, float logprob) {
  if (s.result.tokens.empty())
    s.result.first_token_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - s.submitted).count();
  if (std::ranges::count(s.request.stop_tokens, token)) {
    if (!s.result.top_logprobs.empty()) s.result.top_logprobs.pop_back();
    return finish(s, FinishReason::kStop);
  }
  s.tokens.push_back(token);
  s.result.tokens.push_back(token);
  if (s.request.logprobs) s.result.logprobs.push_back(logprob);
  if (!s.counts.empty()) ++s.counts[static_cast<size_t>(token)];
  if (s.stream) {
    std::string text = s.stream->push(token);
    s.result.text += text;
    if (!text.empty() && s.request.on_text && !s.request.on_text(text))
      return finish(s, FinishReason::kCancelled);
    if (s.stream->stopped()) return finish(s, FinishReason::kStop);
  }
  if (static_cast<int64_t>(s.result.tokens.size()) >= s.budget) finish(s, FinishReason::kLength);
}

void GenerationEngine::finish(Sequence& s, FinishReason reason) {
  s.result.finish = reason;
  if (reason == FinishReason::kCancelled || !s.stream) return;
  std::string text = s.stream->finish();
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

void GenerationEngine::cancel(int64_t id) {
  for (auto* list : {&waiting_, &running_})
    for (auto& s : *list) {
      if (s->id != id) continue;
      finish(*s, FinishReason::kCancelled);
      retire(*s);
      finished_.emplace(id, std::move(s->result));
      list->erase(list->begin() + (&s - list->data()));
      return;
    }
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
