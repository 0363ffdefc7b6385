// Encoders of the formats with super-blocks of 256 elements; layouts in blocks.h. Each picks the sub-blocks'
// scales from their extremes, rounds these scales to their few bits, and then rounds the elements against the
// scales as stored.
#include <algorithm>

#include "weights/quantize_blocks.h"

namespace rose::weights {
namespace {

int rounded(float value, int low, int high) {
  return static_cast<int>(
      std::clamp(std::nearbyint(value), static_cast<float>(low), static_cast<float>(high)));
}

// 0 where the divisor is 0, which makes blocks of zeros come out as zeros.
float divided(float value, float divisor) { return divisor == 0 ? 0.0f : value / divisor; }

// Formats of the form step × q - offset: both are unsigned multiples of a super-block scale.
struct AffineScales {
  HalfBytes scale, minimum;
  int scales[16], minima[16];
};

AffineScales choose_affine(const float* in, int sub_blocks, int largest_code, int largest_scale) {
  const int length = 256 / sub_blocks;
  float scales[16] = {}, minima[16] = {};
  for (int k = 0; k < sub_blocks; ++k) {
    const auto [low, high] = std::minmax_element(in + k * length, in + (k + 1) * length);
    minima[k] = std::max(0.0f, -*low);  // the formats can only subtract
    scales[k] = std::max(0.0f, *high + minima[k]) / static_cast<float>(largest_code);
  }
  AffineScales out{};
  out.scale = store_scale(*std::max_element(scales, scales + 16) / static_cast<float>(largest_scale));
  out.minimum = store_scale(*std::max_element(minima, minima + 16) / static_cast<float>(largest_scale));
  for (int k = 0; k < sub_blocks; ++k) {
    out.scales[k] = rounded(divided(scales[k], load_half(out.scale)), 0, largest_scale);
    out.minima[k] = rounded(divided(minima[k], load_half(out.minimum)), 0, largest_scale);
  }
  return out;
}

int affine_code(const AffineScales& s, int k, float value, int largest_code) {
  const float step = load_half(s.scale) * static_cast<float>(s.scales[k]);
  const float offset = load_half(s.minimum) * static_cast<float>(s.minima[k]);
  return rounded(divided(value + offset, step), 0, largest_code);
}

// Formats of the form step × code with signed codes: the element of largest magnitude gets the lowest code,
// the sub-block of largest step the lowest scale.
struct SignedScales {
  HalfBytes scale;
  int scales[16];
};

SignedScales choose_signed(const float* in, int sub_blocks, float lowest_code, int lowest_scale) {
  const int length = 256 / sub_blocks;
  float steps[16] = {};
  for (int k = 0; k < sub_blocks; ++k) steps[k] = signed_peak(in + k * length, length) / lowest_code;
  SignedScales out{};
  out.scale = store_scale(signed_peak(steps, 16) / static_cast<float>(lowest_scale));
  for (int k = 0; k < sub_blocks; ++k) {
    out.scales[k] = rounded(divided(steps[k], load_half(out.scale)), lowest_scale, -lowest_scale - 1);
  }
  return out;
}

float signed_quotient(const SignedScales& s, int k, float value) {
  return divided(value, load_half(s.scale) * static_cast<float>(s.scales[k]));
}

PackedScales pack_scales(const AffineScales& s) {
  PackedScales packed{};
  for (int k = 0; k < 4; ++k) {
    packed.bytes[k] = static_cast<uint8_t>(s.scales[k] | (s.scales[k + 4] >> 4) << 6);
    packed.bytes[k + 4] = static_cast<uint8_t>(s.minima[k] | (s.minima[k + 4] >> 4) << 6);
    packed.bytes[k + 8] = static_cast<uint8_t>((s.scales[k + 4] & 15) | (s.minima[k + 4] & 15) << 4);
  }
  return packed;
}

// Puts the low bits of `value` into a byte that was zeroed before.
void set_bits(uint8_t& byte, int value, int shift) { byte = static_cast<uint8_t>(byte | value << shift); }

}  // namespace

void encode_block(const float* in, BlockQ2_K& block) {
  block = {};
  const AffineScales s = choose_affine(in, 16, 3, 15);
  block.scale = s.scale;
  block.minimum = s.minimum;
  for (int k = 0; k < 16; ++k) block.scales[k] = static_cast<uint8_t>(s.scales[k] | s.minima[k] << 4);
  for (int e = 0; e < 256; ++e) {
    set_bits(block.quants[32 * (e / 128) + e % 32], affine_code(s, e / 16, in[e], 3), 2 * (e / 32 % 4));
  }
}

void encode_block(const float* in, BlockQ3_K& block) {
  block = {};
  const SignedScales s = choose_signed(in, 16, -4, -32);
  block.scale = s.scale;
  for (int k = 0; k < 16; ++k) {
    const int stored = s.scales[k] + 32;
    set_bits(block.scales[k % 8], stored & 15, k < 8 ? 0 : 4);
    set_bits(block.scales[8 + k % 4], stored >> 4, 2 * (k / 4));
  }
  for (int e = 0; e < 256; ++e) {
    const int n = e / 128, j = e / 32 % 4, l = e % 32;
    const int q = rounded(signed_quotient(s, e / 16, in[e]), -4, 3) + 4;
    set_bits(block.quants[32 * n + l], q & 3, 2 * j);
    set_bits(block.high[l], q >> 2, 4 * n + j);
  }
}

void encode_block(const float* in, BlockQ4_K& block) {
  block = {};
  const AffineScales s = choose_affine(in, 8, 15, 63);
  block.scale = s.scale;
  block.minimum = s.minimum;
  block.scales = pack_scales(s);
  for (int e = 0; e < 256; ++e) {
    const int k = e / 32;
    set_bits(block.quants[32 * (k / 2) + e % 32], affine_code(s, k, in[e], 15), 4 * (k % 2));
  }
}

void encode_block(const float* in, BlockQ5_K& block) {
  block = {};
  const AffineScales s = choose_affine(in, 8, 31, 63);
  block.scale = s.scale;
  block.minimum = s.minimum;
  block.scales = pack_scales(s);
  for (int e = 0; e < 256; ++e) {
    const int k = e / 32, q = affine_code(s, k, in[e], 31);
    set_bits(block.quants[32 * (k / 2) + e % 32], q & 15, 4 * (k % 2));
    set_bits(block.high[e % 32], q >> 4, k);
  }
}

void encode_block(const float* in, BlockQ6_K& block) {
  block = {};
  const SignedScales s = choose_signed(in, 16, -32, -128);
  block.scale = s.scale;
  for (int k = 0; k < 16; ++k) block.scales[k] = static_cast<int8_t>(s.scales[k]);
  for (int e = 0; e < 256; ++e) {
    const int n = e / 128, j = e / 32 % 4, l = e % 32;
    const int q = rounded(signed_quotient(s, e / 16, in[e]), -32, 31) + 32;
    set_bits(block.low[64 * n + 32 * (j % 2) + l], q & 15, j < 2 ? 0 : 4);
    set_bits(block.high[32 * n + l], q >> 4, 2 * j);
  }
}

void encode_block(const float* in, BlockIQ4_XS& block) {
  block = {};
  const SignedScales s = choose_signed(in, 8, -127, -32);
  block.scale = s.scale;
  for (int k = 0; k < 8; ++k) {
    const int stored = s.scales[k] + 32;
    set_bits(block.scales_low[k / 2], stored & 15, 4 * (k % 2));
    set_bits(block.scales_high[k / 4], stored >> 4, 2 * (k % 4));
  }
  for (int e = 0; e < 256; ++e) {
    const int k = e / 32, l = e % 32;
    set_bits(block.quants[16 * k + l % 16], nearest_iq4(signed_quotient(s, k, in[e])), l < 16 ? 0 : 4);
  }
}

}  // namespace rose::weights
