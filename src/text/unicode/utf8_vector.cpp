// The table look-ups of J. Keiser and D. Lemire, "Validating UTF-8 in less than one instruction per byte"
// (2020), section 6: three tables of 16 entries, by the high and low half of a byte and by the high half of
// the byte behind it, say which mistakes that half admits; a mistake that all three admit is there.
#include "text/unicode/utf8_vector.h"

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace rose::text::unicode {
namespace {

// Mistakes of two neighbouring bytes, one bit each.
constexpr char kTooShort = 1 << 0;                     // a lead byte without a continuation byte behind it
constexpr char kTooLong = 1 << 1;                      // ASCII, and a continuation byte behind it
constexpr char kOverlong3 = 1 << 2;                    // E0 with 80 to 9F
constexpr char kTooLarge = 1 << 3;                     // F4 with 90 to BF, F5 and beyond
constexpr char kSurrogate = 1 << 4;                    // ED with A0 to BF
constexpr char kOverlong2 = 1 << 5;                    // C0, C1
constexpr char kTooLarge80 = 1 << 6;                   // F5 and beyond with 80 to 8F
constexpr char kOverlong4 = 1 << 6;                    // F0 with 80 to 8F
constexpr char kTwoConts = static_cast<char>(1 << 7);  // a mistake unless they are third or fourth bytes
constexpr char kAnyLow = kTooShort | kTooLong | kTwoConts;

constexpr char kByHigh[16] = {kTooLong,
                              kTooLong,
                              kTooLong,
                              kTooLong,
                              kTooLong,
                              kTooLong,
                              kTooLong,
                              kTooLong,
                              kTwoConts,
                              kTwoConts,
                              kTwoConts,
                              kTwoConts,
                              kTooShort | kOverlong2,
                              kTooShort,
                              kTooShort | kOverlong3 | kSurrogate,
                              kTooShort | kTooLarge | kTooLarge80 | kOverlong4};
constexpr char kLarge = kAnyLow | kTooLarge | kTooLarge80;
constexpr char kByLow[16] = {kAnyLow | kOverlong3 | kOverlong2 | kOverlong4,
                             kAnyLow | kOverlong2,
                             kAnyLow,
                             kAnyLow,
                             kAnyLow | kTooLarge,
                             kLarge,
                             kLarge,
                             kLarge,
                             kLarge,
                             kLarge,
                             kLarge,
                             kLarge,
                             kLarge,
                             kLarge | kSurrogate,
                             kLarge,
                             kLarge};
constexpr char kBehind = kTooLong | kOverlong2 | kTwoConts;
constexpr char kByNext[16] = {kTooShort,
                              kTooShort,
                              kTooShort,
                              kTooShort,
                              kTooShort,
                              kTooShort,
                              kTooShort,
                              kTooShort,
                              kBehind | kOverlong3 | kTooLarge80 | kOverlong4,
                              kBehind | kOverlong3 | kTooLarge,
                              kBehind | kSurrogate | kTooLarge,
                              kBehind | kSurrogate | kTooLarge,
                              kTooShort,
                              kTooShort,
                              kTooShort,
                              kTooShort};

[[gnu::target("avx2"), gnu::always_inline]] inline __m256i table(const char (&entries)[16]) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(entries)));
}

// The block moved up by kBytes, with the last bytes of the block before it in front.
template <int kBytes>
[[gnu::target("avx2"), gnu::always_inline]] inline __m256i moved(__m256i block, __m256i before) {
  return _mm256_alignr_epi8(block, _mm256_permute2x128_si256(before, block, 0x21), 16 - kBytes);
}

struct State {
  __m256i before;   // the last block
  __m256i cut_off;  // not zero: the last block ends within a character
  __m256i wrong;    // not zero: there was a mistake
};

[[gnu::target("avx2"), gnu::always_inline]] inline void check(__m256i block, State& state) {
  if (_mm256_movemask_epi8(block) == 0) {
    state.wrong = _mm256_or_si256(state.wrong, state.cut_off);
    state.cut_off = _mm256_setzero_si256();
    state.before = block;
    return;
  }
  const __m256i half = _mm256_set1_epi8(0x0F);
  __m256i first = moved<1>(block, state.before);
  __m256i high = _mm256_and_si256(_mm256_srli_epi16(first, 4), half), low = _mm256_and_si256(first, half);
  __m256i next = _mm256_and_si256(_mm256_srli_epi16(block, 4), half);
  __m256i mistakes = _mm256_and_si256(
      _mm256_and_si256(_mm256_shuffle_epi8(table(kByHigh), high), _mm256_shuffle_epi8(table(kByLow), low)),
      _mm256_shuffle_epi8(table(kByNext), next));
  // Exactly the third and fourth bytes must have continuation bytes before them.
  __m256i third = _mm256_subs_epu8(moved<2>(block, state.before), _mm256_set1_epi8(0xE0 - 0x80));
  __m256i fourth = _mm256_subs_epu8(moved<3>(block, state.before), _mm256_set1_epi8(0xF0 - 0x80));
  __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(static_cast<char>(0x80)));
  state.wrong = _mm256_or_si256(state.wrong, _mm256_xor_si256(must, mistakes));
  alignas(32) static constexpr uint8_t kLastLeads[32] = {
      255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,  255,  255,
      255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0xEF, 0xDF, 0xBF};
  state.cut_off = _mm256_subs_epu8(block, _mm256_load_si256(reinterpret_cast<const __m256i*>(kLastLeads)));
  state.before = block;
}

}  // namespace

bool has_vectors() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

[[gnu::target("avx2")]] bool valid_by_vectors(const char* text, size_t size) {
  const __m256i zero = _mm256_setzero_si256();
  State state{zero, zero, zero};
  size_t at = 0;
  for (; size - at >= 32; at += 32)
    check(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(text + at)), state);
  char rest[32] = {};  // zeros behind the end: a character cut off there has no continuation
  std::memcpy(rest, text + at, size - at);
  check(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rest)), state);
  return _mm256_testz_si256(state.wrong, state.wrong) != 0;
}

}  // namespace rose::text::unicode
