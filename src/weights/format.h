// What one stored tensor is made of: the table of every data type and quantisation format that files may
// hold.
//
// A format stores a row of elements as blocks: `block_elements` neighbouring elements of the innermost
// dimension take `block_bytes` bytes. Plain types have blocks of one element. All numbers are little-endian.
// Layouts of the quantised formats are described in blocks.h; facts checked against the Python package `gguf`
// (GGML_QUANT_SIZES).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rose::weights {

enum class Format : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF4E2M1,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
};

struct FormatInfo {
  Format format;
  std::string_view name;    // as in GGUF tools, e.g. "Q4_K"; plain types as in safetensors, e.g. "F8_E4M3"
  uint32_t block_elements;  // elements of one block
  uint32_t block_bytes;     // bytes of one block
  int gguf_type;            // number in GGUF tensor infos, or -1
  std::string_view safetensors;  // name in safetensors headers, or ""
  bool quantised;                // has scales inside its blocks

  double bits_per_element() const { return 8.0 * block_bytes / block_elements; }
};

// Every format, in the order of the enum.
std::span<const FormatInfo> all_formats();

const FormatInfo& info(Format format);
inline std::string_view name(Format format) { return info(format).name; }

std::optional<Format> format_of_gguf_type(uint32_t type);
std::optional<Format> format_of_safetensors(std::string_view dtype);

// Name of any tensor type that ggml knows, also of those that ROSE does not read, e.g. "IQ2_XXS"; "" when
// unknown.
std::string_view gguf_type_name(uint32_t type);

// Elements of a shape; nullopt when the product of its non-zero extents overflows 64 bits. Rank 0 has one
// element.
std::optional<uint64_t> element_count(std::span<const uint64_t> shape);

// Bytes of a dense tensor of this format and shape (outermost dimension first). nullopt when 64 bits overflow
// or when the innermost dimension is not a multiple of block_elements.
std::optional<uint64_t> byte_count(Format format, std::span<const uint64_t> shape);

// "[32000, 4096]".
std::string shape_text(std::span<const uint64_t> shape);

}  // namespace rose::weights
