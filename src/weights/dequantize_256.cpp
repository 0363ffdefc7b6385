// Decoders of the formats with super-blocks of 256 elements; layouts in blocks.h.
#include "weights/dequantize_blocks.h"

namespace rose::weights {

void decode_block(const BlockQ2_K& block, float* out) {
  const float scale = load_half(block.scale), minimum = load_half(block.minimum);
  for (int e = 0; e < 256; ++e) {
    const int n = e / 128, j = e / 32 % 4, l = e % 32;
    const int q = block.quants[32 * n + l] >> (2 * j) & 3;
    const float step = scale * static_cast<float>(block.scales[e / 16] & 15);
    const float offset = minimum * static_cast<float>(block.scales[e / 16] >> 4);
    out[e] = step * static_cast<float>(q) - offset;
  }
}

void decode_block(const BlockQ3_K& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 256; ++e) {
    const int n = e / 128, j = e / 32 % 4, l = e % 32, k = e / 16;
    const int q = (block.quants[32 * n + l] >> (2 * j) & 3) | (block.high[l] >> (4 * n + j) & 1) << 2;
    const int low = k < 8 ? block.scales[k] & 15 : block.scales[k - 8] >> 4;
    const int high = block.scales[8 + k % 4] >> (2 * (k / 4)) & 3;
    const float step = scale * static_cast<float>((low | high << 4) - 32);
    out[e] = step * static_cast<float>(q - 4);
  }
}

void decode_block(const BlockQ4_K& block, float* out) {
  const float scale = load_half(block.scale), minimum = load_half(block.minimum);
  for (int e = 0; e < 256; ++e) {
    const int k = e / 32, l = e % 32;
    const uint8_t pair = block.quants[32 * (k / 2) + l];
    const int q = k % 2 == 0 ? pair & 15 : pair >> 4;
    const float step = scale * static_cast<float>(block.scales.scale(k));
    const float offset = minimum * static_cast<float>(block.scales.minimum(k));
    out[e] = step * static_cast<float>(q) - offset;
  }
}

void decode_block(const BlockQ5_K& block, float* out) {
  const float scale = load_half(block.scale), minimum = load_half(block.minimum);
  for (int e = 0; e < 256; ++e) {
    const int k = e / 32, l = e % 32;
    const uint8_t pair = block.quants[32 * (k / 2) + l];
    const int q = (k % 2 == 0 ? pair & 15 : pair >> 4) | (block.high[l] >> k & 1) << 4;
    const float step = scale * static_cast<float>(block.scales.scale(k));
    const float offset = minimum * static_cast<float>(block.scales.minimum(k));
    out[e] = step * static_cast<float>(q) - offset;
  }
}

void decode_block(const BlockQ6_K& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 256; ++e) {
    const int n = e / 128, j = e / 32 % 4, l = e % 32;
    const uint8_t pair = block.low[64 * n + 32 * (j % 2) + l];
    const int low = j < 2 ? pair & 15 : pair >> 4;
    const int high = block.high[32 * n + l] >> (2 * j) & 3;
    const float step = scale * static_cast<float>(block.scales[e / 16]);
    out[e] = step * static_cast<float>((low | high << 4) - 32);
  }
}

void decode_block(const BlockIQ4_XS& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 256; ++e) {
    const int k = e / 32, l = e % 32;
    const uint8_t pair = block.quants[16 * k + l % 16];
    const int q = l < 16 ? pair & 15 : pair >> 4;
    const float step = scale * static_cast<float>(block.sub_scale(k) - 32);
    out[e] = step * static_cast<float>(kIQ4Values[q]);
  }
}

}  // namespace rose::weights
