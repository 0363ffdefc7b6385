#include <cmath>
#include <limits>
#include <vector>

#include "kernels/softmax/softmax.h"

namespace rose::kernels {

void softmax_reference(const SoftmaxSpec& spec, const double* x, const double* mask, const int32_t* lengths,
                       double* out, int64_t rows, int64_t rows_per_mask, double scale) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> v(static_cast<size_t>(spec.width));
  for (int64_t r = 0; r < rows; ++r) {
    double most = -kInfinity, sum = 0;
    for (int64_t i = 0; i < spec.width; ++i) {
      double value = x[r * spec.width + i] * scale + (mask ? mask[r / rows_per_mask * spec.width + i] : 0);
      if (lengths && i >= lengths[r]) value = -kInfinity;
      most = std::max(most, value);
      v[static_cast<size_t>(i)] = value;
    }
    for (double& value : v) value = most == -kInfinity ? -kInfinity : value - most, sum += std::exp(value);
    for (int64_t i = 0; i < spec.width; ++i) {
      double value = v[static_cast<size_t>(i)];
      out[r * spec.width + i] = spec.log   ? (sum == 0 ? -kInfinity : value - std::log(sum))
                                : sum == 0 ? 0
                                           : std::exp(value) / sum;
    }
  }
}

}  // namespace rose::kernels
