// Weights on their way to a device: every format and type, rows in the orders that kernels want, chunks, and
// what is refused.
#include "models/weight_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "fake_cuda.h"
#include "tiny_decoder.h"
#include "weights/dequantize.h"
#include "weights/error.h"
#include "weights/quantize.h"
#include "weights/scalar.h"
#include "weights/writer.h"

namespace rose::models {
namespace {

using testing::HasSubstr;

// A checkpoint with a tensor of each given format, [rows, columns], named by its format.
class Files {
 public:
  Files(int64_t rows, int64_t columns, const std::vector<weights::Format>& formats, float spoil = 0) {
    std::mt19937 generator(7);
    std::normal_distribution<float> normal(0, 2);
    weights::SafetensorsWriter writer;
    std::vector<std::vector<std::byte>> bytes;
    for (auto format : formats) {
      std::vector<float> values(static_cast<size_t>(rows * columns));
      for (float& v : values) v = normal(generator);
      if (spoil != 0) values[values.size() / 2 + 3] = spoil;
      bytes.push_back(weights::quantize(format, values));
    }
    for (size_t i = 0; i < formats.size(); ++i)
      writer.add_tensor({std::string(weights::name(formats[i])),
                         formats[i],
                         {static_cast<uint64_t>(rows), static_cast<uint64_t>(columns)},
                         bytes[i]});
    writer.write(folder_.path() / "model.safetensors");
    weights::write_file(folder_.path() / "config.json",
                        std::as_bytes(std::span(std::string_view(R"({"model_type": "llama"})"))));
    checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(folder_.path()));
  }
  const weights::Tensor& tensor(weights::Format format) const {
    return checkpoint->tensors().at(weights::name(format));
  }

 private:
  TemporaryFolder folder_;

 public:
  std::unique_ptr<Checkpoint> checkpoint;
};

std::vector<std::byte> converted(std::span<const float> values, ir::Type type) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(type.bits()) / 8);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t narrow =
        type == ir::bf16 ? weights::float_to_bfloat16(values[i]) : weights::float_to_half(values[i]);
    if (type == ir::f32)
      std::memcpy(&bytes[4 * i], &values[i], 4);
    else
      std::memcpy(&bytes[2 * i], &narrow, 2);
  }
  return bytes;
}

// "x86" fills the place itself, "cuda:0" is the driver of ordinary memory, whose copies happen as late as
// they may.
class WeightLoaderTest : public testing::TestWithParam<const char*> {
 protected:
  WeightLoaderTest() {
    fake_->late_copies = true;
    runtime::ContextOptions options;
    options.device = GetParam();
    options.driver = fake_.driver();
    options.cache.disk = false;
    options.log = runtime::log_nowhere();
    context_ = std::make_unique<runtime::Context>(std::move(options));
  }

  // Room that is full of what no test writes.
  runtime::Buffer room(size_t bytes) {
    auto buffer = context_->device().allocate(bytes + 64);
    std::memset(reinterpret_cast<void*>(buffer.pointer().address), 0xa5, bytes + 64);
    return buffer;
  }
  static std::vector<std::byte> content(const runtime::Buffer& buffer) {
    const auto* at = reinterpret_cast<const std::byte*>(buffer.pointer().address);
    EXPECT_TRUE(std::all_of(at + buffer.bytes() - 64, at + buffer.bytes(), [](std::byte b) {
      return b == std::byte{0xa5};
    })) << "something was written behind the end";
    return {at, at + buffer.bytes() - 64};
  }

  runtime::FakeCuda fake_;
  std::unique_ptr<runtime::Context> context_;
};

