// Decoders of the formats with blocks of 32 elements; layouts in blocks.h.
#include "weights/dequantize_blocks.h"

namespace rose::weights {
namespace {

// Element e of 32 nibbles in the order that all these formats share.
int nibble(const std::array<uint8_t, 16>& quants, int e) {
  return e < 16 ? quants[e] & 15 : quants[e - 16] >> 4;
}

int high_bit(const std::array<uint8_t, 4>& high, int e) { return high[e / 8] >> (e % 8) & 1; }

}  // namespace

void decode_block(const BlockQ4_0& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 32; ++e) out[e] = scale * static_cast<float>(nibble(block.quants, e) - 8);
}

void decode_block(const BlockQ4_1& block, float* out) {
  const float scale = load_half(block.scale), minimum = load_half(block.minimum);
  for (int e = 0; e < 32; ++e) out[e] = scale * static_cast<float>(nibble(block.quants, e)) + minimum;
}

void decode_block(const BlockQ5_0& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 32; ++e) {
    const int q = nibble(block.quants, e) | high_bit(block.high, e) << 4;
    out[e] = scale * static_cast<float>(q - 16);
  }
}

void decode_block(const BlockQ5_1& block, float* out) {
  const float scale = load_half(block.scale), minimum = load_half(block.minimum);
  for (int e = 0; e < 32; ++e) {
    const int q = nibble(block.quants, e) | high_bit(block.high, e) << 4;
    out[e] = scale * static_cast<float>(q) + minimum;
  }
}

void decode_block(const BlockQ8_0& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 32; ++e) out[e] = scale * static_cast<float>(block.quants[e]);
}

void decode_block(const BlockIQ4_NL& block, float* out) {
  const float scale = load_half(block.scale);
  for (int e = 0; e < 32; ++e) out[e] = scale * static_cast<float>(kIQ4Values[nibble(block.quants, e)]);
}

void decode_block(const BlockMXFP4& block, float* out) {
  const float scale = e8m0_to_float(block.scale);
  for (int e = 0; e < 32; ++e) out[e] = scale * e2m1_to_float(static_cast<uint8_t>(nibble(block.quants, e)));
}

}  // namespace rose::weights
