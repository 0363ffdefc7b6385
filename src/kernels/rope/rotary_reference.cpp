#include <algorithm>

#include "kernels/rope/rotary.h"

namespace rose::kernels {

void rotate_reference(RopeStyle style, double* elements, const float* angles, int64_t rotary_dim) {
  int64_t half = rotary_dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    bool interleaved = style == RopeStyle::kInterleaved;
    double &a = elements[interleaved ? 2 * i : i], &b = elements[interleaved ? 2 * i + 1 : half + i];
    double cosine = angles[i], sine = angles[half + i], turned = a * cosine - b * sine;
    b = b * cosine + a * sine;
    a = turned;
  }
}

void rotary_reference(const RotarySpec& spec, double* x, const int32_t* positions, const float* table,
                      int64_t tokens, int64_t table_rows) {
  auto style = parse_rope_style("rotary", spec.style);
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t position = std::clamp<int64_t>(positions[t], 0, table_rows - 1);
    for (int64_t h = 0; h < spec.heads; ++h)
      rotate_reference(style, x + (t * spec.heads + h) * spec.head_dim + spec.rotary_offset,
                       table + position * spec.rotary_dim, spec.rotary_dim);
  }
}

}  // namespace rose::kernels
