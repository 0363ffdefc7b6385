// The block decoders behind dequantize(): each writes the elements of one block. Private to the room.
#pragma once

#include "weights/blocks.h"

namespace rose::weights {

void decode_block(const BlockQ4_0& block, float* out);
void decode_block(const BlockQ4_1& block, float* out);
void decode_block(const BlockQ5_0& block, float* out);
void decode_block(const BlockQ5_1& block, float* out);
void decode_block(const BlockQ8_0& block, float* out);
void decode_block(const BlockIQ4_NL& block, float* out);
void decode_block(const BlockMXFP4& block, float* out);

void decode_block(const BlockQ2_K& block, float* out);
void decode_block(const BlockQ3_K& block, float* out);
void decode_block(const BlockQ4_K& block, float* out);
void decode_block(const BlockQ5_K& block, float* out);
void decode_block(const BlockQ6_K& block, float* out);
void decode_block(const BlockIQ4_XS& block, float* out);

}  // namespace rose::weights
