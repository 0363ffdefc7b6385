// Decoders and encoders of the quantised formats against values from the Python package gguf
// (data/golden.txt, made by data/make_golden.py), and the encoders against bounds on their error.
#include <gtest/gtest.h>

#include <cmath>

#include "helpers.h"
#include "weights/blocks.h"
#include "weights/dequantize.h"
#include "weights/quantize.h"

namespace rose::weights {
namespace {

Format format_named(std::string_view wanted) {
  for (const FormatInfo& row : all_formats()) {
    if (row.name == wanted) return row.format;
  }
  throw std::runtime_error(fmt::format("no format {}", wanted));
}

std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string hex;
  for (std::byte byte : bytes) hex += fmt::format("{:02x}", static_cast<int>(byte));
  return hex;
}

std::vector<float> decoded(Format format, std::span<const std::byte> blocks) {
  std::vector<float> values(blocks.size() / info(format).block_bytes * info(format).block_elements);
  dequantize(format, blocks, values);
  return values;
}

// As in make_golden.py: random bytes whose half-precision scales are neither infinite nor NaN.
std::vector<std::byte> golden_blocks(Format format, size_t count, uint64_t seed) {
  const size_t size = info(format).block_bytes;
  std::vector<std::byte> blocks(count * size);
  Lcg lcg{seed};
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(lcg.next());
  std::vector<size_t> halves = {0};
  if (format == Format::kQ4_1 || format == Format::kQ5_1 || format == Format::kQ4_K ||
      format == Format::kQ5_K)
    halves = {0, 2};
  if (format == Format::kQ2_K) halves = {offsetof(BlockQ2_K, scale), offsetof(BlockQ2_K, minimum)};
  if (format == Format::kQ3_K) halves = {offsetof(BlockQ3_K, scale)};
  if (format == Format::kQ6_K) halves = {offsetof(BlockQ6_K, scale)};
  for (size_t i = 0; i < count; ++i) {
    std::byte* block = blocks.data() + i * size;
    if (format == Format::kMXFP4) {
      block[0] = static_cast<std::byte>(96 + (static_cast<int>(block[0]) & 63));
    } else {
      for (size_t at : halves) block[at + 1] &= std::byte{0xbf};
    }
  }
  return blocks;
}

TEST(Dequantize, EqualsThePythonPackageBitForBit) {
  const auto cases = golden("dequantize");
  ASSERT_EQ(cases.size(), 13u);
  for (const auto& fields : cases) {
    const Format format = format_named(fields[1]);
    const auto values = decoded(format, from_hex(fields[2]));
    const auto bytes = from_hex(fields[3]);
    ASSERT_EQ(bytes.size(), values.size() * 4) << fields[1];
    for (size_t i = 0; i < values.size(); ++i) {
      float expected;
      std::memcpy(&expected, bytes.data() + 4 * i, 4);
      ASSERT_EQ(values[i], expected) << fields[1] << " element " << i;
    }
  }
}

TEST(Dequantize, EqualsThePythonPackageOverManyBlocks) {
  const auto cases = golden("dequantize_hash");
  ASSERT_EQ(cases.size(), 13u);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Format format = format_named(cases[i][1]);
    uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (float value : decoded(format, golden_blocks(format, std::stoul(cases[i][2]), 2000 + i))) {
      const auto bits = std::bit_cast<uint32_t>(value + 0.0f);
      for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (bits >> shift & 255)) * 0x100000001b3u;
    }
    EXPECT_EQ(fmt::format("{:016x}", hash), cases[i][3]) << cases[i][1];
  }
}

TEST(Dequantize, RefusesSizesThatDoNotFit) {
  std::vector<std::byte> bytes(18);
  std::vector<float> values(31);
  EXPECT_THROW(dequantize(Format::kQ4_0, bytes, values), std::invalid_argument);
  EXPECT_THROW(dequantize(Format::kQ4_0, std::span(bytes).first(17), std::span(values)),
               std::invalid_argument);
}

