#include "weights/format.h"

#include <fmt/format.h>

#include "weights/checked.h"

namespace rose::weights {
namespace {

// clang-format off
constexpr FormatInfo kFormats[] = {
    // format           name       elements bytes gguf  safetensors quantised
    {Format::kF64,    "F64",         1,   8,  28, "F64",     false},
    {Format::kF32,    "F32",         1,   4,   0, "F32",     false},
    {Format::kF16,    "F16",         1,   2,   1, "F16",     false},
    {Format::kBF16,   "BF16",        1,   2,  30, "BF16",    false},
    {Format::kF8E4M3, "F8_E4M3",     1,   1,  -1, "F8_E4M3", false},
    {Format::kF8E5M2, "F8_E5M2",     1,   1,  -1, "F8_E5M2", false},
    {Format::kF8E8M0, "F8_E8M0",     1,   1,  -1, "F8_E8M0", false},
    {Format::kF4E2M1, "F4",          2,   1,  -1, "F4",      false},  // low nibble first
    {Format::kI64,    "I64",         1,   8,  27, "I64",     false},
    {Format::kI32,    "I32",         1,   4,  26, "I32",     false},
    {Format::kI16,    "I16",         1,   2,  25, "I16",     false},
    {Format::kI8,     "I8",          1,   1,  24, "I8",      false},
    {Format::kU64,    "U64",         1,   8,  -1, "U64",     false},
    {Format::kU32,    "U32",         1,   4,  -1, "U32",     false},
    {Format::kU16,    "U16",         1,   2,  -1, "U16",     false},
    {Format::kU8,     "U8",          1,   1,  -1, "U8",      false},
    {Format::kBool,   "BOOL",        1,   1,  -1, "BOOL",    false},
    {Format::kQ4_0,   "Q4_0",       32,  18,   2, "",        true},
    {Format::kQ4_1,   "Q4_1",       32,  20,   3, "",        true},
    {Format::kQ5_0,   "Q5_0",       32,  22,   6, "",        true},
    {Format::kQ5_1,   "Q5_1",       32,  24,   7, "",        true},
    {Format::kQ8_0,   "Q8_0",       32,  34,   8, "",        true},
    {Format::kQ2_K,   "Q2_K",      256,  84,  10, "",        true},
    {Format::kQ3_K,   "Q3_K",      256, 110,  11, "",        true},
    {Format::kQ4_K,   "Q4_K",      256, 144,  12, "",        true},
    {Format::kQ5_K,   "Q5_K",      256, 176,  13, "",        true},
    {Format::kQ6_K,   "Q6_K",      256, 210,  14, "",        true},
    {Format::kIQ4_NL, "IQ4_NL",     32,  18,  20, "",        true},
    {Format::kIQ4_XS, "IQ4_XS",    256, 136,  23, "",        true},
    {Format::kMXFP4,  "MXFP4",      32,  17,  39, "",        true},
};

// Types of ggml that no reader here understands, kept for messages that say more than a number.
constexpr struct { uint32_t type; std::string_view name; } kUnread[] = {
    {4, "Q4_2 (removed from ggml)"}, {5, "Q4_3 (removed from ggml)"}, {9, "Q8_1"}, {15, "Q8_K"}, {16, "IQ2_XXS"},
    {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"}, {29, "IQ1_M"},
    {31, "Q4_0_4_4 (removed from ggml)"}, {32, "Q4_0_4_8 (removed from ggml)"}, {33, "Q4_0_8_8 (removed from ggml)"},
    {34, "TQ1_0"}, {35, "TQ2_0"}, {40, "NVFP4"}, {41, "Q1_0"},
};
// clang-format on

constexpr bool in_enum_order() {
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    if (static_cast<size_t>(kFormats[i].format) != i) return false;
  }
  return true;
}
static_assert(in_enum_order() && std::size(kFormats) == static_cast<size_t>(Format::kMXFP4) + 1);

}  // namespace

std::span<const FormatInfo> all_formats() { return kFormats; }
const FormatInfo& info(Format format) { return kFormats[static_cast<size_t>(format)]; }

std::optional<Format> format_of_gguf_type(uint32_t type) {
  for (const FormatInfo& row : kFormats) {
    if (row.gguf_type >= 0 && static_cast<uint32_t>(row.gguf_type) == type) return row.format;
  }
  return std::nullopt;
}

std::optional<Format> format_of_safetensors(std::string_view dtype) {
  for (const FormatInfo& row : kFormats) {
    if (!row.safetensors.empty() && row.safetensors == dtype) return row.format;
  }
  return std::nullopt;
}

std::string_view gguf_type_name(uint32_t type) {
  if (auto format = format_of_gguf_type(type)) return name(*format);
  for (const auto& row : kUnread) {
    if (row.type == type) return row.name;
  }
  return "";
}

std::optional<uint64_t> element_count(std::span<const uint64_t> shape) {
  // Zeros are left out of the product, so that partial products of an empty tensor's other extents cannot
  // overflow in code that multiplies some of them.
  uint64_t count = 1;
  bool empty = false;
  for (uint64_t extent : shape) {
    if (extent == 0) {
      empty = true;
      continue;
    }
    auto product = checked_multiply(count, extent);
    if (!product) return std::nullopt;
    count = *product;
  }
  return empty ? 0 : count;
}

std::optional<uint64_t> byte_count(Format format, std::span<const uint64_t> shape) {
  const FormatInfo& row = info(format);
  const uint64_t innermost = shape.empty() ? 1 : shape.back();
  if (innermost % row.block_elements != 0) return std::nullopt;
  auto count = element_count(shape);
  if (!count) return std::nullopt;
  return checked_multiply(*count / row.block_elements, row.block_bytes);
}

std::string shape_text(std::span<const uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace rose::weights
