// How the matrix products of x86 keep their weights W[N, K]: every format is packed once, when a model is
// loaded, into panels of 16 columns (rows of W), one column a lane of a vector.
//
// Plain formats. A word is 32 bits: e = 1 (f32), 2 (bf16) or 4 (s8) neighbours along K; f16 has e = 1 and
// 16-bit words. With K rounded up to Kp, a multiple of e (the padding is zero), element (n, k) lies at
//     ((16, N/16), (e, Kp/e)) : ((e, 16·Kp), (1, 16·e))        for ((n%16, n/16), (k%e, k/e))
// so that one vector load brings word k/e of 16 columns: the layout of VDPBF16PS, VPDPBUSD and of AMX's
// second operand. s8 is followed by an s32 [Np] of corrections, -128 · Σk w, and an f32 [Np] of scales, Np
// being N rounded up to 16.
//
// Quantised formats. A panel is a row of cells, a cell holds one block (32 or 256 elements along K) of 16
// columns:
//     f16 scale[16], f16 minimum[16] (formats that have one); of mxfp4: u8 exponent[16]
//     for each group of 32 elements:
//         u8 or s8 scales[32 / sub][16], u8 minima[32 / sub][16]     (super-blocks; see X86Scale)
//         the planes: 64 bytes a bit of q
// Elements 4w … 4w+3 of a group make word w (of 8): byte 4c + j of a vector of 64 bytes belongs to column c,
// element 4w + j. A plane of b bits takes 8·b bytes a column, as b vectors: word w lies in vector w % b, in
// the bits from b·(w / b) on. A format with 4 + 2 bits has a plane of 4 and a plane of 2, which holds the
// upper bits of q. Sizes equal those of the GGUF blocks, but for the six-bit scales, which take eight bits.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace rose::kernels {

inline constexpr int kX86PanelColumns = 16;

enum class X86Scale : uint8_t {
  kNone,      // a plain format
  kHalf,      // one f16 a block of 32
  kExponent,  // one power of two a block of 32: 2^(e - 127)
  kByte,      // f16 × u8 (super-blocks of 256); minima: f16 × u8, subtracted
  kSigned,    // f16 × s8
  kNibbles,   // f16 × low nibble; the high nibble is the minimum's
};

// value = scale × (q - zero), or scale × q + minimum (blocks of 32), or scale × q - minimum (super-blocks).
// With a codebook, q is first replaced by codebook[q].
struct X86WeightFormat {
  std::string_view name;                // as in GGUF, lower case
  int block_elements = 1, block_bytes;  // of the source
  X86Scale scale = X86Scale::kNone;
  int low_bits = 0, high_bits = 0;  // the planes of q
  int sub = 32;                     // elements that share a scale
  bool minimum = false;
  int zero = 0;                       // a power of two
  const uint8_t* codebook = nullptr;  // 16 entries
  ir::Type plain;                     // the element of plain formats

  bool quantised() const { return scale != X86Scale::kNone; }
  bool super() const { return block_elements == 256; }
  int per_word() const { return plain.bits() == 8 ? 4 : plain == ir::bf16 ? 2 : 1; }  // plain formats
  // Bytes of a cell's parts and of whole cells (quantised formats).
  int header_bytes() const {
    return scale == X86Scale::kExponent ? 16 : minimum && scale != X86Scale::kNone ? 64 : 32;
  }
  int scale_bytes() const;  // of a group of 32: what lies ahead of its planes
  int group_bytes() const { return scale_bytes() + 64 * (low_bits + high_bits); }
  int64_t cell_bytes() const { return header_bytes() + int64_t{block_elements} / 32 * group_bytes(); }
};

// Throws KernelError that lists the formats.
const X86WeightFormat& x86_weight_format(std::string_view name);
std::span<const X86WeightFormat> x86_weight_formats();

// Bytes of packed weights [n, k].
int64_t x86_packed_bytes(const X86WeightFormat& format, int64_t n, int64_t k);

// Packs columns [16·first_panel, 16·end_panel) of W, which must lie inside [n, k]; `source` is all of W,
// row-major, in the format's own blocks without padding (s8: elements). `packed` is all of the packed
// weights; calls for disjoint panels may run in parallel. For s8, `scales` has n values, W being scales[n] ×
// w[n, k]. Throws KernelError when k is no multiple of the format's block.
void x86_pack_panels(const X86WeightFormat& format, const uint8_t* source, std::span<const float> scales,
                     int64_t n, int64_t k, int64_t first_panel, int64_t end_panel, uint8_t* packed);
void x86_pack(const X86WeightFormat& format, const uint8_t* source, std::span<const float> scales, int64_t n,
              int64_t k, uint8_t* packed);

}  // namespace rose::kernels
