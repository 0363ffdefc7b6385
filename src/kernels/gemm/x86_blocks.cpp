// Layouts of the blocks, after the GGUF specification and ggml's formats. `e` is the index of an element in
// its block.
//   q4_0   f16 d, 16 bytes: d (q - 8)            element e < 16 in the low nibble of byte e, e + 16 in its
//   high nibble q4_1   f16 d, f16 m, 16 bytes: d q + m q5_0   f16 d, u32 high, 16 bytes: d (q - 16) bit 4 of
//   q is bit e of `high` q5_1   f16 d, f16 m, u32 high, 16 bytes: d q + m q8_0   f16 d, s8[32]: d q iq4_nl
//   f16 d, 16 bytes: d codebook[q] mxfp4  u8 e, 16 bytes: 2^(e - 127) e2m1[q]
// Super-blocks, 256 elements, with e = 128 n + 32 j + l:
//   q2_k   u8 scales[16], u8 low[64], f16 d, f16 dmin: d (s & 15) q - dmin (s >> 4); q: bits 2j of low[32 n +
//   l] q3_k   u8 high[32], u8 low[64], 12 bytes of scales, f16 d: d (s - 32) (q - 4); bit 2 of q: bit 4n + j
//   of high[l] q4_k   f16 d, f16 dmin, 12 bytes of scales and minima, u8 low[128]: d s q - dmin m, 64
//   elements to 32 bytes q5_k   as q4_k with u8 high[32] ahead of low; bit 4 of q: bit e / 32 of high[e % 32]
//   q6_k   u8 low[128], u8 high[64], s8 scales[16], f16 d: d s (q - 32)
//   iq4_xs f16 d, u16 scales_high, u8 scales_low[4], u8 low[128]: d (s - 32) codebook[q]
#include "kernels/gemm/x86_blocks.h"

#include <cstring>
#include <utility>

#include "kernels/spec.h"

