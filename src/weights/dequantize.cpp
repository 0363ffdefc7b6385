#include "weights/dequantize.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "weights/dequantize_blocks.h"
#include "weights/scalar.h"

namespace rose::weights {
namespace {

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename Block>
void decode_blocks(const std::byte* source, size_t blocks, float* target, int block_elements) {
  for (size_t i = 0; i < blocks; ++i) {
    decode_block(load<Block>(source + i * sizeof(Block)), target + i * block_elements);
  }
}

// Plain types: `convert` turns one stored T into a float.
template <typename T, typename Convert>
void decode_each(const std::byte* source, size_t count, float* target, Convert convert) {
  for (size_t i = 0; i < count; ++i) target[i] = convert(load<T>(source + i * sizeof(T)));
}

template <typename T>
void decode_number(const std::byte* source, size_t count, float* target) {
  decode_each<T>(source, count, target, [](T value) { return static_cast<float>(value); });
}

}  // namespace

void dequantize(Format format, std::span<const std::byte> source, std::span<float> target) {
  const FormatInfo& row = info(format);
  const size_t blocks = source.size() / row.block_bytes;
  if (source.size() % row.block_bytes != 0 || target.size() != blocks * row.block_elements) {
    throw std::invalid_argument(
        fmt::format("dequantize {}: {} bytes do not hold {} elements ({} bytes per {})", row.name,
                    source.size(), target.size(), row.block_bytes, row.block_elements));
  }
  const std::byte* in = source.data();
  float* out = target.data();
  const int block = static_cast<int>(row.block_elements);
  switch (format) {
    case Format::kF64:
      return decode_number<double>(in, blocks, out);
    case Format::kF32:
      return decode_number<float>(in, blocks, out);
    case Format::kF16:
      return decode_each<uint16_t>(in, blocks, out, half_to_float);
    case Format::kBF16:
      return decode_each<uint16_t>(in, blocks, out, bfloat16_to_float);
    case Format::kF8E4M3:
      return decode_each<uint8_t>(in, blocks, out, e4m3_to_float);
    case Format::kF8E5M2:
      return decode_each<uint8_t>(in, blocks, out, e5m2_to_float);
    case Format::kF8E8M0:
      return decode_each<uint8_t>(in, blocks, out, e8m0_to_float);
    case Format::kF4E2M1:
      for (size_t i = 0; i < blocks; ++i) {
        const auto pair = load<uint8_t>(in + i);
        out[2 * i] = e2m1_to_float(pair & 15);
        out[2 * i + 1] = e2m1_to_float(pair >> 4);
      }
      return;
    case Format::kI64:
      return decode_number<int64_t>(in, blocks, out);
    case Format::kI32:
      return decode_number<int32_t>(in, blocks, out);
    case Format::kI16:
      return decode_number<int16_t>(in, blocks, out);
    case Format::kI8:
      return decode_number<int8_t>(in, blocks, out);
    case Format::kU64:
      return decode_number<uint64_t>(in, blocks, out);
    case Format::kU32:
      return decode_number<uint32_t>(in, blocks, out);
    case Format::kU16:
      return decode_number<uint16_t>(in, blocks, out);
    case Format::kU8:
      return decode_number<uint8_t>(in, blocks, out);
    case Format::kBool:
      return decode_each<uint8_t>(in, blocks, out, [](uint8_t v) { return v ? 1.0f : 0.0f; });
    case Format::kQ4_0:
      return decode_blocks<BlockQ4_0>(in, blocks, out, block);
    case Format::kQ4_1:
      return decode_blocks<BlockQ4_1>(in, blocks, out, block);
    case Format::kQ5_0:
      return decode_blocks<BlockQ5_0>(in, blocks, out, block);
    case Format::kQ5_1:
      return decode_blocks<BlockQ5_1>(in, blocks, out, block);
    case Format::kQ8_0:
      return decode_blocks<BlockQ8_0>(in, blocks, out, block);
    case Format::kQ2_K:
      return decode_blocks<BlockQ2_K>(in, blocks, out, block);
    case Format::kQ3_K:
      return decode_blocks<BlockQ3_K>(in, blocks, out, block);
    case Format::kQ4_K:
      return decode_blocks<BlockQ4_K>(in, blocks, out, block);
    case Format::kQ5_K:
      return decode_blocks<BlockQ5_K>(in, blocks, out, block);
    case Format::kQ6_K:
      return decode_blocks<BlockQ6_K>(in, blocks, out, block);
    case Format::kIQ4_NL:
      return decode_blocks<BlockIQ4_NL>(in, blocks, out, block);
    case Format::kIQ4_XS:
      return decode_blocks<BlockIQ4_XS>(in, blocks, out, block);
    case Format::kMXFP4:
      return decode_blocks<BlockMXFP4>(in, blocks, out, block);
  }
  throw std::invalid_argument(fmt::format("dequantize: {} is no format", static_cast<int>(format)));
}

std::vector<float> dequantize(const Tensor& tensor) {
  std::vector<float> values(tensor.elements);
  dequantize(tensor.format, tensor.bytes, values);
  return values;
}

}  // namespace rose::weights