TEST_P(WeightLoaderTest, EveryFormatAsEveryType) {
  using enum weights::Format;
  const std::vector<weights::Format> formats = {kBF16, kF16, kF32, kF64, kF8E4M3};
  Files files(37, 96, formats);
  for (size_t chunk : {size_t{1}, size_t{1000}, size_t{1} << 20})
    for (ir::Type type : {ir::bf16, ir::f16, ir::f32})
      for (auto format : formats) {
        const auto& tensor = files.tensor(format);
        const auto expected = converted(weights::dequantize(tensor), type);
        auto buffer = room(expected.size());
        WeightLoader loader(*context_, *files.checkpoint, {.threads = 3, .chunk_bytes = chunk});
        loader.copy(tensor, buffer, type);
        loader.finish();
        EXPECT_EQ(loader.queued_bytes(), expected.size());
        EXPECT_EQ(content(buffer), expected)
            << weights::name(format) << " as " << ir::to_string(type) << " by " << chunk;
      }
}

TEST_P(WeightLoaderTest, RowsBelowEachOtherAndMixed) {
  using enum weights::Format;
  Files files(24, 40, {kBF16, kF32});
  const weights::Tensor* parts[] = {&files.tensor(kBF16), &files.tensor(kF32)};
  const auto first = weights::dequantize(*parts[0]), second = weights::dequantize(*parts[1]);
  for (int64_t group : {0, 1, 8})
    for (size_t chunk : {size_t{80}, size_t{500}, size_t{1} << 20}) {
      std::vector<float> expected;
      for (int64_t row = 0; row < 48; ++row) {
        const bool odd = group > 0 ? row / group % 2 != 0 : row >= 24;
        const int64_t from = group > 0 ? row / (2 * group) * group + row % group : row % 24;
        const auto* at = (odd ? second : first).data() + from * 40;
        expected.insert(expected.end(), at, at + 40);
      }
      const auto bytes = converted(expected, ir::bf16);
      auto buffer = room(bytes.size());
      WeightLoader loader(*context_, *files.checkpoint, {.threads = 2, .chunk_bytes = chunk});
      loader.copy(parts, buffer, ir::bf16, group);
      loader.finish();
      EXPECT_EQ(content(buffer), bytes) << "groups of " << group << ", chunks of " << chunk;
    }
}

TEST_P(WeightLoaderTest, ManyCopiesReportTheirProgress) {
  using enum weights::Format;
  Files files(64, 64, {kBF16});
  const auto& tensor = files.tensor(kBF16);
  uint64_t last = 0, all = 0;
  WeightLoaderOptions options{.threads = 2, .chunk_bytes = 512};
  options.progress = [&](uint64_t done, uint64_t queued) { last = done, all = queued; };
  WeightLoader loader(*context_, *files.checkpoint, options);
  std::vector<runtime::Buffer> buffers;
  for (int round = 0; round < 2; ++round) {  // a loader may be used again
    for (int i = 0; i < 20; ++i) loader.copy(tensor, buffers.emplace_back(room(tensor.bytes.size())));
    loader.finish();
    EXPECT_EQ(last, all);
    EXPECT_EQ(all, (round + 1) * 20 * tensor.bytes.size());
  }
  for (const auto& buffer : buffers) EXPECT_TRUE(std::ranges::equal(content(buffer), tensor.bytes));
  EXPECT_NO_THROW(loader.finish()) << "nothing queued is nothing to wait for";
}

TEST_P(WeightLoaderTest, RefusesNumbersThatAreNone) {
  using enum weights::Format;
  auto message = [&](const Files& files, weights::Format format, ir::Type type) {
    const auto& tensor = files.tensor(format);
    auto buffer = room(tensor.elements * 4);
    WeightLoader loader(*context_, *files.checkpoint, {.threads = 2, .chunk_bytes = 256});
    loader.copy(tensor, buffer, type);
    try {
      loader.finish();
    } catch (const weights::WeightsError& error) {
      return std::string(error.what());
    }
    return std::string("(nothing was thrown)");
  };
  Files nan(16, 32, {kBF16, kF32}, NAN);
  EXPECT_THAT(message(nan, kBF16, ir::bf16),
              HasSubstr("tensor 'BF16': is NaN or infinite at element 259 of BF16 [16, 32]"));
  EXPECT_THAT(message(nan, kF32, ir::bf16), HasSubstr("tensor 'F32': is NaN or infinite at element 259"));
  Files large(16, 32, {kBF16}, 70000);
  EXPECT_THAT(message(large, kBF16, ir::f16),
              HasSubstr("tensor 'BF16': holds 70144 at element 259, beyond the largest number of f16"));
  EXPECT_EQ(message(large, kBF16, ir::bf16), "(nothing was thrown)");
  EXPECT_EQ(message(large, kBF16, ir::f32), "(nothing was thrown)");
}

