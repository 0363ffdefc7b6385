#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "helpers.h"
#include "weights/dequantize.h"
#include "weights/quantize.h"
#include "weights/writer.h"

namespace rose::weights {
namespace {

using testing::HasSubstr;

// A file from a header text (its length is put in front) and `data_bytes` zero bytes of data.
std::vector<std::byte> file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::vector<std::byte> file(8 + header.size() + data_bytes);
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

std::string error_in(const std::string& header, size_t data_bytes) {
  const auto file = file_of(header, data_bytes);
  return error_of([&] { parse_safetensors(in_memory(file)); });
}

TEST(Safetensors, ReadsAFileOfThePythonPackage) {
  const Safetensors file = open_safetensors(kDataFolder / "golden.safetensors");
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(file.tensors.size(), 5u);
  EXPECT_EQ(file.tensors.total_elements(), 6u + 3 + 3 + 1);
  EXPECT_EQ(file.tensors.total_bytes(), 24u + 6 + 3 + 8);

  const uint64_t shape[] = {2, 3};
  const Tensor& matrix = file.tensors.at("matrix", shape);
  EXPECT_EQ(matrix.format, Format::kF32);
  EXPECT_EQ(matrix.rows(), 2u);
  EXPECT_EQ(matrix.row_bytes(), 12u);
  EXPECT_EQ(dequantize(matrix), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(dequantize(file.tensors.at("half")), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(dequantize(file.tensors.at("flags")), (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(dequantize(file.tensors.at("scalar")), (std::vector<float>{7}));
  EXPECT_EQ(file.tensors.at("scalar").rank(), 0u);
  EXPECT_EQ(file.tensors.at("empty").elements, 0u);
}

TEST(Safetensors, EveryDtypeRoundTrips) {
  const std::vector<float> values = {0, 1, 2, 3, 4, 6};
  std::map<std::string, std::vector<std::byte>> encoded;
  SafetensorsWriter writer;
  writer.set_metadata("made by", "a \"test\"\n");
  for (const FormatInfo& row : all_formats()) {
    if (row.safetensors.empty()) continue;
    auto& bytes = encoded[std::string(row.name)] = quantize(row.format, values);
    writer.add_tensor({std::string(row.name), row.format, {3, 2}, bytes});
  }
  TemporaryFolder folder;
  writer.write(folder / "all.safetensors");
  const Safetensors file = open_safetensors(folder / "all.safetensors");
  EXPECT_EQ(file.metadata.at("made by"), "a \"test\"\n");
  ASSERT_EQ(file.tensors.size(), encoded.size());
  for (const Tensor& tensor : file.tensors) {
    EXPECT_EQ(name(tensor.format), tensor.name);
    EXPECT_EQ(tensor.shape, (std::vector<uint64_t>{3, 2}));
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, encoded.at(tensor.name))) << tensor.name;
    const auto address = reinterpret_cast<uintptr_t>(tensor.bytes.data());
    EXPECT_EQ(address % info(tensor.format).block_bytes, 0u) << tensor.name;
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "a temporary file is left";
}

TEST(Safetensors, MissingTensorsAndWrongShapesAreNamed) {
  const TensorStore store = open_safetensors(kDataFolder / "golden.safetensors").tensors;
  EXPECT_EQ(store.find("nothing"), nullptr);
  EXPECT_THAT(error_of([&] { store.at("matrx"); }),
              HasSubstr("golden.safetensors: tensor 'matrx': is missing; similar names are 'matrix'"));
  const uint64_t shape[] = {3, 2};
  EXPECT_THAT(error_of([&] { store.at("matrix", shape); }),
              HasSubstr("has shape [2, 3] where [3, 2] was expected"));
}

TEST(Safetensors, HostileHeadersAreRefusedByName) {
  const std::string entry = R"("dtype":"F32","shape":[2],)";
  const struct {
    const char* what;
    std::string header;
    size_t data;
    const char* message;
  } cases[] = {
      {"no object", "[]", 0, "header: must begin with '{'"},
      {"no header", "", 0, "header: must begin with '{'"},
      {"bad JSON", "{\"a\":", 0, "header: is not valid JSON at byte"},
      {"two documents", "{}{}", 0, "header: is not valid JSON at byte 3"},
      {"invalid UTF-8", "{\"\xff\":{}}", 0, "header: is not valid JSON at byte"},
      {"no fields", R"({"a":{}})", 0, "tensor 'a': has no dtype"},
      {"no shape", R"({"a":{"dtype":"F32","data_offsets":[0,0]}})", 0, "tensor 'a': has no shape"},
      {"no offsets", R"({"a":{"dtype":"F32","shape":[0]}})", 0, "tensor 'a': has no data_offsets"},
      {"tensor is a number", R"({"a":1})", 0, "tensor 'a': a number is not allowed here"},
      {"tensor is an array", R"({"a":[]})", 0, "tensor 'a': an array is not allowed here"},
      {"unknown dtype", R"({"a":{"dtype":"F7","shape":[2],"data_offsets":[0,8]}})", 8,
       "tensor 'a': dtype: 'F7' is not supported"},
      {"dtype is a number", R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", 8,
       "tensor 'a': dtype: a number is not allowed"},
      {"dtype is null", R"({"a":{"dtype":null,"shape":[2],"data_offsets":[0,8]}})", 8,
       "tensor 'a': dtype: null is not allowed"},
      {"negative extent", R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8,
       "tensor 'a': shape: a negative number"},
      {"fraction", R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8,
       "tensor 'a': shape: a number with a fraction"},
      {"extent beyond 64 bits",
       R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}})", 8,
       "tensor 'a': shape: a number with a fraction or beyond"},
      {"nested shape", R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", 8,
       "tensor 'a': shape: an array is not allowed"},
      {"overflowing shape", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       8, "tensor 'a': shape: [4294967296, 4294967296] of F32 does not fit"},
      {"overflowing bytes", R"({"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})", 8,
       "tensor 'a': shape:"},
      {"overflow hidden by zero",
       R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", 0,
       "tensor 'a': shape:"},
      {"odd F4", R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1,
       "tensor 'a': shape: [3] of F4 does not fit"},
      {"three offsets", R"({"a":{)" + entry + R"("data_offsets":[0,8,8]}})", 8,
       "tensor 'a': data_offsets: must be two numbers, but there are 3"},
      {"reversed offsets", R"({"a":{)" + entry + R"("data_offsets":[8,0]}})", 8,
       "tensor 'a': data_offsets: begin 8 is after end 0"},
      {"beyond the data", R"({"a":{)" + entry + R"("data_offsets":[0,8]}})", 7,
       "tensor 'a': data_offsets: end 8 lies beyond the 7 bytes"},
      {"huge offsets",
       R"({"a":{)" + entry + R"("data_offsets":[18446744073709551607,18446744073709551615]}})", 8,
       "tensor 'a': data_offsets: end 18446744073709551615 lies beyond"},
      {"wrong span", R"({"a":{)" + entry + R"("data_offsets":[0,4]}})", 8,
       "tensor 'a': data_offsets: [0, 4] span 4 bytes, but F32 [2] needs 8"},
      {"overlap",
       R"({"a":{)" + entry + R"("data_offsets":[0,8]},"b":{)" + entry + R"("data_offsets":[4,12]}})", 12,
       "tensor 'b': data_offsets: begin 4 overlaps"},
      {"same place",
       R"({"a":{)" + entry + R"("data_offsets":[0,8]},"b":{)" + entry + R"("data_offsets":[0,8]}})", 8,
       "tensor 'b': data_offsets: begin 0 overlaps"},
      {"gap", R"({"a":{)" + entry + R"("data_offsets":[0,8]},"b":{)" + entry + R"("data_offsets":[12,20]}})",
       20, "tensor 'b': data_offsets: begin 12 leaves a gap"},
      {"remainder", R"({"a":{)" + entry + R"("data_offsets":[0,8]}})", 9,
       "data: has 9 bytes, but the tensors of the header cover 8"},
      {"duplicate tensor",
       R"({"a":{)" + entry + R"("data_offsets":[0,8]},"a":{)" + entry + R"("data_offsets":[0,8]}})", 8,
       "header: has the key 'a' twice"},
      {"duplicate field", R"({"a":{"dtype":"F32","dtype":"F32"}})", 8, "header: has the key 'dtype' twice"},
      {"unknown field", R"({"a":{"color":1}})", 8, "tensor 'a': key 'color': this key is not allowed here"},
      {"metadata is no object", R"({"__metadata__":"x"})", 0, "__metadata__: a string is not allowed"},
      {"metadata with a number", R"({"__metadata__":{"x":1}})", 0,
       "__metadata__: 'x': a number is not allowed"},
      {"escape sequences", "{\"\\u001b[31m\":{}}", 0, R"(tensor '\x1b[31m': has no dtype)"},
  };
  for (const auto& c : cases) EXPECT_THAT(error_in(c.header, c.data), HasSubstr(c.message)) << c.what;

