// Random numbers that depend on nothing but (seed, position, token): the same in every batch, on every
// device.
//
// A row's key comes from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011)
// with the seed as key and the position as counter. An element's number is its index, mixed twice by a 32-bit
// finaliser (constants of the lowest known bias: github.com/skeeto/hash-prospector, issue 19) with one half
// of the key each.
#pragma once

#include <cstdint>

#include "dsl/value.h"

namespace rose::kernels {

struct RandomKey {
  uint32_t first = 0, second = 0;
};
RandomKey random_key(uint64_t seed, uint32_t position);
uint32_t random_bits(const RandomKey& key, uint32_t index);

// The same while recording: u32, one lane or many.
struct RecordedKey {
  dsl::Val first, second;
};
RecordedKey random_key(const dsl::Val& seed_low, const dsl::Val& seed_high, const dsl::Val& position);
dsl::Val random_bits(const RecordedKey& key, const dsl::Val& index);

// An exponentially distributed number, -ln(1 - u), from random bits; fine-grained near zero, where the race
// of sample() is decided: multiples of 2^-33 there.
dsl::Val exponential(const dsl::Val& bits);
double exponential(uint32_t bits);

}  // namespace rose::kernels
