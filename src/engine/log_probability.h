// Logarithms of probabilities from a row of logits, on the host.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace rose::engine {

/// ln Σ e^x. NaN when an element is NaN.
inline double log_sum_exp(std::span<const float> logits) {
  float most = -INFINITY;
  for (float x : logits) most = std::max(most, x);
  double sum = 0;
  for (float x : logits) sum += std::exp(double{x} - double{most});
  return double{most} + std::log(sum);
}

}  // namespace rose::engine
