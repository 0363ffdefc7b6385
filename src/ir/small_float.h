// Bit patterns of 16-bit floating-point constants, rounded to nearest even. Used for constants in kernels alone.
#pragma once

#include <cstdint>

namespace rose::ir {

uint16_t f16_bits(double value);
uint16_t bf16_bits(double value);
double f16_value(uint16_t bits);
double bf16_value(uint16_t bits);

}  // namespace rose::ir
