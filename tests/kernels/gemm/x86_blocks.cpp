#include "x86_blocks.h"

#include <cmath>

#include "ir/small_float.h"
#include "kernels/gemm/x86_weights.h"

namespace rose::kernels {
namespace {

double half(const uint8_t* p) { return ir::f16_value(static_cast<uint16_t>(p[0] | p[1] << 8)); }
int nibble(const uint8_t* p, int e) { return e % 32 < 16 ? p[e % 16] & 15 : p[e % 16] >> 4; }
int bit(const uint8_t* p, int i) { return p[i / 8] >> (i % 8) & 1; }

constexpr int kIq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr double kE2m1[16] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6};

int scale_k4(const uint8_t* s, int k) { return k < 4 ? s[k] % 64 : s[k + 4] % 16 + 16 * (s[k - 4] / 64); }
int minimum_k4(const uint8_t* s, int k) { return k < 4 ? s[k + 4] % 64 : s[k + 4] / 16 + 16 * (s[k] / 64); }

// Where the f16 numbers of a block lie.
std::vector<int> halves(const std::string& format) {
  if (format == "q4_0" || format == "q5_0" || format == "q8_0" || format == "iq4_nl" || format == "iq4_xs")
    return {0};
  if (format == "q4_1" || format == "q5_1" || format == "q4_k" || format == "q5_k") return {0, 2};
  if (format == "q2_k") return {80, 82};
  if (format == "q3_k") return {108};
  if (format == "q6_k") return {208};
  return {};
}

}  // namespace

std::vector<uint8_t> random_blocks(const std::string& format, int64_t count, std::mt19937_64& engine) {
  const auto bytes = static_cast<size_t>(x86_weight_format(format).block_bytes);
  std::vector<uint8_t> blocks(static_cast<size_t>(count) * bytes);
  for (auto& b : blocks) b = static_cast<uint8_t>(engine());
  for (size_t i = 0; i < blocks.size(); i += bytes) {
    for (int at : halves(format)) {
      // Exponent 2^-6, a random mantissa; minima of blocks of 32 of either sign.
      uint16_t bits = static_cast<uint16_t>(0x2400 | (engine() & 0x3ff) |
                                            (format == "q4_1" || format == "q5_1" ? engine() & 0x8000 : 0));
      blocks[i + static_cast<size_t>(at)] = static_cast<uint8_t>(bits),
                 blocks[i + static_cast<size_t>(at) + 1] = static_cast<uint8_t>(bits >> 8);
    }
    if (format == "mxfp4") blocks[i] = static_cast<uint8_t>(120 + engine() % 4);
  }
  return blocks;
}

double block_value(const std::string& format, const uint8_t* p, int e) {
  int n = e / 128, j = e / 32 % 4, l = e % 32;
  if (format == "q4_0") return half(p) * (nibble(p + 2, e) - 8);
  if (format == "q4_1") return half(p) * nibble(p + 4, e) + half(p + 2);
  if (format == "q5_0") return half(p) * (nibble(p + 6, e) + 16 * bit(p + 2, e) - 16);
  if (format == "q5_1") return half(p) * (nibble(p + 8, e) + 16 * bit(p + 4, e)) + half(p + 2);
  if (format == "q8_0") return half(p) * static_cast<int8_t>(p[2 + e]);
  if (format == "iq4_nl") return half(p) * kIq4[nibble(p + 2, e)];
  if (format == "mxfp4") return std::ldexp(kE2m1[nibble(p + 1, e)], p[0] - 127);
  if (format == "q2_k")
    return half(p + 80) * (p[e / 16] % 16) * (p[16 + 32 * n + l] >> 2 * j & 3) -
           half(p + 82) * (p[e / 16] / 16);
  if (format == "q3_k") {
    int k = e / 16, low = k < 8 ? p[96 + k] % 16 : p[96 + k - 8] / 16,
        high = p[104 + k % 4] >> (2 * (k / 4)) & 3;
    int q = (p[32 + 32 * n + l] >> 2 * j & 3) + 4 * (p[l] >> (4 * n + j) & 1);
    return half(p + 108) * (low + 16 * high - 32) * (q - 4);
  }
  if (format == "q4_k" || format == "q5_k") {
    bool five = format == "q5_k";
    uint8_t pair = p[(five ? 48 : 16) + 32 * (e / 64) + l];
    int q = (e / 32 % 2 ? pair / 16 : pair % 16) + (five ? 16 * (p[16 + l] >> (e / 32) & 1) : 0);
    return half(p) * scale_k4(p + 4, e / 32) * q - half(p + 2) * minimum_k4(p + 4, e / 32);
  }
  if (format == "q6_k") {
    uint8_t pair = p[64 * n + 32 * (j % 2) + l];
    int q = (j < 2 ? pair % 16 : pair / 16) + 16 * (p[128 + 32 * n + l] >> 2 * j & 3);
    return half(p + 208) * static_cast<int8_t>(p[192 + e / 16]) * (q - 32);
  }
  if (format == "iq4_xs") {
    int k = e / 32, low = k % 2 ? p[4 + k / 2] / 16 : p[4 + k / 2] % 16,
        high = (p[2] | p[3] << 8) >> 2 * k & 3;
    return half(p) * (low + 16 * high - 32) * kIq4[nibble(p + 8 + 16 * k, e)];
  }
  throw std::invalid_argument("no definition of " + format);
}

}  // namespace rose::kernels