TEST_P(WeightLoaderTest, RefusesMatricesThatDoNotFitTogether) {
  using enum weights::Format;
  Files narrow(8, 32, {kBF16}), files(9, 40, {kBF16, kF32});
  auto buffer = room(100000);
  WeightLoader loader(*context_, *files.checkpoint);
  const weights::Tensor* parts[] = {&files.tensor(kBF16), &files.tensor(kF32)};
  EXPECT_THROW(loader.copy(parts, buffer, ir::bf16, 2), ModelError) << "9 rows in groups of 2";
  EXPECT_THROW(loader.copy(files.tensor(kBF16), buffer, ir::s8), ModelError);
  EXPECT_NO_THROW(loader.finish());
}

INSTANTIATE_TEST_SUITE_P(Devices, WeightLoaderTest, testing::Values("x86", "cuda:0"), [](const auto& device) {
  return std::string(device.param).substr(0, 3) == "x86" ? "x86" : "cuda";
});

TEST(WeightLoader, DeviceThatFailsIsReported) {
  using enum weights::Format;
  runtime::FakeCuda fake;
  Files files(64, 64, {kBF16});
  runtime::ContextOptions options;
  options.device = "cuda:0", options.driver = fake.driver(), options.cache.disk = false;
  options.log = runtime::log_nowhere();
  runtime::Context context(std::move(options));
  auto buffer = context.device().allocate(files.tensor(kBF16).bytes.size());
  auto kind_of = [&] {
    WeightLoader loader(context, *files.checkpoint, {.threads = 2, .chunk_bytes = 512});
    loader.copy(files.tensor(kBF16), buffer);
    try {
      loader.finish();
    } catch (const runtime::DeviceError& error) {
      return error.kind();
    }
    return runtime::ErrorKind::kInternal;
  };
  fake->fail["MemcpyHtoDAsync"] = runtime::cuda::kIllegalAddress;
  EXPECT_EQ(kind_of(), runtime::ErrorKind::kLost);
  fake->fail.clear();
  fake->fail["MemHostAlloc"] = runtime::cuda::kOutOfMemory;
  EXPECT_EQ(kind_of(), runtime::ErrorKind::kOutOfMemory);
  fake->fail.clear();
  fake->fail["StreamSynchronize"] = runtime::cuda::kIllegalAddress;
  EXPECT_EQ(kind_of(), runtime::ErrorKind::kLost) << "a copy that fails after it was queued";
}

TEST(WeightLoader, ProgressIsForLongLoads) {
  testing::internal::CaptureStderr();
  auto patient = loading_to_stderr(std::chrono::hours(1)),
       hasty = loading_to_stderr(std::chrono::milliseconds(0));
  patient(1'000'000'000, 16'060'000'000);
  hasty(1'000'000'000, 16'060'000'000);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "rose: 1.0 of 16.1 GB of weights are loaded\n");
}

TEST(WeightLoader, DiesWithWorkLeft) {
  using enum weights::Format;
  Files files(256, 64, {kBF16});
  runtime::ContextOptions options;
  options.device = "x86", options.cache.disk = false;
  runtime::Context context(std::move(options));
  std::vector<runtime::Buffer> buffers;
  for (int i = 0; i < 50; ++i) buffers.push_back(context.device().allocate(files.tensor(kBF16).bytes.size()));
  WeightLoader loader(context, *files.checkpoint, {.threads = 2, .chunk_bytes = 256});
  for (const auto& buffer : buffers) loader.copy(files.tensor(kBF16), buffer);
}

}  // namespace
}  // namespace rose::models
