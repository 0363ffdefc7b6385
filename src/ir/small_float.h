// Bit patterns of floating-point kinds of 16 bits and less, rounded to nearest even. Slow and exact: for
// constants in kernels, for references and tests. The 8-bit kinds saturate to their largest finite value, as
// PTX's .satfinite does.
#pragma once

#include <cstdint>

#include "ir/type.h"

namespace rose::ir {

uint16_t f16_bits(double value);
uint16_t bf16_bits(double value);
uint8_t e4m3_bits(double value);
uint8_t e5m2_bits(double value);
double f16_value(uint16_t bits);
double bf16_value(uint16_t bits);
double e4m3_value(uint8_t bits);
double e5m2_value(uint8_t bits);

// Any floating-point or integer type of one lane: the bit pattern of `value` (integers: nearest even,
// saturating) and the value of a bit pattern. Throws IrError for other types.
uint64_t bits_of(Type type, double value);
double value_of(Type type, uint64_t bits);

// Half the distance between 1 and the next number: 2^-8 for bf16, 2^-24 for f32.
double unit_roundoff(Type type);
// The largest rounding error of results too small for full precision: half the smallest subnormal number.
double underflow_roundoff(Type type);

}  // namespace rose::ir
