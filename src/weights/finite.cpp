#include "weights/finite.h"

#include <cstddef>
#include <cstring>

#include "weights/blocks.h"
#include "weights/error.h"

namespace rose::weights {
namespace {

// A word at some place in each block in which all bits of `mask` set means NaN or infinity (E4M3 and E8M0:
// NaN).
struct Exponent {
  size_t at;
  size_t bytes;
  uint64_t mask;
};

constexpr Exponent half_at(size_t at) { return {at, 2, 0x7c00}; }

// The words to look at in one block of a format; none for formats that are always finite.
std::vector<Exponent> exponents_of(Format format) {
  switch (format) {
    case Format::kF64:
      return {{0, 8, 0x7ff0000000000000}};
    case Format::kF32:
      return {{0, 4, 0x7f800000}};
    case Format::kF16:
      return {half_at(0)};
    case Format::kBF16:
      return {{0, 2, 0x7f80}};
    case Format::kF8E4M3:
      return {{0, 1, 0x7f}};
    case Format::kF8E5M2:
      return {{0, 1, 0x7c}};
    case Format::kF8E8M0:
      return {{0, 1, 0xff}};
    case Format::kQ4_0:
      return {half_at(offsetof(BlockQ4_0, scale))};
    case Format::kQ4_1:
      return {half_at(offsetof(BlockQ4_1, scale)), half_at(offsetof(BlockQ4_1, minimum))};
    case Format::kQ5_0:
      return {half_at(offsetof(BlockQ5_0, scale))};
    case Format::kQ5_1:
      return {half_at(offsetof(BlockQ5_1, scale)), half_at(offsetof(BlockQ5_1, minimum))};
    case Format::kQ8_0:
      return {half_at(offsetof(BlockQ8_0, scale))};
    case Format::kQ2_K:
      return {half_at(offsetof(BlockQ2_K, scale)), half_at(offsetof(BlockQ2_K, minimum))};
    case Format::kQ3_K:
      return {half_at(offsetof(BlockQ3_K, scale))};
    case Format::kQ4_K:
      return {half_at(offsetof(BlockQ4_K, scale)), half_at(offsetof(BlockQ4_K, minimum))};
    case Format::kQ5_K:
      return {half_at(offsetof(BlockQ5_K, scale)), half_at(offsetof(BlockQ5_K, minimum))};
    case Format::kQ6_K:
      return {half_at(offsetof(BlockQ6_K, scale))};
    case Format::kIQ4_NL:
      return {half_at(offsetof(BlockIQ4_NL, scale))};
    case Format::kIQ4_XS:
      return {half_at(offsetof(BlockIQ4_XS, scale))};
    case Format::kMXFP4:
      return {{offsetof(BlockMXFP4, scale), 1, 0xff}};
    case Format::kF4E2M1:
    case Format::kI64:
    case Format::kI32:
    case Format::kI16:
    case Format::kI8:
    case Format::kU64:
    case Format::kU32:
    case Format::kU16:
    case Format::kU8:
    case Format::kBool:
      return {};
  }
  return {};
}

// First block in which the word has all bits of its mask, or `blocks`.
template <typename Word>
uint64_t first_block(const std::byte* data, uint64_t blocks, size_t stride, const Exponent& exponent) {
  const auto mask = static_cast<Word>(exponent.mask);
  uint64_t i = 0;
  // Plain types, many at a time: a loop without a way out of its middle becomes vector code.
  if (stride == sizeof(Word)) {
    constexpr uint64_t kMany = 1024;
    for (; i + kMany <= blocks; i += kMany) {
      Word words[kMany], found = 0;
      std::memcpy(words, data + i * sizeof(Word), sizeof words);
      for (uint64_t k = 0; k < kMany; ++k) found |= static_cast<Word>((words[k] & mask) == mask);
      if (found) break;
    }
  }
  for (; i < blocks; ++i) {
    Word word;
    std::memcpy(&word, data + i * stride + exponent.at, sizeof word);
    if ((word & mask) == mask) return i;
  }
  return blocks;
}

}  // namespace

std::optional<uint64_t> first_non_finite(const Tensor& tensor) {
  const FormatInfo& row = info(tensor.format);
  const uint64_t blocks = tensor.bytes.size() / row.block_bytes;
  uint64_t first = blocks;
  for (const Exponent& exponent : exponents_of(tensor.format)) {
    const auto search = exponent.bytes == 1   ? first_block<uint8_t>
                        : exponent.bytes == 2 ? first_block<uint16_t>
                        : exponent.bytes == 4 ? first_block<uint32_t>
                                              : first_block<uint64_t>;
    first = std::min(first, search(tensor.bytes.data(), first, row.block_bytes, exponent));
  }
  if (first == blocks) return std::nullopt;
  return first * row.block_elements;
}

void expect_finite(const TensorStore& store, const Tensor& tensor) {
  if (auto element = first_non_finite(tensor)) {
    fail(store.path_of(tensor), "tensor " + quote_name(tensor.name),
         "is NaN or infinite at element {} of {} {}; the file is damaged or was made from a broken model",
         *element, name(tensor.format), shape_text(tensor.shape));
  }
}

}  // namespace rose::weights
