// The choice of each running request's next token.
#include <algorithm>
#include <numeric>

#include "engine/generation_sequence.h"
#include "engine/log_probability.h"

namespace rose::engine {
namespace {

template <typename T>
runtime::DevicePointer put(runtime::Stream& stream, models::Workspace& workspace,
                           const std::vector<T>& values) {
  auto at = workspace.at_least(static_cast<int64_t>(values.size() * sizeof(T)));
  stream.upload(at, values.data(), values.size() * sizeof(T));
  return at;
}

}  // namespace

void GenerationEngine::sample(const std::vector<Sequence*>& rows) {
  const int64_t vocab = decoder_.config().vocab;
  auto& stream = context_.stream();
  std::vector<kernels::SampleSettings> settings;
  std::vector<int32_t> counts;
  std::vector<float> bias;
  bool logprobs = false, greedy = true;
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
    logprobs |= s->request.logprobs, greedy &= o.temperature == 0;
    settings.push_back(row);
  }
  kernels::SampleSpec spec;
  spec.dtype = ir::f32, spec.vocab = vocab;
  spec.penalties = !counts.empty(), spec.bias = !bias.empty(), spec.logprob = logprobs;
  spec.greedy = greedy;  // gives temperature 0 the same tokens as the kernel for all settings
  auto& sampler = samplers_[spec.penalties + 2 * spec.bias + 4 * spec.logprob + 8 * spec.greedy];
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
  add_top_logprobs(rows);
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

// The row's largest logits less the logarithm of the sum of all their powers of e. On the host: few ask.
void GenerationEngine::add_top_logprobs(const std::vector<Sequence*>& rows) {
  const auto vocab = static_cast<size_t>(decoder_.config().vocab);
  std::vector<float> logits(vocab);
  std::vector<int32_t> order(vocab);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto count = std::min(static_cast<size_t>(rows[i]->request.top_logprobs), vocab);
    if (count == 0) continue;
    context_.stream().download(logits.data(), logits_.at_least(0) + static_cast<int64_t>(i * vocab * 4),
                               vocab * 4);
    context_.stream().synchronize();
    const double normalizer = log_sum_exp(logits);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(count),
                              [&](int32_t a, int32_t b) {
                                float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
                                return x != y ? x > y : a < b;
                              });
    auto& list = rows[i]->result.top_logprobs.emplace_back();
    for (size_t k = 0; k < count; ++k)
      list.push_back({order[k], static_cast<float>(logits[static_cast<size_t>(order[k])] - normalizer)});
  }
}

}  // namespace rose::engine
