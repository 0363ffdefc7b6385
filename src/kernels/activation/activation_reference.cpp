#include "kernels/activation/activation.h"
#include "kernels/activation/functions.h"

namespace rose::kernels {

void activation_reference(const ActivationSpec& spec, const double* x, const double* up, double* out,
                          int64_t rows) {
  auto function = parse_activation("activation", spec.function);
  bool packed = spec.form == "packed";
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < spec.width; ++i) {
      const double* gate = x + r * spec.width * (packed ? 2 : 1);
      double factor = packed ? gate[spec.width + i] : up ? up[r * spec.width + i] : 1;
      double active = spec.cap == 0 ? activate_reference(function, gate[i])
                                    : activate_reference(function, gate[i] / spec.cap) * spec.cap;
      out[r * spec.width + i] = active * factor;
    }
}

}  // namespace rose::kernels