  EXPECT_THAT(error_in(R"({"a":{"dtype":"F32","shape":[)" + std::string(400, '1') + "]}}", 0),
              HasSubstr("header: is not valid JSON at byte 429 (in tensor 'a': shape): number overflow"));
  std::string ones = "1";
  for (int i = 0; i < 100; ++i) ones += ",1";
  EXPECT_THAT(error_in(R"({"a":{"dtype":"F32","shape":[)" + ones + "]}}", 0),
              HasSubstr("shape: has more than 64 numbers"));
  EXPECT_THAT(error_in("{\"a\":" + std::string(1'000'000, '['), 0),
              HasSubstr("tensor 'a': an array is not allowed"));
}

TEST(Safetensors, HeaderLengthsAreChecked) {
  auto file = file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4);
  EXPECT_EQ(parse_safetensors(in_memory(file)).tensors.size(), 1u);
  for (size_t size = 0; size < file.size(); ++size) {
    const std::string error = error_of([&] { parse_safetensors(in_memory(std::span(file).first(size))); });
    EXPECT_THAT(error, testing::AnyOf(HasSubstr("memory: header length: "),
                                      HasSubstr("data_offsets: end 4 lies beyond")));
  }
  const uint64_t lengths[] = {kMaxSafetensorsHeader + 1, UINT64_MAX, UINT64_MAX - 7, uint64_t{1} << 63};
  for (uint64_t length : lengths) {
    std::memcpy(file.data(), &length, 8);
    EXPECT_THAT(error_of([&] { parse_safetensors(in_memory(file)); }),
                HasSubstr("is above the limit of 100000000 bytes"));
  }
}

