#include <cmath>

#include "kernels/norm/rms_norm.h"

namespace rose::kernels {

void rms_norm_reference(const RmsNormSpec& spec, const double* x, double* residual, const double* weight,
                        double* out, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    const double* row = x + r * spec.hidden;
    if (residual) {
      for (int64_t i = 0; i < spec.hidden; ++i) residual[r * spec.hidden + i] += row[i];
      row = residual + r * spec.hidden;
    }
    double squares = 0;
    for (int64_t i = 0; i < spec.hidden; ++i) squares += row[i] * row[i];
    double scale = 1 / std::sqrt(squares / static_cast<double>(spec.hidden) + spec.epsilon);
    for (int64_t i = 0; i < spec.hidden; ++i)
      out[r * spec.hidden + i] = row[i] * scale * (weight[i] + (spec.weight_plus_one ? 1 : 0));
  }
}

}  // namespace rose::kernels
