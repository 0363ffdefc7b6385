// The block encoders behind quantize(): each reads the elements of one block, all finite. Private to the
// room.
#pragma once

#include <cmath>
#include <stdexcept>

#include "weights/blocks.h"

namespace rose::weights {

// A scale as stored; refuses what half cannot hold, since an infinite scale would make NaN of a whole block.
inline HalfBytes store_scale(float value) {
  const HalfBytes bytes = store_half(value);
  if (!std::isfinite(load_half(bytes)))
    throw std::invalid_argument("quantize: a scale is beyond the range of half");
  return bytes;
}

// The element with the largest magnitude, with its sign; the first of several.
inline float signed_peak(const float* values, int count) {
  float peak = 0;
  for (int i = 0; i < count; ++i) {
    if (std::fabs(values[i]) > std::fabs(peak)) peak = values[i];
  }
  return peak;
}

void encode_block(const float* in, BlockQ4_0& block);
void encode_block(const float* in, BlockQ4_1& block);
void encode_block(const float* in, BlockQ5_0& block);
void encode_block(const float* in, BlockQ5_1& block);
void encode_block(const float* in, BlockQ8_0& block);
void encode_block(const float* in, BlockIQ4_NL& block);
void encode_block(const float* in, BlockMXFP4& block);

void encode_block(const float* in, BlockQ2_K& block);
void encode_block(const float* in, BlockQ3_K& block);
void encode_block(const float* in, BlockQ4_K& block);
void encode_block(const float* in, BlockQ5_K& block);
void encode_block(const float* in, BlockQ6_K& block);
void encode_block(const float* in, BlockIQ4_XS& block);

// Index of the entry of kIQ4Values nearest to `value`.
int nearest_iq4(float value);

}  // namespace rose::weights
