#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "helpers.h"
#include "weights/dequantize.h"
#include "weights/finite.h"
#include "weights/names.h"
#include "weights/quantize.h"

namespace rose::weights {
namespace {

// The decoder is the judge: over all single-byte changes of a block, the check and the decoded values must
// agree. (A NaN or infinite scale makes its whole block NaN or infinite, but for codes of 0, so one bad value
// is enough.)
TEST(Finite, AgreesWithTheDecoderForEveryFormat) {
  for (const FormatInfo& row : all_formats()) {
    const size_t count = 3 * row.block_elements;
    auto values = golden_values(count);
    for (float& value : values) value = std::fabs(value) + 1.0f;  // E8M0 has no sign and no zero
    const auto good = quantize(row.format, values);
    size_t bad = 0;
    for (size_t at = row.block_bytes; at < 2 * row.block_bytes; ++at) {
      for (int change = 0; change < 256; ++change) {
        auto bytes = good;
        bytes[at] = static_cast<std::byte>(change);
        const Tensor tensor{"t", row.format, {count}, bytes, count, 0};
        const auto decoded = dequantize(tensor);
        const bool finite = std::ranges::all_of(decoded, [](float v) { return std::isfinite(v); });
        const auto found = first_non_finite(tensor);
        // Products of finite scales may still overflow float in the decoder, and F64 may overflow by
        // rounding.
        if (finite) {
          ASSERT_EQ(found, std::nullopt) << row.name << " byte " << at << " = " << change;
        }
        if (!found) continue;
        ++bad;
        ASSERT_EQ(*found, row.block_elements) << row.name;
        ASSERT_FALSE(finite) << row.name;
      }
    }
    const bool has_special = row.quantised || (row.name[0] == 'F' && row.name != "F4") || row.name == "BF16";
    const bool one_byte_makes_it =
        row.format != Format::kF64 && row.format != Format::kF32 && row.format != Format::kBF16;
    if (has_special && one_byte_makes_it) {
      EXPECT_GT(bad, 0u) << row.name;
    } else if (!has_special) {
      EXPECT_EQ(bad, 0u) << row.name;
    }
  }
}

TEST(Finite, WideTypesAndTheMessage) {
  const std::vector<double> doubles = {1, 1e308, INFINITY};
  EXPECT_EQ(first_non_finite({"t", Format::kF64, {3}, bytes_of(doubles), 3, 0}), 2u);
  const std::vector<float> floats = {1, std::nanf(""), 3e38f};
  const Tensor tensor{"t", Format::kF32, {3}, bytes_of(floats), 3, 0};
  EXPECT_EQ(first_non_finite(tensor), 1u);
  const auto bfloats = quantize(Format::kBF16, floats);
  EXPECT_EQ(first_non_finite({"t", Format::kBF16, {3}, bfloats, 3, 0}), 1u);
  const TensorStore store({{"model.gguf", {}, nullptr}}, {tensor});
  EXPECT_THAT(error_of([&] { expect_finite(store, store.at("t")); }),
              testing::HasSubstr("model.gguf: tensor 't': is NaN or infinite at element 1 of F32 [3]"));
}

TEST(Names, EqualThePythonPackage) {
  size_t compared = 0;
  for (const auto& fields : golden("name")) {
    if (fields[3] == "-") continue;  // an architecture without such a tensor never asks for it
    ++compared;
    for (const char* kind : {".weight", ".bias"}) {
      EXPECT_EQ(gguf_name(fields[1], fields[2] + kind), fields[3] + kind) << fields[1];
    }
  }
  EXPECT_GT(compared, 70u);
  for (const char* other :
       {"", "weight", "model.layers.x.mlp.up_proj.weight", "model.layers.1.weight", "model.norm.scale",
        "model.layers..mlp.up_proj.weight", "model.layers.1", "model.layers.1.nothing.weight"}) {
    EXPECT_EQ(gguf_name("llama", other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace rose::weights
