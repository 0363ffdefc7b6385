#include "weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "helpers.h"
#include "weights/dequantize.h"
#include "weights/quantize.h"
#include "weights/writer.h"

namespace rose::weights {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void add_every_kind_of_key(GgufWriter& writer) {
  const std::vector<std::string> strings = {"a", "", "ü"};
  const std::vector<int32_t> integers = {1, -2, 3};
  const std::vector<float> reals = {0.5f, -0.25f};
  writer.add("general.architecture", "llama");
  writer.add("test.u8", uint8_t{200});
  writer.add("test.i8", int8_t{-100});
  writer.add("test.u16", uint16_t{60000});
  writer.add("test.i16", int16_t{-30000});
  writer.add("test.u32", uint32_t{4000000000});
  writer.add("test.i32", int32_t{-2000000000});
  writer.add("test.u64", (uint64_t{1} << 63) + 5);
  writer.add("test.i64", -(int64_t{1} << 62));
  writer.add("test.f32", 1.5f);
  writer.add("test.f64", 1e300);
  writer.add("test.bool", true);
  writer.add("test.string", "Grüße, 世界");
  writer.add("test.strings", strings);
  writer.add("test.integers", integers);
  writer.add("test.reals", reals);
}

void expect_every_kind_of_key(const MetaData& keys) {
  EXPECT_EQ(keys.text_at("general.architecture"), "llama");
  EXPECT_EQ(keys.unsigned_at("test.u8"), 200u);
  EXPECT_EQ(keys.integer_at("test.i8"), -100);
  EXPECT_EQ(keys.unsigned_at("test.u16"), 60000u);
  EXPECT_EQ(keys.integer_at("test.i16"), -30000);
  EXPECT_EQ(keys.unsigned_at("test.u32"), 4000000000u);
  EXPECT_EQ(keys.integer_at("test.u32"), 4000000000);
  EXPECT_EQ(keys.integer_at("test.i32"), -2000000000);
  EXPECT_EQ(keys.unsigned_at("test.u64"), (uint64_t{1} << 63) + 5);
  EXPECT_EQ(keys.integer_at("test.i64"), -(int64_t{1} << 62));
  EXPECT_EQ(keys.real_at("test.f32"), 1.5);
  EXPECT_EQ(keys.real_at("test.f64"), 1e300);
  EXPECT_EQ(keys.real_at("test.u8"), 200.0);
  EXPECT_TRUE(keys.boolean_at("test.bool"));
  EXPECT_EQ(keys.text_at("test.string"), "Grüße, 世界");
  EXPECT_THAT(keys.texts("test.strings"), ElementsAre("a", "", "ü"));
  EXPECT_THAT(keys.integers("test.integers"), ElementsAre(1, -2, 3));
  EXPECT_THAT(keys.integers("test.u8"), ElementsAre(200));
  EXPECT_THAT(keys.reals("test.reals"), ElementsAre(0.5f, -0.25f));
  EXPECT_THAT(keys.reals("test.integers"), ElementsAre(1, -2, 3));
  EXPECT_TRUE(keys.texts("absent").empty());
}

TEST(Gguf, ReadsAFileOfThePythonPackage) {
  const Gguf file = open_gguf(kDataFolder / "golden.gguf");
  EXPECT_EQ(file.version, 3u);
  expect_every_kind_of_key(file.metadata);
  EXPECT_EQ(file.tensors.size(), 3u);
  const uint64_t shape[] = {2, 3};
  EXPECT_EQ(dequantize(file.tensors.at("matrix", shape)), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(dequantize(file.tensors.at("half")), (std::vector<float>{1, 2, 3}));
  const Tensor& quantised = file.tensors.at("quantised");
  EXPECT_EQ(quantised.format, Format::kQ4_1);
  EXPECT_THAT(quantised.shape, ElementsAre(2, 64));
  EXPECT_EQ(quantised.row_bytes(), 40u);
  EXPECT_TRUE(std::ranges::equal(quantised.bytes, quantize(Format::kQ4_1, golden_values(128))));
}

// The writer is right when it makes the very file that the Python package makes from the same content.
TEST(Gguf, WritesTheFileOfThePythonPackage) {
  const std::vector<float> matrix = {0, 1, 2, 3, 4, 5};
  const auto quantised = quantize(Format::kQ4_1, golden_values(128));
  const auto half = quantize(Format::kF16, std::vector<float>{1, 2, 3});
  GgufWriter writer;
  add_every_kind_of_key(writer);
  writer.add_tensor({"matrix", Format::kF32, {2, 3}, bytes_of(matrix)});
  writer.add_tensor({"quantised", Format::kQ4_1, {2, 64}, quantised});
  writer.add_tensor({"half", Format::kF16, {3}, half});
  EXPECT_EQ(writer.finish(), read_bytes(kDataFolder / "golden.gguf"));
}

TEST(Gguf, EveryFormatRoundTripsWithAnyAlignmentAndBothVersions) {
  const auto values = golden_values(2 * 256);
  for (uint32_t version : {2u, 3u}) {
    for (uint32_t alignment : {8u, 32u, 256u}) {
      GgufWriter writer(version);
      writer.set_alignment(alignment);
      std::map<std::string, std::vector<std::byte>> encoded;
      for (const FormatInfo& row : all_formats()) {
        if (row.gguf_type < 0) continue;
        auto& bytes = encoded[std::string(row.name)] = quantize(row.format, values);
        writer.add_tensor({std::string(row.name), row.format, {2, 1, 256}, bytes});
      }
      TemporaryFolder folder;
      writer.write(folder / "all.gguf");
      const Gguf file = open_gguf(folder / "all.gguf");
      EXPECT_EQ(file.version, version);
      EXPECT_EQ(file.alignment, alignment);
      ASSERT_EQ(file.tensors.size(), encoded.size());
      for (const Tensor& tensor : file.tensors) {
        EXPECT_EQ(name(tensor.format), tensor.name);
        EXPECT_THAT(tensor.shape, ElementsAre(2, 1, 256));
        EXPECT_TRUE(std::ranges::equal(tensor.bytes, encoded.at(tensor.name))) << tensor.name;
        EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % alignment, 0u);
      }
    }
  }
}

TEST(Gguf, NestedArraysAreRead) {
  std::vector<std::byte> encoded;
  auto put = [&](auto value) {
    auto* begin = reinterpret_cast<const std::byte*>(&value);
    encoded.insert(encoded.end(), begin, begin + sizeof value);
  };
  put(uint32_t{9}), put(uint64_t{2});  // an array of two arrays
  put(uint32_t{0}), put(uint64_t{2}), put(uint8_t{5}), put(uint8_t{6});
  put(uint32_t{7}), put(uint64_t{1}), put(uint8_t{1});
  GgufWriter writer;
  writer.add_raw("nested", 9, encoded);
  const auto file = writer.finish();
  const MetaData keys = parse_gguf(in_memory(file)).metadata;
  const auto& outer = std::get<MetaArray>(keys.find("nested")->value);
  ASSERT_EQ(outer.arrays.size(), 2u);
  EXPECT_EQ(outer.arrays[0].element, MetaType::kU8);
  EXPECT_EQ(outer.arrays[0].numbers[1], std::byte{6});
  EXPECT_EQ(outer.arrays[1].element, MetaType::kBool);
  EXPECT_EQ(outer.arrays[1].count, 1u);
}

TEST(Gguf, MetadataAccessNamesTheKey) {
  const MetaData keys = open_gguf(kDataFolder / "golden.gguf").metadata;
  EXPECT_EQ(keys.find_unsigned("absent"), std::nullopt);
  EXPECT_EQ(keys.unsigned_or("absent", 7), 7u);
  EXPECT_EQ(keys.text_or("absent", "x"), "x");
  EXPECT_THAT(error_of([&] { keys.unsigned_at("absent"); }),
              HasSubstr("golden.gguf: key 'absent': is missing"));
  EXPECT_THAT(error_of([&] { keys.find_unsigned("test.i8"); }),
              HasSubstr("key 'test.i8': is '-100' (i8) where an unsigned integer was expected"));
  EXPECT_THAT(error_of([&] { keys.find_integer("test.u64"); }), HasSubstr("key 'test.u64'"));
  EXPECT_THAT(error_of([&] { keys.find_real("test.string"); }), HasSubstr("where a number was expected"));
  EXPECT_THAT(error_of([&] { keys.find_boolean("test.u8"); }), HasSubstr("where a boolean was expected"));
  EXPECT_THAT(error_of([&] { keys.find_text("test.strings"); }), HasSubstr("where a string was expected"));
  EXPECT_THAT(error_of([&] { keys.texts("test.integers"); }),
              HasSubstr("where an array of strings was expected"));
  EXPECT_THAT(error_of([&] { keys.integers("test.reals"); }),
              HasSubstr("where an array of integers was expected"));
  EXPECT_THAT(error_of([&] { keys.reals("test.strings"); }),
              HasSubstr("where an array of numbers was expected"));
  EXPECT_EQ(keys.find("test.integers")->to_text(), "[1, -2, 3]");
  EXPECT_EQ(keys.find("test.strings")->to_text(), "[a, , ü]");
  EXPECT_EQ(keys.find("test.string")->to_text(4), "Grü… (15 bytes)");
}

// Copies of the metadata and the tensors keep the file mapped after everything else is gone.
TEST(Gguf, CopiesKeepTheFileMapped) {
  MetaData keys;
  TensorStore tensors;
  {
    const Gguf file = open_gguf(kDataFolder / "golden.gguf");
    keys = file.metadata;
    tensors = file.tensors;
  }
  EXPECT_EQ(keys.text_at("test.string"), "Grüße, 世界");
  EXPECT_EQ(dequantize(tensors.at("half")), (std::vector<float>{1, 2, 3}));
}

// ---- Split models.

struct SplitModel {
  TemporaryFolder folder;
  std::vector<float> values = {1, 2, 3};

