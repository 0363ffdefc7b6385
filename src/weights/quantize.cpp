#include "weights/quantize.h"

#include <fmt/format.h>

#include <limits>

#include "weights/byte_sink.h"
#include "weights/quantize_blocks.h"
#include "weights/scalar.h"

namespace rose::weights {
namespace {

using Bytes = std::vector<std::byte>;

template <typename Block>
void encode_blocks(std::span<const float> values, size_t block_elements, Bytes& out) {
  for (size_t i = 0; i < values.size(); i += block_elements) {
    Block block;
    encode_block(values.data() + i, block);
    put_number(out, block);
  }
}

template <typename Convert>
void encode_each(std::span<const float> values, Bytes& out, Convert convert) {
  for (float value : values) put_number(out, convert(value));
}

// In double every bound of up to 32 bits is exact. The bounds of 64-bit types round up to 2^63 and 2^64, so
// the comparison is ">=" there, which is right for the narrower types as well.
template <typename T>
void encode_integers(std::span<const float> values, Bytes& out) {
  constexpr double kLow = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double kHigh = static_cast<double>(std::numeric_limits<T>::max());
  encode_each(values, out, [](float value) {
    const double rounded = std::nearbyint(static_cast<double>(value));
    if (rounded <= kLow) return std::numeric_limits<T>::min();
    if (rounded >= kHigh) return std::numeric_limits<T>::max();
    return static_cast<T>(rounded);
  });
}

bool needs_finite(Format format) {
  switch (format) {
    case Format::kF64:
    case Format::kF32:
    case Format::kF16:
    case Format::kBF16:
    case Format::kF8E4M3:
    case Format::kF8E5M2:
    case Format::kF8E8M0:
    case Format::kF4E2M1:
    case Format::kBool:
      return false;
    default:
      return true;
  }
}

void check(const FormatInfo& row, std::span<const float> values) {
  if (values.size() % row.block_elements != 0) {
    throw std::invalid_argument(fmt::format("quantize {}: {} values are no multiple of {}", row.name,
                                            values.size(), row.block_elements));
  }
  for (size_t i = 0; needs_finite(row.format) && i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      throw std::invalid_argument(fmt::format("quantize {}: value {} is {}", row.name, i, values[i]));
  }
}

}  // namespace

std::vector<std::byte> quantize(Format format, std::span<const float> values) {
  const FormatInfo& row = info(format);
  check(row, values);
  Bytes out;
  out.reserve(values.size() / row.block_elements * row.block_bytes);
  const size_t block = row.block_elements;
  switch (format) {
    case Format::kF64:
      encode_each(values, out, [](float v) { return static_cast<double>(v); });
      break;
    case Format::kF32:
      encode_each(values, out, [](float v) { return v; });
      break;
    case Format::kF16:
      encode_each(values, out, float_to_half);
      break;
    case Format::kBF16:
      encode_each(values, out, float_to_bfloat16);
      break;
    case Format::kF8E4M3:
      encode_each(values, out, [](float v) { return float_to_e4m3(v); });
      break;
    case Format::kF8E5M2:
      encode_each(values, out, [](float v) { return float_to_e5m2(v); });
      break;
    case Format::kF8E8M0:
      encode_each(values, out, float_to_e8m0);
      break;
    case Format::kF4E2M1:
      for (size_t i = 0; i < values.size(); i += 2) {
        put_number(out, static_cast<uint8_t>(float_to_e2m1(values[i]) | float_to_e2m1(values[i + 1]) << 4));
      }
      break;
    case Format::kI64:
      encode_integers<int64_t>(values, out);
      break;
    case Format::kI32:
      encode_integers<int32_t>(values, out);
      break;
    case Format::kI16:
      encode_integers<int16_t>(values, out);
      break;
    case Format::kI8:
      encode_integers<int8_t>(values, out);
      break;
    case Format::kU64:
      encode_integers<uint64_t>(values, out);
      break;
    case Format::kU32:
      encode_integers<uint32_t>(values, out);
      break;
    case Format::kU16:
      encode_integers<uint16_t>(values, out);
      break;
    case Format::kU8:
      encode_integers<uint8_t>(values, out);
      break;
    case Format::kBool:
      encode_each(values, out, [](float v) { return static_cast<uint8_t>(v != 0); });
      break;
    case Format::kQ4_0:
      encode_blocks<BlockQ4_0>(values, block, out);
      break;
    case Format::kQ4_1:
      encode_blocks<BlockQ4_1>(values, block, out);
      break;
    case Format::kQ5_0:
      encode_blocks<BlockQ5_0>(values, block, out);
      break;
    case Format::kQ5_1:
      encode_blocks<BlockQ5_1>(values, block, out);
      break;
    case Format::kQ8_0:
      encode_blocks<BlockQ8_0>(values, block, out);
      break;
    case Format::kQ2_K:
      encode_blocks<BlockQ2_K>(values, block, out);
      break;
    case Format::kQ3_K:
      encode_blocks<BlockQ3_K>(values, block, out);
      break;
    case Format::kQ4_K:
      encode_blocks<BlockQ4_K>(values, block, out);
      break;
    case Format::kQ5_K:
      encode_blocks<BlockQ5_K>(values, block, out);
      break;
    case Format::kQ6_K:
      encode_blocks<BlockQ6_K>(values, block, out);
      break;
    case Format::kIQ4_NL:
      encode_blocks<BlockIQ4_NL>(values, block, out);
      break;
    case Format::kIQ4_XS:
      encode_blocks<BlockIQ4_XS>(values, block, out);
      break;
    case Format::kMXFP4:
      encode_blocks<BlockMXFP4>(values, block, out);
      break;
  }
  return out;
}

}  // namespace rose::weights
