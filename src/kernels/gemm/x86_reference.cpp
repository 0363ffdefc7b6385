#include "kernels/gemm/x86_gemm.h"

namespace rose::kernels {

void x86_gemm_reference(const X86GemmSpec& spec, const double* a, const double* w, const double* bias,
                        const double* residual, double* out, int64_t rows) {
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t n = 0; n < spec.n; ++n) {
      double sum = spec.bias ? bias[n] : 0;
      for (int64_t k = 0; k < spec.k; ++k) sum += a[m * spec.k + k] * w[n * spec.k + k];
      out[m * spec.n + n] = sum + (spec.residual ? residual[m * spec.n + n] : 0);
    }
}

}  // namespace rose::kernels
