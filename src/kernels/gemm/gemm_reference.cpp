#include "kernels/activation/functions.h"
#include "kernels/gemm/gemm.h"

namespace rose::kernels {

void gemm_reference(const GemmSpec& spec, const double* a, const double* weights, const double* bias,
                    const double* residual, double* out, int64_t m) {
  auto activated = [&](double x) {
    return spec.activation == "none" ? x : activate_reference(parse_activation("gemm", spec.activation), x);
  };
  const int64_t columns = spec.out_columns();
  for (int64_t row = 0; row < m; ++row) {
    auto product = [&](int64_t n) {
      double sum = bias ? bias[n] : 0;
      for (int64_t k = 0; k < spec.k; ++k) sum += a[row * spec.k + k] * weights[n * spec.k + k];
      return sum;
    };
    for (int64_t c = 0; c < columns; ++c) {
      double value = spec.gated ? activated(product(gated_row(c, false))) * product(gated_row(c, true))
                                : activated(product(c));
      out[row * columns + c] = value + (residual ? residual[row * columns + c] : 0);
    }
  }
}

}  // namespace rose::kernels
