// Encoders of the formats with blocks of 32 elements; layouts in blocks.h, rounding as in ggml.
#include <algorithm>

#include "weights/quantize_blocks.h"

namespace rose::weights {
namespace {

// The scale's reciprocal; 0 for a block of zeros and for scales so small that half rounds them to 0 anyway
// (their reciprocal could be infinite).
float reciprocal(float scale) { return std::fabs(scale) < 1e-30f ? 0.0f : 1.0f / scale; }

// `shifted` is the quotient plus half a step plus the format's offset, so that truncation rounds to nearest.
int truncated(float shifted, int largest) { return std::clamp(static_cast<int>(shifted), 0, largest); }

// Elements j and j + 16 share byte j.
void pack_nibbles(const int (&quants)[32], std::array<uint8_t, 16>& out) {
  for (int j = 0; j < 16; ++j) out[j] = static_cast<uint8_t>((quants[j] & 15) | (quants[j + 16] & 15) << 4);
}

void pack_high_bits(const int (&quants)[32], std::array<uint8_t, 4>& out) {
  out = {};
  for (int e = 0; e < 32; ++e)
    out[e / 8] = static_cast<uint8_t>(out[e / 8] | (quants[e] >> 4 & 1) << (e % 8));
}

// Q4_0 and Q5_0: the element of largest magnitude gets the lowest code, whose magnitude is the largest.
// Returns the scale.
float encode_symmetric(const float* in, int half_range, int (&quants)[32]) {
  const float scale = signed_peak(in, 32) / static_cast<float>(-half_range);
  const float inverse = reciprocal(scale);
  const float shift = static_cast<float>(half_range) + 0.5f;
  for (int e = 0; e < 32; ++e) quants[e] = truncated(in[e] * inverse + shift, 2 * half_range - 1);
  return scale;
}

// Q4_1 and Q5_1: codes 0 … largest from the smallest to the largest element.
void encode_affine(const float* in, int largest, int (&quants)[32], HalfBytes& scale_bytes,
                   HalfBytes& minimum_bytes) {
  const auto [low, high] = std::minmax_element(in, in + 32);
  const float minimum = *low, scale = (*high - minimum) / static_cast<float>(largest);
  scale_bytes = store_scale(scale);
  minimum_bytes = store_scale(minimum);
  const float inverse = reciprocal(scale);
  for (int e = 0; e < 32; ++e) quants[e] = truncated((in[e] - minimum) * inverse + 0.5f, largest);
}

}  // namespace

void encode_block(const float* in, BlockQ4_0& block) {
  int quants[32];
  block.scale = store_scale(encode_symmetric(in, 8, quants));
  pack_nibbles(quants, block.quants);
}

void encode_block(const float* in, BlockQ5_0& block) {
  int quants[32];
  block.scale = store_scale(encode_symmetric(in, 16, quants));
  pack_nibbles(quants, block.quants);
  pack_high_bits(quants, block.high);
}

void encode_block(const float* in, BlockQ4_1& block) {
  int quants[32];
  encode_affine(in, 15, quants, block.scale, block.minimum);
  pack_nibbles(quants, block.quants);
}

void encode_block(const float* in, BlockQ5_1& block) {
  int quants[32];
  encode_affine(in, 31, quants, block.scale, block.minimum);
  pack_nibbles(quants, block.quants);
  pack_high_bits(quants, block.high);
}

void encode_block(const float* in, BlockQ8_0& block) {
  const float scale = std::fabs(signed_peak(in, 32)) / 127.0f;
  const float inverse = reciprocal(scale);
  for (int e = 0; e < 32; ++e)
    block.quants[e] = static_cast<int8_t>(std::clamp(std::round(in[e] * inverse), -127.f, 127.f));
  block.scale = store_scale(scale);
}

int nearest_iq4(float value) {
  int best = 0;
  for (int i = 1; i < 16; ++i) {
    if (std::fabs(value - kIQ4Values[i]) < std::fabs(value - kIQ4Values[best])) best = i;
  }
  return best;
}

void encode_block(const float* in, BlockIQ4_NL& block) {
  const float scale = signed_peak(in, 32) / -127.0f;
  const float inverse = reciprocal(scale);
  int quants[32];
  for (int e = 0; e < 32; ++e) quants[e] = nearest_iq4(in[e] * inverse);
  block.scale = store_scale(scale);
  pack_nibbles(quants, block.quants);
}

// The scale is the power of two that brings the largest element into [4, 8), so that only values beyond 6
// saturate (OCP Microscaling Formats Specification 1.0, section 6.3).
void encode_block(const float* in, BlockMXFP4& block) {
  const float peak = std::fabs(signed_peak(in, 32));
  const int exponent = peak == 0 ? -127 : std::clamp(std::ilogb(peak) - 2, -127, 127);
  block.scale = static_cast<uint8_t>(exponent + 127);
  int quants[32];
  for (int e = 0; e < 32; ++e) {
    quants[e] = float_to_e2m1(static_cast<float>(std::ldexp(in[e], -exponent)));
    if (quants[e] == 8) quants[e] = 0;  // ggml has no negative zero
  }
  pack_nibbles(quants, block.quants);
}

}  // namespace rose::weights
