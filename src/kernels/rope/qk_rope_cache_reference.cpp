#include <algorithm>
#include <cmath>

#include "kernels/rope/qk_rope_cache.h"
#include "kernels/rope/rotary.h"

namespace rose::kernels {

void qk_rope_cache_reference(const QkRopeCacheSpec& spec, double* qkv, const double* q_weight,
                             const double* k_weight, const int32_t* positions, const float* table,
                             int64_t tokens, int64_t table_rows) {
  auto style = parse_rope_style("qk_rope_cache", spec.style);
  int64_t heads = spec.q_heads + 2 * spec.kv_heads;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t h = 0; h < spec.q_heads + spec.kv_heads; ++h) {
      double* head = qkv + (t * heads + h) * spec.head_dim;
      if (spec.norm) {
        const double* weight = h < spec.q_heads ? q_weight : k_weight;
        double squares = 0;
        for (int64_t i = 0; i < spec.head_dim; ++i) squares += head[i] * head[i];
        double scale = 1 / std::sqrt(squares / static_cast<double>(spec.head_dim) + spec.epsilon);
        for (int64_t i = 0; i < spec.head_dim; ++i)
          head[i] *= scale * (weight[i] + (spec.weight_plus_one ? 1 : 0));
      }
      if (spec.rotary_dim == 0) continue;
      int64_t position = std::clamp<int64_t>(positions[t], 0, table_rows - 1);
      rotate_reference(style, head, table + position * spec.rotary_dim, spec.rotary_dim);
    }
}

}  // namespace rose::kernels