// ---- Sharded models.

void write_shard(const std::filesystem::path& path, const std::vector<std::string>& names) {
  const std::vector<float> values = {1, 2};
  SafetensorsWriter writer;
  for (const std::string& name : names) writer.add_tensor({name, Format::kF32, {2}, bytes_of(values)});
  writer.write(path);
}

TEST(SafetensorsIndex, JoinsShards) {
  TemporaryFolder folder;
  write_shard(folder / "m-1.safetensors", {"a", "b", "unused"});
  write_shard(folder / "m-2.safetensors", {"c"});
  const auto index = folder / "model.safetensors.index.json";
  write_text(
      index,
      R"({"metadata":{"total_size":24,"x":[1.5,{"y":null}]},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}})");
  const TensorStore store = open_safetensors_index(index);
  EXPECT_EQ(store.size(), 3u);
  EXPECT_EQ(store.path_of(store.at("c")).filename(), "m-2.safetensors");
  EXPECT_EQ(dequantize(store.at("c")), (std::vector<float>{1, 2}));
  EXPECT_FALSE(store.contains("unused"));
}

TEST(SafetensorsIndex, BadIndexesAreRefusedByName) {
  TemporaryFolder folder;
  write_shard(folder / "m-1.safetensors", {"a"});
  const auto index = folder / "model.safetensors.index.json";
  const std::pair<const char*, const char*> cases[] = {
      {"", "index: is not valid JSON"},
      {"[]", "index: must be a JSON object, but is an array"},
      {"7", "index: must be a JSON object, but is a number"},
      {"{}", "weight_map: is missing or names no file"},
      {R"({"weight_map":{}})", "weight_map: is missing or names no file"},
      {R"({"weight_map":[]})", "weight_map: an array is not allowed here"},
      {R"({"weight_map":{"a":1}})", "weight_map: 'a': a number is not allowed here"},
      {R"({"weight_map":{"a":"../x.safetensors"}})",
       "weight_map: 'a': '../x.safetensors' is not a plain file name"},
      {R"({"weight_map":{"a":"/etc/passwd"}})", "is not a plain file name"},
      {R"({"weight_map":{"a":".."}})", "is not a plain file name"},
      {R"({"weight_map":{"a":""}})", "is not a plain file name"},
      {R"({"weight_map":{"a":"m-9.safetensors"}})", "names the file 'm-9.safetensors', which is missing"},
      {R"({"weight_map":{"b":"m-1.safetensors"}})", "weight_map: 'b': is not in "},
      {R"({"weight_map":{"a":"m-1.safetensors","a":"m-1.safetensors"}})", "has the key 'a' twice"},
  };
  for (const auto& [text, message] : cases) {
    write_text(index, text);
    EXPECT_THAT(error_of([&] { open_safetensors_index(index); }),
                testing::AllOf(HasSubstr("index.json"), HasSubstr(message)))
        << text;
  }
}

}  // namespace
}  // namespace rose::weights
