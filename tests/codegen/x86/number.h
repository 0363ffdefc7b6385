// Numbers of every register type as bits, and rounding to them by search: slow, obvious, and independent of
// the code under test.
#pragma once

#include <cstdint>

#include "ir/type.h"

namespace rose::codegen::x86::testing {

// The value of one lane. Integers up to 64 bits are exact in a long double.
long double decode(ir::Type type, uint64_t bits);

// Rounds to nearest even. e4m3, e5m2 and e2m1 saturate, the other floating-point types go to infinity;
// integers cut towards zero and saturate.
uint64_t encode(ir::Type type, long double value);

// The distance from |value| to the next larger number of the type.
long double unit_in_last_place(ir::Type type, long double value);

long double smallest_normal(ir::Type type);

}  // namespace rose::codegen::x86::testing
