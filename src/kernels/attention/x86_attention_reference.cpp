#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/x86_attention.h"

namespace rose::kernels {

void x86_attention_reference(const X86AttentionSpec& s, const double* q, const double* k, const double* v,
                             double* out, int64_t queries, int64_t keys) {
  const int64_t d = s.head_dim, group = s.q_heads / s.kv_heads;
  const double scale = s.scale ? s.scale : 1 / std::sqrt(static_cast<double>(d));
  std::vector<double> weights(static_cast<size_t>(keys));
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t h = 0; h < s.q_heads; ++h) {
      const double* query = q + (i * s.q_heads + h) * d;
      const int64_t position = keys - queries + i;
      double highest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t j = 0; j < keys; ++j) {
        bool seen = s.mask == "causal" ? j <= position && (!s.window || j > position - s.window)
                                       : !s.window || std::abs(j - position) <= s.window / 2;
        double score = 0;
        for (int64_t e = 0; e < d; ++e) score += query[e] * k[(j * s.kv_heads + h / group) * d + e];
        score *= scale;
        if (s.softcap) score = s.softcap * std::tanh(score / s.softcap);
        weights[static_cast<size_t>(j)] = seen ? score : -std::numeric_limits<double>::infinity();
        highest = std::max(highest, weights[static_cast<size_t>(j)]);
      }
      for (double& w : weights) sum += w = std::exp(w - highest);
      for (int64_t e = 0; e < d; ++e) {
        double value = 0;
        for (int64_t j = 0; j < keys; ++j)
          value += weights[static_cast<size_t>(j)] * v[(j * s.kv_heads + h / group) * d + e];
        out[(i * s.q_heads + h) * d + e] = value / sum;
      }
    }
}

}  // namespace rose::kernels
