#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/sampling/random.h"
#include "kernels/sampling/sample.h"

namespace rose::kernels {

Sampled sample_reference(const SampleSpec& spec, const double* logits, const SampleSettings& settings,
                         const int32_t* counts, const float* bias, std::vector<double>* scores) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  auto n = static_cast<size_t>(spec.vocab);
  std::vector<double> raw(n), v(n);
  Sampled out;
  for (size_t i = 0; i < n; ++i) {
    if (std::isnan(logits[i])) out.flags |= kNanLogits;
    raw[i] =
        std::isnan(logits[i]) ? -kInfinity : std::min<double>(logits[i], std::numeric_limits<float>::max());
    v[i] = raw[i];
    if (bias && settings.bias_row >= 0) v[i] += bias[static_cast<size_t>(settings.bias_row) * n + i];
    if (!counts) continue;
    int32_t count = counts[static_cast<size_t>(settings.count_row) * n + i], output = count & (kInPrompt - 1);
    if (count != 0) v[i] = v[i] > 0 ? v[i] / settings.repetition : v[i] * settings.repetition;
    if (output > 0) v[i] -= output * static_cast<double>(settings.frequency) + settings.presence;
  }
  auto largest = std::max_element(v.begin(), v.end());
  double most = *largest, temperature = settings.temperature;
  if (most == -kInfinity) out.flags |= kNoFiniteLogit;
  std::vector<double> score = v;
  if (!spec.greedy && temperature >= 1e-5 && most > -kInfinity) {
    double lowest = settings.min_p > 0 ? most + temperature * std::log(settings.min_p) : -kInfinity;
    std::vector<double> sorted;
    for (double e : v)
      if (e >= lowest && e > -kInfinity) sorted.push_back(e);
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    if (settings.top_k > 0 && static_cast<size_t>(settings.top_k) < sorted.size())
      lowest = sorted[static_cast<size_t>(settings.top_k) - 1];
    if (settings.top_p < 1) {
      double total = 0, sum = 0, last = most;
      for (double e : sorted)
        if (e >= lowest) total += std::exp((e - most) / temperature);
      for (double e : sorted) {
        if (sum > 0 && sum >= settings.top_p * total) break;
        last = e;
        sum += std::exp((e - most) / temperature);
      }
      lowest = last;
    }
    RandomKey key = random_key(settings.seed, settings.position);
    for (size_t i = 0; i < n; ++i)
      score[i] = v[i] >= lowest && v[i] > -kInfinity
                     ? (v[i] - most) / temperature -
                           std::log(exponential(random_bits(key, static_cast<uint32_t>(i))))
                     : -kInfinity;
  }
  out.token = static_cast<int32_t>(std::max_element(score.begin(), score.end()) - score.begin());
  double level = *std::max_element(raw.begin(), raw.end()), sum = 0;
  for (double e : raw) sum += std::exp(e - level);
  out.logprob = raw[static_cast<size_t>(out.token)] - level - std::log(sum);
  if (scores) *scores = score;
  return out;
}

}  // namespace rose::kernels