  std::filesystem::path path(int number) const {
    return folder / fmt::format("m-{:05}-of-00003.gguf", number);
  }

  void write_part(int number, uint16_t stored_number, uint16_t count, int32_t tensors,
                  const std::string& tensor) {
    GgufWriter writer;
    if (number == 1) writer.add("general.architecture", "llama");
    writer.add("split.no", stored_number);
    writer.add("split.count", count);
    writer.add("split.tensors.count", tensors);
    if (!tensor.empty()) writer.add_tensor({tensor, Format::kF32, {3}, bytes_of(values)});
    writer.write(path(number));
  }
  SplitModel() {
    write_part(1, 0, 3, 2, "");
    write_part(2, 1, 3, 2, "a");
    write_part(3, 2, 3, 2, "b");
  }
};

TEST(GgufSplit, AnyPartOpensTheWholeModel) {
  SplitModel model;
  for (int number : {1, 2, 3}) {
    const Gguf file = open_gguf(model.path(number));
    EXPECT_EQ(file.metadata.text_at("general.architecture"), "llama");
    EXPECT_EQ(file.tensors.size(), 2u);
    EXPECT_EQ(file.tensors.path_of(file.tensors.at("b")), model.path(3));
    EXPECT_EQ(dequantize(file.tensors.at("a")), model.values);
  }
}

TEST(GgufSplit, BadPartsAreNamed) {
  auto error = [](auto change) {
    SplitModel model;
    change(model);
    return error_of([&] { open_gguf(model.path(1)); });
  };
  EXPECT_THAT(error([](SplitModel& m) { std::filesystem::remove(m.path(2)); }),
              HasSubstr("part 2 of 3 is missing: "));
  EXPECT_THAT(error([](SplitModel& m) { m.write_part(2, 2, 3, 2, "a"); }),
              HasSubstr("00002-of-00003.gguf: key 'split.no': is 2 where 1 was expected"));
  EXPECT_THAT(error([](SplitModel& m) { m.write_part(2, 1, 4, 2, "a"); }),
              HasSubstr("key 'split.count': is 4 where 3"));
  EXPECT_THAT(error([](SplitModel& m) { m.write_part(1, 0, 3, 3, ""); }),
              HasSubstr("key 'split.tensors.count': is 3 where 2"));
  EXPECT_THAT(error([](SplitModel& m) { m.write_part(3, 2, 3, 2, "a"); }),
              HasSubstr("tensor 'a': is defined a second time (first in "));
  EXPECT_THAT(error([](SplitModel& m) { write_text(m.path(3), "GGUF"); }),
              HasSubstr("00003-of-00003.gguf: version: needs 4 bytes"));

  SplitModel model;
  std::filesystem::rename(model.path(1), model.folder / "renamed.gguf");
  EXPECT_THAT(error_of([&] { open_gguf(model.folder / "renamed.gguf"); }),
              HasSubstr("says that this is one of 3 parts"));
}

TEST(GgufSplit, NamesOfParts) {
  EXPECT_EQ(gguf_parts("x/m-00002-of-00003.gguf").size(), 3u);
  EXPECT_EQ(gguf_parts("x/m-00002-of-00003.gguf")[0], "x/m-00001-of-00003.gguf");
  for (const char* whole :
       {"m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-0001-of-0003.gguf",
        "m-00001-of-99999.gguf", "-00001-of-00003.gguf", "m-+0001-of-00003.gguf", "m-00001-of-00003.bin"}) {
    EXPECT_THAT(gguf_parts(whole), ElementsAre(std::filesystem::path(whole)));
  }
}

}  // namespace
}  // namespace rose::weights