namespace rose::kernels {
namespace {

uint16_t word(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

// 32 elements in 16 bytes, as all blocks of 32 have them.
void nibbles(const uint8_t* source, uint8_t* q) {
  for (int i = 0; i < 16; ++i) q[i] = source[i] & 15, q[i + 16] = source[i] >> 4;
}

// Bit e of four bytes becomes bit 4 of q[e], eight elements at once.
void add_high_bits(const uint8_t* source, uint8_t* q) {
  for (int i = 0; i < 4; ++i) {
    uint64_t bits = source[i] * 0x0101010101010101ull & 0x8040201008040201ull;  // byte e keeps its bit e
    bits = (bits + 0x7f7f7f7f7f7f7f7full) >> 3 & 0x1010101010101010ull;         // whichever bit it is
    uint64_t eight;
    std::memcpy(&eight, q + 8 * i, sizeof eight);
    eight |= bits;
    std::memcpy(q + 8 * i, &eight, sizeof eight);
  }
}

// Eight scales and eight minima of six bits in twelve bytes.
void six_bits(const uint8_t* source, X86Block& block) {
  for (int k = 0; k < 8; ++k) {
    int s = k < 4 ? source[k] & 63 : (source[k + 4] & 15) | (source[k - 4] >> 6) << 4;
    int m = k < 4 ? source[k + 4] & 63 : source[k + 4] >> 4 | (source[k] >> 6) << 4;
    block.scales[static_cast<size_t>(k)] = static_cast<uint8_t>(s),
    block.minima[static_cast<size_t>(k)] = static_cast<uint8_t>(m);
  }
}

void nibble_pairs(const uint8_t* source, uint8_t* q) {  // q4_k, q5_k
  for (int g = 0; g < 4; ++g)
    for (int l = 0; l < 32; ++l)
      q[64 * g + l] = source[32 * g + l] & 15, q[64 * g + 32 + l] = source[32 * g + l] >> 4;
}

void two_bits(const uint8_t* source, uint8_t* q) {  // q2_k, q3_k
  for (int n = 0; n < 2; ++n)
    for (int j = 0; j < 4; ++j)
      for (int l = 0; l < 32; ++l) q[128 * n + 32 * j + l] = source[32 * n + l] >> (2 * j) & 3;
}

// Bit e / 32 of source[e % 32] becomes the given bit of q[e] (q3_k, q5_k).
void add_planes(const uint8_t* source, int bit, uint8_t* q) {
  for (int g = 0; g < 8; ++g)
    for (int l = 0; l < 32; ++l)
      q[32 * g + l] = static_cast<uint8_t>(q[32 * g + l] | (source[l] >> g & 1) << bit);
}

void read_q3_k(const uint8_t* p, X86Block& block) {
  two_bits(p + 32, block.q.data());
  add_planes(p, 2, block.q.data());
  const uint8_t* s = p + 96;
  for (int k = 0; k < 16; ++k) {
    int low = k < 8 ? s[k] & 15 : s[k - 8] >> 4, high = s[8 + k % 4] >> (2 * (k / 4)) & 3;
    block.scales[static_cast<size_t>(k)] = static_cast<uint8_t>((low | high << 4) - 32);
  }
  block.scale = word(p + 108);
}

void read_q6_k(const uint8_t* p, X86Block& block) {
  for (int n = 0; n < 2; ++n)
    for (int j = 0; j < 4; ++j)
      for (int l = 0; l < 32; ++l) {
        uint8_t pair = p[64 * n + 32 * (j % 2) + l];
        int low = j < 2 ? pair & 15 : pair >> 4, high = p[128 + 32 * n + l] >> (2 * j) & 3;
        block.q[static_cast<size_t>(128 * n + 32 * j + l)] = static_cast<uint8_t>(low | high << 4);
      }
  for (size_t k = 0; k < 16; ++k) block.scales[k] = p[192 + k];
  block.scale = word(p + 208);
}

void read_iq4_xs(const uint8_t* p, X86Block& block) {
  block.scale = word(p);
  for (int k = 0; k < 8; ++k) {
    int low = p[4 + k / 2] >> (4 * (k % 2)) & 15, high = word(p + 2) >> (2 * k) & 3;
    block.scales[static_cast<size_t>(k)] = static_cast<uint8_t>((low | high << 4) - 32);
    nibbles(p + 8 + 16 * k, &block.q[static_cast<size_t>(32 * k)]);
  }
}

// Blocks of 32: a scale, perhaps a minimum, perhaps high bits, then nibbles.
template <bool kMinimum, bool kHigh>
void read_32(const uint8_t* p, X86Block& block) {
  block.scale = word(p), p += 2;
  if (kMinimum) block.minimum = word(p), p += 2;
  nibbles(p + (kHigh ? 4 : 0), block.q.data());
  if (kHigh) add_high_bits(p, block.q.data());
}

void read_q8_0(const uint8_t* p, X86Block& block) {
  block.scale = word(p);
  for (size_t e = 0; e < 32; ++e) block.q[e] = static_cast<uint8_t>(p[2 + e] ^ 0x80);  // s8 + 128
}

void read_mxfp4(const uint8_t* p, X86Block& block) { block.scale = p[0], nibbles(p + 1, block.q.data()); }

void read_q2_k(const uint8_t* p, X86Block& block) {
  for (size_t k = 0; k < 16; ++k) block.scales[k] = p[k];
  two_bits(p + 16, block.q.data()), block.scale = word(p + 80), block.minimum = word(p + 82);
}

void read_q4_k(const uint8_t* p, X86Block& block) {
  block.scale = word(p), block.minimum = word(p + 2), six_bits(p + 4, block);
  nibble_pairs(p + 16, block.q.data());
}

void read_q5_k(const uint8_t* p, X86Block& block) {
  block.scale = word(p), block.minimum = word(p + 2), six_bits(p + 4, block);
  nibble_pairs(p + 48, block.q.data());
  add_planes(p + 16, 4, block.q.data());
}

constexpr std::pair<std::string_view, X86BlockReader> kReaders[] = {
    {"q4_0", read_32<false, false>},
    {"iq4_nl", read_32<false, false>},
    {"q4_1", read_32<true, false>},
    {"q5_0", read_32<false, true>},
    {"q5_1", read_32<true, true>},
    {"q8_0", read_q8_0},
    {"mxfp4", read_mxfp4},
    {"q2_k", read_q2_k},
    {"q3_k", read_q3_k},
    {"q4_k", read_q4_k},
    {"q5_k", read_q5_k},
    {"q6_k", read_q6_k},
    {"iq4_xs", read_iq4_xs},
};

}  // namespace

X86BlockReader x86_block_reader(const X86WeightFormat& format) {
  for (const auto& [name, reader] : kReaders)
    if (format.name == name) return reader;
  throw KernelError("no reader for blocks of " + std::string(format.name));
}

}  // namespace rose::kernels
