#include "kernels/sampling/random.h"

#include <cmath>

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr uint32_t kMultipliers[] = {0xD2511F53u, 0xCD9E8D57u},
                   kWeyl[] = {0x9E3779B9u, 0xBB67AE85u};  // Philox's
constexpr int kRounds = 10;
constexpr uint32_t kSpread = 0x9E3779B1u, kMix[] = {0x21F0AAADu, 0xD35A2D97u};
constexpr double kLargest = 0x1.fffffep-1;  // f32 below one

uint32_t high(uint32_t a, uint32_t b) { return static_cast<uint32_t>((uint64_t{a} * b) >> 32); }
Val high(uint32_t a, const Val& b) { return op1("mul.hi", u32, {b, a}); }
Val literal_like(const Val&, uint32_t value) { return literal(u32, value); }
uint32_t literal_like(uint32_t, uint32_t value) { return value; }

// Counter (c0, c1, c2, c3), key (k0, k1); the first two words of the result.
template <class Word>
std::pair<Word, Word> philox(Word c0, Word k0, Word k1) {
  Word c1 = literal_like(c0, 0), c2 = c1, c3 = c1;
  for (int round = 0; round < kRounds; ++round) {
    Word high0 = high(kMultipliers[0], c0), low0 = c0 * kMultipliers[0];
    Word high1 = high(kMultipliers[1], c2), low1 = c2 * kMultipliers[1];
    c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
    k0 = k0 + kWeyl[0], k1 = k1 + kWeyl[1];
  }
  return {c0, c1};
}

template <class Word>
Word finalise(Word x) {
  x = x ^ (x >> 16);
  x = x * kMix[0];
  x = x ^ (x >> 15);
  x = x * kMix[1];
  return x ^ (x >> 15);
}

template <class Word>
Word mixed(const Word& first, const Word& second, const Word& index) {
  Word once = finalise<Word>(index * kSpread + first);
  return finalise<Word>(once + second);
}

}  // namespace

RandomKey random_key(uint64_t seed, uint32_t position) {
  auto [first, second] =
      philox<uint32_t>(position, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return {first, second};
}

RecordedKey random_key(const Val& seed_low, const Val& seed_high, const Val& position) {
  auto [first, second] = philox<Val>(position, seed_low, seed_high);
  return {first, second};
}

uint32_t random_bits(const RandomKey& key, uint32_t index) {
  return mixed<uint32_t>(key.first, key.second, index);
}
Val random_bits(const RecordedKey& key, const Val& index) { return mixed<Val>(key.first, key.second, index); }

double exponential(uint32_t bits) { return -std::log1p(-std::min((bits + 0.5) * 0x1p-32, kLargest)); }

// Near zero 1 - u would lose u's digits: the series of -ln(1 - u) instead, good to 2^-26 below 1/64.
Val exponential(const Val& bits) {
  Val u = min((to(f32, bits) + 0.5) * 0x1p-32, kLargest);
  Val series = u * fma(u, fma(u, fma(u, literal(u.type(), 0.25), 1.0 / 3), 0.5), 1.0);
  return select(u < 0x1p-6, series, log2(1.0 - u) * -0.6931471805599453);
}

}  // namespace rose::kernels
