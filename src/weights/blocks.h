// How the blocks of each quantisation format lie in memory: one struct a format, made of bytes so that it has
// no padding and any alignment. Kernels take their field offsets from here.
//
// Facts: the GGUF specification and ggml's quantisation formats, checked bit by bit against the Python
// package `gguf` in tests/weights. `half` below means a little-endian IEEE binary16. "e" is the index of an
// element in its block.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "weights/scalar.h"

namespace rose::weights {

using HalfBytes = std::array<uint8_t, 2>;

inline float load_half(const HalfBytes& bytes) {
  return half_to_float(static_cast<uint16_t>(bytes[0] | bytes[1] << 8));
}
inline HalfBytes store_half(float value) {
  const uint16_t code = float_to_half(value);
  return {static_cast<uint8_t>(code), static_cast<uint8_t>(code >> 8)};
}

// ---- Blocks of 32 elements. In all of them byte j of `quants` holds element j in its low nibble and element
// j + 16 in
// ---- its high nibble.

struct BlockQ4_0 {  // value = scale × (q - 8)
  HalfBytes scale;
  std::array<uint8_t, 16> quants;
};

struct BlockQ4_1 {  // value = scale × q + minimum
  HalfBytes scale, minimum;
  std::array<uint8_t, 16> quants;
};

struct BlockQ5_0 {  // value = scale × (q - 16); bit 4 of q is bit e of `high`, read as a little-endian 32-bit
                    // word
  HalfBytes scale;
  std::array<uint8_t, 4> high;
  std::array<uint8_t, 16> quants;
};

struct BlockQ5_1 {  // value = scale × q + minimum; bit 4 of q as in Q5_0
  HalfBytes scale, minimum;
  std::array<uint8_t, 4> high;
  std::array<uint8_t, 16> quants;
};

struct BlockQ8_0 {  // value = scale × quants[e]
  HalfBytes scale;
  std::array<int8_t, 32> quants;
};

struct BlockIQ4_NL {  // value = scale × kIQ4Values[q]
  HalfBytes scale;
  std::array<uint8_t, 16> quants;
};

struct BlockMXFP4 {  // value = 2^(scale - 127) × e2m1(q); the OCP microscaling format with ggml's nibble
                     // order
  uint8_t scale;     // E8M0
  std::array<uint8_t, 16> quants;
};

// ---- Super-blocks of 256 elements ("K-quants"): sub-blocks of 16 or 32 with small integer scales, which
// `scale` and
// ---- `minimum` scale once more.

// Q2_K: value = scale × (scales[e/16] & 15) × q - minimum × (scales[e/16] >> 4).
// With e = 128·n + 32·j + l (l < 32): q = bits 2j and 2j+1 of quants[32·n + l].
struct BlockQ2_K {
  std::array<uint8_t, 16> scales;
  std::array<uint8_t, 64> quants;
  HalfBytes scale, minimum;
};

// Q3_K: value = scale × (s[e/16] - 32) × (q - 4). With e as above, the low two bits of q are bits 2j and 2j+1
// of quants[32·n + l] and its third bit is bit 4·n + j of high[l]. The 16 six-bit s are packed: bits 0-3 of
// s[k] are the low (k < 8) or high (k ≥ 8) nibble of scales[k % 8]; bits 4-5 are bits 2·(k/4) and up of
// scales[8 + k % 4].
struct BlockQ3_K {
  std::array<uint8_t, 32> high;
  std::array<uint8_t, 64> quants;
  std::array<uint8_t, 12> scales;
  HalfBytes scale;
};

// Eight six-bit scales s and eight six-bit minima m in 12 bytes, for Q4_K and Q5_K:
//   k < 4: s = bytes[k] & 63, m = bytes[k + 4] & 63
//   k ≥ 4: s = low nibble of bytes[k + 4] and above it the two top bits of bytes[k - 4],
//          m = high nibble of bytes[k + 4] and above it the two top bits of bytes[k].
struct PackedScales {
  std::array<uint8_t, 12> bytes;

  int scale(int k) const { return k < 4 ? bytes[k] & 63 : (bytes[k + 4] & 15) | (bytes[k - 4] >> 6) << 4; }
  int minimum(int k) const { return k < 4 ? bytes[k + 4] & 63 : bytes[k + 4] >> 4 | (bytes[k] >> 6) << 4; }
};

// Q4_K: value = scale × s[e/32] × q - minimum × m[e/32]. With e = 64·g + l: q is the low nibble of
// quants[32·g + l] for l < 32 and the high nibble of quants[32·g + l - 32] above.
struct BlockQ4_K {
  HalfBytes scale, minimum;
  PackedScales scales;
  std::array<uint8_t, 128> quants;
};

// Q5_K: as Q4_K; bit 4 of q is bit e/32 of high[e % 32].
struct BlockQ5_K {
  HalfBytes scale, minimum;
  PackedScales scales;
  std::array<uint8_t, 32> high;
  std::array<uint8_t, 128> quants;
};

// Q6_K: value = scale × scales[e/16] × (q - 32). With e = 128·n + 32·j + l (l < 32): the low four bits of q
// are the low (j < 2) or high (j ≥ 2) nibble of low[64·n + 32·(j % 2) + l]; its top two are bits 2j and 2j+1
// of high[32·n + l].
struct BlockQ6_K {
  std::array<uint8_t, 128> low;
  std::array<uint8_t, 64> high;
  std::array<int8_t, 16> scales;
  HalfBytes scale;
};

// IQ4_XS: value = scale × (s[e/32] - 32) × kIQ4Values[q]. s[k] has its low four bits in a nibble of
// scales_low[k/2] (low nibble for even k) and its top two in bits 2k and 2k+1 of scales_high, a little-endian
// 16-bit word. Quants as in the blocks of 32: bytes 16·k … 16·k + 15 belong to sub-block k.
struct BlockIQ4_XS {
  HalfBytes scale;
  std::array<uint8_t, 2> scales_high;
  std::array<uint8_t, 4> scales_low;
  std::array<uint8_t, 128> quants;

  int sub_scale(int k) const {
    const int high = (scales_high[0] | scales_high[1] << 8) >> (2 * k) & 3;
    return (scales_low[k / 2] >> (4 * (k % 2)) & 15) | high << 4;
  }
};

// The non-linear codebook of IQ4_NL and IQ4_XS.
inline constexpr std::array<int8_t, 16> kIQ4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockMXFP4) == 17 && sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110);
static_assert(sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);
static_assert(sizeof(BlockIQ4_XS) == 136 && alignof(BlockQ4_K) == 1 && alignof(BlockQ8_0) == 1);

}  // namespace rose::weights
