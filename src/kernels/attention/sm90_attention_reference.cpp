#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "kernels/attention/sm90_attention.h"

namespace rose::kernels {

void attention_sm90_reference(const AttentionSm90Spec& s, const double* q, const double* k, const double* v,
                              double* out, int64_t queries, int64_t keys) {
  const int64_t d = s.head_dim, group = s.q_heads / s.kv_heads;
  const double scale = s.scale ? s.scale : 1 / std::sqrt(static_cast<double>(d));
  std::vector<double> weights(static_cast<size_t>(keys));
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t h = 0; h < s.q_heads; ++h) {
      const double* query = q + (i * s.q_heads + h) * d;
      const int64_t position = keys - queries + i;
      int64_t first = 0, last = keys - 1;
      if (s.mask == "causal")
        last = position, first = s.window ? std::max<int64_t>(0, position - s.window + 1) : 0;
      else if (s.window)
        first = std::max<int64_t>(0, position - s.window / 2),
        last = std::min(keys - 1, position + s.window / 2);
      double highest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t j = first; j <= last; ++j) {
        const double* key = k + (j * s.kv_heads + h / group) * d;
        double score = 0;
        for (int64_t e = 0; e < d; ++e) score += query[e] * key[e];
        score *= scale;
        if (s.softcap) score = s.softcap * std::tanh(score / s.softcap);
        weights[static_cast<size_t>(j)] = score, highest = std::max(highest, score);
      }
      double* result = out + (i * s.q_heads + h) * d;
      std::fill_n(result, d, 0.0);
      for (int64_t j = first; j <= last; ++j) {
        double w = std::exp(weights[static_cast<size_t>(j)] - highest);
        sum += w;
        const double* value = v + (j * s.kv_heads + h / group) * d;
        for (int64_t e = 0; e < d; ++e) result[e] += w * value[e];
      }
      for (int64_t e = 0; e < d; ++e) result[e] /= sum;
    }
}

}  // namespace rose::kernels