TEST(Quantize, EqualsThePythonPackageBitForBit) {
  const auto cases = golden("quantize");
  ASSERT_EQ(cases.size(), 7u);
  for (const auto& fields : cases) {
    EXPECT_EQ(to_hex(quantize(format_named(fields[1]), golden_values(128))), fields[2]) << fields[1];
  }
}

// The largest error of each quantised format for values in [-2, 2): a step of the codes is the range over
// their number, an error at most half of it, and rounded scales add a share that grows as they have fewer
// bits.
TEST(Quantize, ErrorIsWithinTheStepOfTheFormat) {
  const std::pair<Format, float> bounds[] = {
      {Format::kQ4_0, 2.0f / 8},
      {Format::kQ4_1, 4.0f / 15 / 2 * 1.01f},
      {Format::kQ5_0, 2.0f / 16},
      {Format::kQ5_1, 4.0f / 31 / 2 * 1.01f},
      {Format::kQ8_0, 2.0f / 127 / 2 * 1.1f},
      {Format::kQ2_K, 4.0f / 3 / 2 * 1.3f},
      {Format::kQ3_K, 2.0f / 4 * 1.1f},
      {Format::kQ4_K, 4.0f / 15 / 2 * 1.3f},
      {Format::kQ5_K, 4.0f / 31 / 2 * 1.4f},
      {Format::kQ6_K, 2.0f / 32 * 1.2f},
      {Format::kIQ4_NL, 0.4f},
      {Format::kIQ4_XS, 0.42f},
      {Format::kMXFP4, 0.5f},
  };
  for (const auto& [format, bound] : bounds) {
    const auto values = golden_values(256 * 64, 9);
    const auto back = decoded(format, quantize(format, values));
    ASSERT_EQ(back.size(), values.size());
    float worst = 0;
    for (size_t i = 0; i < values.size(); ++i) worst = std::max(worst, std::fabs(back[i] - values[i]));
    EXPECT_LE(worst, bound) << name(format);
    EXPECT_GT(worst, bound / 20) << name(format) << ": the bound is too loose to mean anything";
  }
}

// Values that a format can represent come back exactly when encoded again.
TEST(Quantize, PlainTypesRoundTrip) {
  const std::vector<float> values = {0, 1, 2, 3, 4, 6, 1, 0};
  for (const FormatInfo& row : all_formats()) {
    if (row.quantised || row.format == Format::kF8E8M0 || row.format == Format::kBool) continue;
    EXPECT_EQ(decoded(row.format, quantize(row.format, values)), values) << row.name;
  }
  EXPECT_EQ(decoded(Format::kBool, quantize(Format::kBool, values)),
            (std::vector<float>{0, 1, 1, 1, 1, 1, 1, 0}));
  const std::vector<float> wide = {-1e30f, 1e30f, -1.5f, 2.5f};
  EXPECT_EQ(decoded(Format::kI8, quantize(Format::kI8, wide)), (std::vector<float>{-128, 127, -2, 2}));
  EXPECT_EQ(decoded(Format::kU16, quantize(Format::kU16, wide)), (std::vector<float>{0, 65535, 0, 2}));
}

TEST(Quantize, ZerosAndTinyAndHugeValues) {
  for (const FormatInfo& row : all_formats()) {
    if (!row.quantised) continue;
    for (float tiny : {0.0f, 1e-40f, -1e-40f, 1e-33f}) {
      const std::vector<float> values(256, tiny);
      for (float value : decoded(row.format, quantize(row.format, values)))
        ASSERT_NEAR(value, 0, 1e-6) << row.name;
    }
    std::vector<float> values(256, 0.0f);
    values[7] = 3e38f;
    values[8] = -3e38f;
    if (row.format != Format::kMXFP4) {  // its scale reaches as far as float
      EXPECT_THROW(quantize(row.format, values), std::invalid_argument) << row.name;
    }
    values[7] = std::nanf("");
    EXPECT_THROW(quantize(row.format, values), std::invalid_argument) << row.name;
    values[7] = 1, values[8] = 1, values.resize(255);
    EXPECT_THROW(quantize(row.format, values), std::invalid_argument) << row.name;
  }
}

}  // namespace
}  // namespace rose::weights
