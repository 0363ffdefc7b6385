#include <cmath>

#include "kernels/norm/layer_norm.h"

namespace rose::kernels {

void layer_norm_reference(const LayerNormSpec& spec, const double* x, double* residual, const double* weight,
                          const double* bias, double* out, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    const double* row = x + r * spec.hidden;
    if (residual) {
      for (int64_t i = 0; i < spec.hidden; ++i) residual[r * spec.hidden + i] += row[i];
      row = residual + r * spec.hidden;
    }
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < spec.hidden; ++i) mean += row[i] / static_cast<double>(spec.hidden);
    for (int64_t i = 0; i < spec.hidden; ++i)
      variance += (row[i] - mean) * (row[i] - mean) / static_cast<double>(spec.hidden);
    double scale = 1 / std::sqrt(variance + spec.epsilon);
    for (int64_t i = 0; i < spec.hidden; ++i)
      out[r * spec.hidden + i] = (row[i] - mean) * scale * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
  }
}

}  // namespace rose::kernels
