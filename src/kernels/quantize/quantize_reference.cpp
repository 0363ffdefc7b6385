#include <algorithm>
#include <cmath>

#include "ir/small_float.h"
#include "kernels/quantize/quantize.h"

namespace rose::kernels {

void quantize_reference(const QuantizeSpec& spec, const double* x, double* out, double* scales,
                        int64_t rows) {
  int64_t length = spec.scales == "block" ? spec.block : spec.width, blocks = spec.width / length;
  double limit = quantize_limit(spec.out_dtype);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t b = 0; b < blocks; ++b) {
      const double* from = x + r * spec.width + b * length;
      double scale = scales[0];
      if (spec.scales != "tensor") {
        double most = 0;
        for (int64_t i = 0; i < length; ++i) most = std::max(most, std::abs(from[i]));
        scale = most == 0 ? 1 : std::max(most / limit, 0x1p-126);
        if (spec.power_of_two) scale = std::exp2(std::ceil(std::log2(scale)));
        scales[spec.scales == "block" && spec.transposed ? b * rows + r : r * blocks + b] = scale;
      }
      for (int64_t i = 0; i < length; ++i) {
        double q = std::clamp(from[i] / scale, spec.out_dtype == ir::s8 ? -128 : -limit, limit);
        out[r * spec.width + b * length + i] = ir::value_of(spec.out_dtype, ir::bits_of(spec.out_dtype, q));
      }
    }
}

}  // namespace rose::kernels
