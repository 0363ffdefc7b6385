#include "kernels/gemm/x86_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/gemm/x86_blocks.h"
#include "kernels/spec.h"

namespace rose::kernels {
namespace {

// The non-linear steps of iq4_nl and iq4_xs, and twice the values of e2m1, moved up to be unsigned.
constexpr uint8_t kIq4[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                              129, 141, 153, 166, 181, 197, 217, 241};                         // + 128
constexpr uint8_t kE2m1[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};  // × 2 + 16

using S = X86Scale;
constexpr X86WeightFormat kFormats[] = {
    {.name = "f32", .block_bytes = 4, .plain = ir::f32},
    {.name = "f16", .block_bytes = 2, .plain = ir::f16},
    {.name = "bf16", .block_bytes = 2, .plain = ir::bf16},
    {.name = "s8", .block_bytes = 1, .plain = ir::s8},
    {.name = "q4_0", .block_elements = 32, .block_bytes = 18, .scale = S::kHalf, .low_bits = 4, .zero = 8},
    {.name = "q4_1",
     .block_elements = 32,
     .block_bytes = 20,
     .scale = S::kHalf,
     .low_bits = 4,
     .minimum = true},
    {.name = "q5_0",
     .block_elements = 32,
     .block_bytes = 22,
     .scale = S::kHalf,
     .low_bits = 4,
     .high_bits = 1,
     .zero = 16},
    {.name = "q5_1",
     .block_elements = 32,
     .block_bytes = 24,
     .scale = S::kHalf,
     .low_bits = 4,
     .high_bits = 1,
     .minimum = true},
    {.name = "q8_0", .block_elements = 32, .block_bytes = 34, .scale = S::kHalf, .low_bits = 8, .zero = 128},
    {.name = "q2_k",
     .block_elements = 256,
     .block_bytes = 84,
     .scale = S::kNibbles,
     .low_bits = 2,
     .sub = 16,
     .minimum = true},
    {.name = "q3_k",
     .block_elements = 256,
     .block_bytes = 110,
     .scale = S::kSigned,
     .low_bits = 2,
     .high_bits = 1,
     .sub = 16,
     .zero = 4},
    {.name = "q4_k",
     .block_elements = 256,
     .block_bytes = 144,
     .scale = S::kByte,
     .low_bits = 4,
     .minimum = true},
    {.name = "q5_k",
     .block_elements = 256,
     .block_bytes = 176,
     .scale = S::kByte,
     .low_bits = 4,
     .high_bits = 1,
     .minimum = true},
    {.name = "q6_k",
     .block_elements = 256,
     .block_bytes = 210,
     .scale = S::kSigned,
     .low_bits = 4,
     .high_bits = 2,
     .sub = 16,
     .zero = 32},
    {.name = "iq4_nl",
     .block_elements = 32,
     .block_bytes = 18,
     .scale = S::kHalf,
     .low_bits = 4,
     .zero = 128,
     .codebook = kIq4},
    {.name = "iq4_xs",
     .block_elements = 256,
     .block_bytes = 136,
     .scale = S::kSigned,
     .low_bits = 4,
     .zero = 128,
     .codebook = kIq4},
    {.name = "mxfp4",
     .block_elements = 32,
     .block_bytes = 17,
     .scale = S::kExponent,
     .low_bits = 4,
     .zero = 16,
     .codebook = kE2m1},
};

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Four words of 32 bits: those of four columns, or four neighbours of one.
using Words = uint32_t __attribute__((vector_size(16)));

Words load_words(const uint8_t* bytes) {
  Words words;
  std::memcpy(&words, bytes, sizeof words);
  return words;
}

// In: the rows of a 4 x 4 matrix. Out: its columns.
void transpose(Words (&m)[4]) {
  Words a = __builtin_shufflevector(m[0], m[1], 0, 4, 1, 5),
        b = __builtin_shufflevector(m[2], m[3], 0, 4, 1, 5),
        c = __builtin_shufflevector(m[0], m[1], 2, 6, 3, 7),
        d = __builtin_shufflevector(m[2], m[3], 2, 6, 3, 7);
  m[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5), m[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  m[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5), m[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

// A block of each column of a panel; columns beyond the matrix stay zero.
using PanelBlocks = std::array<X86Block, kX86PanelColumns>;

// The plane of the bits [shift, shift + kBits) of group g of all columns: word w goes to vector w % kBits.
// Four bytes of four columns at once; what is masked does not leave its byte.
template <int kBits>
void put_plane(const PanelBlocks& blocks, int g, int shift, uint8_t* plane) {
  const Words mask = Words{} + 0x01010101u * ((1u << kBits) - 1);
  for (size_t column = 0; column < kX86PanelColumns; column += 4) {
    Words words[2][4];  // word w of the four columns is words[w / 4][w % 4]
    for (size_t half = 0; half < 2; ++half) {
      for (size_t i = 0; i < 4; ++i)
        words[half][i] = load_words(&blocks[column + i].q[static_cast<size_t>(32 * g) + 16 * half]);
      transpose(words[half]);
    }
    for (int v = 0; v < kBits; ++v) {
      Words packed{};
      for (int w = v; w < 8; w += kBits)
        packed |= (words[w / 4][w % 4] >> shift & mask) << (kBits * (w / kBits));
      std::memcpy(plane + 64 * v + 4 * column, &packed, sizeof packed);
    }
  }
}

void put_plane(const PanelBlocks& blocks, int g, int bits, int shift, uint8_t* plane) {
  switch (bits) {
    case 1:
      return put_plane<1>(blocks, g, shift, plane);
    case 2:
      return put_plane<2>(blocks, g, shift, plane);
    case 4:
      return put_plane<4>(blocks, g, shift, plane);
    default:
      return put_plane<8>(blocks, g, shift, plane);
  }
}

void put_cell(const X86WeightFormat& f, const PanelBlocks& blocks, uint8_t* cell) {
  for (size_t column = 0; column < kX86PanelColumns; ++column) {
    const auto& block = blocks[column];
    if (f.scale == S::kExponent)
      cell[column] = static_cast<uint8_t>(block.scale);
    else
      std::memcpy(cell + 2 * column, &block.scale, 2);
    if (f.minimum) std::memcpy(cell + 32 + 2 * column, &block.minimum, 2);
  }
  uint8_t* at = cell + f.header_bytes();
  const int subs = 32 / f.sub, scale_bytes = f.scale_bytes(), group_bytes = f.group_bytes();
  for (int g = 0; g < f.block_elements / 32; ++g, at += group_bytes) {
    for (int s = 0; f.super() && s < subs; ++s)
      for (size_t column = 0; column < kX86PanelColumns; ++column) {
        const auto& block = blocks[column];
        const auto sub = static_cast<size_t>(subs * g + s);
        at[static_cast<size_t>(16 * s) + column] = block.scales[sub];
        if (f.scale == S::kByte) at[static_cast<size_t>(16 * (subs + s)) + column] = block.minima[sub];
      }
    put_plane(blocks, g, f.low_bits, 0, at + scale_bytes);
    if (f.high_bits) put_plane(blocks, g, f.high_bits, f.low_bits, at + scale_bytes + 64 * f.low_bits);
  }
}

void pack_quantised(const X86WeightFormat& f, const uint8_t* source, int64_t n, int64_t k, int64_t panel,
                    uint8_t* out) {
  const int64_t blocks = k / f.block_elements, row_bytes = blocks * f.block_bytes,
                cell_bytes = f.cell_bytes();
  const int64_t columns = std::min<int64_t>(kX86PanelColumns, n - kX86PanelColumns * panel);
  const auto read = x86_block_reader(f);
  const uint8_t* rows = source + kX86PanelColumns * panel * row_bytes;
  PanelBlocks panel_blocks{};
  for (int64_t b = 0; b < blocks; ++b, out += cell_bytes) {
    for (int64_t column = 0; column < columns; ++column)
      read(rows + column * row_bytes + b * f.block_bytes, panel_blocks[static_cast<size_t>(column)]);
    put_cell(f, panel_blocks, out);
  }
}

template <size_t kBytes>
void copy_words(const uint8_t* from, int64_t count, uint8_t* to) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + static_cast<size_t>(i) * kX86PanelColumns * kBytes,
                from + static_cast<size_t>(i) * kBytes, kBytes);
}

void pack_plain(const X86WeightFormat& f, const uint8_t* source, int64_t n, int64_t k, int64_t panel,
                uint8_t* out) {
  int64_t bytes = f.plain.bits() / 8, e = f.per_word(), padded = round_up(k, e), word = e * bytes;
  std::memset(out, 0, static_cast<size_t>(kX86PanelColumns * padded * bytes));
  for (int64_t column = 0; column < kX86PanelColumns && kX86PanelColumns * panel + column < n; ++column) {
    const uint8_t* row = source + (kX86PanelColumns * panel + column) * k * bytes;
    uint8_t* to = out + column * word;
    if (word == 2)
      copy_words<2>(row, k / e, to);
    else
      copy_words<4>(row, k / e, to);
    to += k / e * kX86PanelColumns * word;
    if (k % e) std::memcpy(to, row + k / e * word, static_cast<size_t>(k % e * bytes));
  }
}

}  // namespace

int X86WeightFormat::scale_bytes() const {
  if (!super()) return 0;
  return 16 * (32 / sub) * (scale == X86Scale::kByte ? 2 : 1);
}

std::span<const X86WeightFormat> x86_weight_formats() { return kFormats; }

const X86WeightFormat& x86_weight_format(std::string_view name) {
  std::string names;
  for (const auto& f : kFormats) {
    if (f.name == name) return f;
    names += (names.empty() ? "" : ", ") + std::string(f.name);
  }
  throw KernelError(fmt::format("no weight format '{}' on x86; the formats are {}", name, names));
}

int64_t x86_packed_bytes(const X86WeightFormat& f, int64_t n, int64_t k) {
  int64_t columns = round_up(n, kX86PanelColumns);
  if (f.quantised()) return columns / kX86PanelColumns * (k / f.block_elements) * f.cell_bytes();
  return columns * round_up(k, f.per_word()) * (f.plain.bits() / 8) + (f.plain == ir::s8 ? 8 * columns : 0);
}

void x86_pack_panels(const X86WeightFormat& f, const uint8_t* source, std::span<const float> scales,
                     int64_t n, int64_t k, int64_t first_panel, int64_t end_panel, uint8_t* packed) {
  require(k % f.block_elements == 0, "gemm_x86", "k", k,
          fmt::format("{} has blocks of {}", f.name, f.block_elements));
  int64_t columns = round_up(n, kX86PanelColumns), panels = columns / kX86PanelColumns;
  require(first_panel >= 0 && end_panel <= panels, "gemm_x86", "the panel to pack", end_panel,
          fmt::format("there are {}", panels));
  if (f.plain == ir::s8 && static_cast<int64_t>(scales.size()) != n)
    throw KernelError("gemm_x86: s8 weights need one scale a column");
  int64_t body = f.plain == ir::s8 ? columns * round_up(k, 4) : x86_packed_bytes(f, n, k);
  int64_t stride = body / panels;
  for (int64_t panel = first_panel; panel < end_panel; ++panel) {
    if (f.quantised())
      pack_quantised(f, source, n, k, panel, packed + panel * stride);
    else
      pack_plain(f, source, n, k, panel, packed + panel * stride);
    if (f.plain != ir::s8) continue;
    for (int64_t c = kX86PanelColumns * panel; c < kX86PanelColumns * (panel + 1); ++c) {
      int32_t sum = 0;
      for (int64_t i = 0; c < n && i < k; ++i) sum += static_cast<int8_t>(source[c * k + i]);
      int32_t correction = -128 * sum;
      float scale = c < n ? scales[static_cast<size_t>(c)] : 0.0f;
      std::memcpy(packed + body + 4 * c, &correction, 4);
      std::memcpy(packed + body + 4 * (columns + c), &scale, 4);
    }
  }
}

void x86_pack(const X86WeightFormat& f, const uint8_t* source, std::span<const float> scales, int64_t n,
              int64_t k, uint8_t* packed) {
  x86_pack_panels(f, source, scales, n, k, 0, round_up(n, kX86PanelColumns) / kX86PanelColumns, packed);
}

}  // namespace rose::kernels
