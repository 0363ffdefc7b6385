// GGUF files that lie: each must be refused with a message that names the field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "helpers.h"
#include "weights/byte_sink.h"
#include "weights/gguf.h"
#include "weights/gguf_tokenizer.h"
#include "weights/writer.h"

namespace rose::weights {
namespace {

using testing::HasSubstr;

// Builds a file field by field, so that any of them can lie.
struct Raw {
  std::vector<std::byte> bytes;

  template <typename T>
  Raw& put(T value) {
    put_number(bytes, value);
    return *this;
  }
  Raw& text(std::string_view value) {
    put_number<uint64_t>(bytes, value.size());
    put_text(bytes, value);
    return *this;
  }
  Raw& pad(size_t alignment = 32) {
    put_padding(bytes, alignment);
    return *this;
  }
  Raw& zeros(size_t count) {
    bytes.resize(bytes.size() + count);
    return *this;
  }
  std::string error() const {
    return error_of([&] { parse_gguf(in_memory(bytes)); });
  }
};

Raw header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
  Raw raw;
  put_text(raw.bytes, "GGUF");
  return raw.put(version).put(tensors).put(keys);
}

// The only key of a file, up to where its value begins.
Raw key(uint32_t type) { return header(0, 1).text("k").put(type); }

// The only tensor of a file: the shape innermost first, as stored.
Raw tensor(std::vector<uint64_t> shape, uint32_t type, uint64_t offset, size_t data) {
  Raw raw = header(1, 0).text("t").put(static_cast<uint32_t>(shape.size()));
  for (uint64_t extent : shape) raw.put(extent);
  return raw.put(type).put(offset).pad().zeros(data);
}

TEST(GgufHostile, Headers) {
  Raw magic;
  put_text(magic.bytes, "GGML");
  EXPECT_THAT(magic.error(), HasSubstr("memory: magic: the file does not begin with \"GGUF\""));
  EXPECT_THAT(Raw{}.error(), HasSubstr("memory: magic: needs 4 bytes at position 0, but only 0 are left"));
  EXPECT_THAT(header(0, 0, 1).error(), HasSubstr("version: 1 is not supported, only 2 and 3"));
  EXPECT_THAT(header(0, 0, 4).error(), HasSubstr("version: 4 is not supported"));
  EXPECT_THAT(header(0, 0, 0x03000000).error(), HasSubstr("big-endian GGUF files are not supported"));
  EXPECT_THAT(header(UINT64_MAX, 0).error(),
              HasSubstr("tensor count: count 18446744073709551615 needs more than the"));
  EXPECT_THAT(header(0, uint64_t{1} << 60).error(),
              HasSubstr("key count: count 1152921504606846976 needs more"));
  EXPECT_EQ(parse_gguf(in_memory(header(0, 0).bytes)).tensors.size(), 0u);
}

TEST(GgufHostile, Keys) {
  EXPECT_THAT(header(0, 1).put(uint64_t{1} << 40).zeros(20).error(),
              HasSubstr("key 0: needs 1099511627776 bytes at position"));
  EXPECT_THAT(key(13).zeros(40).error(), HasSubstr("key 'k': value type 13 is unknown"));
  EXPECT_THAT(key(7).put(uint8_t{2}).error(), HasSubstr("key 'k': a boolean must be 0 or 1, but is 2"));
  EXPECT_THAT(key(8).put(UINT64_MAX).zeros(8).error(),
              HasSubstr("key 'k': needs 18446744073709551615 bytes"));
  EXPECT_THAT(key(12).put(1.0f).error(), HasSubstr("key 'k': needs 8 bytes"));
  EXPECT_THAT(key(9).put(uint32_t{77}).put(uint64_t{0}).error(),
              HasSubstr("key 'k': value type 77 is unknown"));
  EXPECT_THAT(key(9).put(uint32_t{4}).put(uint64_t{1} << 62).error(),
              HasSubstr("key 'k': count 4611686018427387904 needs more"));
  EXPECT_THAT(key(9).put(uint32_t{8}).put(uint64_t{2}).zeros(15).error(),
              HasSubstr("key 'k': count 2 needs more than the 15 bytes"));
  EXPECT_THAT(key(9).put(uint32_t{10}).put(UINT64_MAX / 8 + 2).zeros(64).error(),
              HasSubstr("key 'k': count"));
  EXPECT_THAT(header(0, 2)
                  .text("k")
                  .put(uint32_t{0})
                  .put(uint8_t{1})
                  .text("k")
                  .put(uint32_t{0})
                  .put(uint8_t{1})
                  .error(),
              HasSubstr("key 'k': is there twice"));
  EXPECT_THAT(header(0, 1).text("a\x1b[2J").put(uint32_t{99}).zeros(8).error(),
              HasSubstr(R"(key 'a\x1b[2J': value type)"));

  Raw nested = key(9);
  for (int depth = 0; depth < 6; ++depth) nested.put(uint32_t{9}).put(uint64_t{1});
  EXPECT_THAT(nested.zeros(64).error(), HasSubstr("key 'k': arrays are nested more than 4 deep"));
  EXPECT_THAT(key(9).put(uint32_t{9}).put(uint64_t{100'000}).zeros(1'200'000).error(),
              HasSubstr("has 100000 nested arrays, more than 65536"));
}

TEST(GgufHostile, Alignment) {
  for (uint32_t alignment : {0u, 3u, 48u, 1u << 21}) {
    GgufWriter writer;
    writer.add("general.alignment", alignment);
    const auto file = writer.finish();
    EXPECT_THAT(error_of([&] { parse_gguf(in_memory(file)); }),
                HasSubstr(fmt::format("key 'general.alignment': {} is no power of two", alignment)));
  }
  GgufWriter writer;
  writer.add("general.alignment", "x");
  const auto file = writer.finish();
  EXPECT_THAT(error_of([&] { parse_gguf(in_memory(file)); }),
              HasSubstr("key 'general.alignment': is 'x' (string) where"));
}

TEST(GgufHostile, Tensors) {
  EXPECT_EQ(parse_gguf(in_memory(tensor({32, 2}, 2, 0, 36).bytes)).tensors.at("t").elements, 64u);

  EXPECT_THAT(tensor({1, 1, 1, 1, 1}, 0, 0, 4).error(), HasSubstr("tensor 't': rank: 5 is more than 4"));
  EXPECT_THAT(tensor({2}, 999, 0, 8).error(), HasSubstr("tensor 't': type: 999 is unknown"));
  EXPECT_THAT(tensor({256}, 16, 0, 66).error(),
              HasSubstr("tensor 't': type: IQ2_XXS (16) is not supported; take the model in another"));
  EXPECT_THAT(tensor({31}, 2, 0, 18).error(),
              HasSubstr("tensor 't': shape: [31] of Q4_0 does not fit in whole blocks of 32"));
  EXPECT_THAT(tensor({16, 2}, 2, 0, 18).error(), HasSubstr("tensor 't': shape: [2, 16] of Q4_0"));
  EXPECT_THAT(tensor({uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0, 8).error(),
              HasSubstr("tensor 't': shape: [4294967296, 4294967296] of F32"));
  EXPECT_THAT(tensor({uint64_t{1} << 62}, 0, 0, 8).error(), HasSubstr("tensor 't': shape:"));
  EXPECT_THAT(tensor({0, uint64_t{1} << 63, 2}, 0, 0, 8).error(), HasSubstr("tensor 't': shape:"));
  EXPECT_THAT(tensor({2}, 0, 4, 64).error(),
              HasSubstr("tensor 't': offset: 4 is no multiple of the alignment 32"));
  EXPECT_THAT(tensor({2}, 0, 32, 39).error(),
              HasSubstr("tensor 't': offset: 32 and its 8 bytes (F32 [2]) lie beyond the 39 bytes of data"));
  EXPECT_THAT(tensor({2}, 0, UINT64_MAX - 31, 64).error(),
              HasSubstr("tensor 't': offset: 18446744073709551584 and its 8 bytes"));
  EXPECT_THAT(header(1, 0).put(UINT64_MAX).zeros(64).error(), HasSubstr("tensor info 0: name: needs"));

  auto two = [](const char* second, uint64_t second_offset, uint64_t extent) {
    Raw raw = header(2, 0);
    raw.text("a").put(uint32_t{1}).put(extent).put(uint32_t{0}).put(uint64_t{0});
    raw.text(second).put(uint32_t{1}).put(uint64_t{8}).put(uint32_t{0}).put(second_offset);
    return raw.pad().zeros(128).error();
  };
  EXPECT_THAT(two("a", 64, 8), HasSubstr("tensor 'a': is defined a second time"));
  EXPECT_THAT(two("b", 32, 9), HasSubstr("tensor 'b': offset: 32 overlaps another tensor, which ends at 36"));
  EXPECT_THAT(two("b", 0, 8), HasSubstr("overlaps another tensor"));
  EXPECT_THAT(two("b", 32, 8), "no error was thrown");
}

// Every way of cutting a good file short is noticed.
TEST(GgufHostile, Truncation) {
  const auto file = read_bytes(kDataFolder / "golden.gguf");
  const Gguf whole = parse_gguf(in_memory(file));
  size_t end_of_data = 0;
  for (const Tensor& tensor : whole.tensors) {
    end_of_data = std::max<size_t>(end_of_data, tensor.bytes.data() + tensor.bytes.size() - file.data());
  }
  for (size_t size = 0; size < end_of_data; ++size) {
    const std::string error = error_of([&] { parse_gguf(in_memory(std::span(file).first(size))); });
    ASSERT_THAT(error,
                testing::AnyOf(HasSubstr("are left"), HasSubstr("left in the file"), HasSubstr("lie beyond")))
        << size;
  }
}

// ---- Tokenizer fields.

struct TokenizerFile {
  GgufWriter writer;
  std::vector<std::byte> bytes;
  TokenizerFile() { writer.add("tokenizer.ggml.model", "gpt2"); }
  std::string error() {
    bytes = writer.finish();
    return error_of([&] { read_tokenizer(parse_gguf(in_memory(bytes)).metadata); });
  }
};

TEST(GgufHostile, TokenizerFields) {
  const std::vector<std::string> tokens = {"a", "b", "c"};
  const std::vector<float> two_scores = {1, 2};
  const std::vector<int32_t> two_types = {1, 1}, negative_types = {1, -1, 1};
  auto error = [&](auto change) {
    TokenizerFile file;
    file.writer.add("tokenizer.ggml.tokens", tokens);
    change(file.writer);
    return file.error();
  };
  EXPECT_EQ(error([](GgufWriter&) {}), "no error was thrown");
  EXPECT_THAT(TokenizerFile().error(), HasSubstr("key 'tokenizer.ggml.tokens': is missing or empty"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.scores", two_scores); }),
              HasSubstr("key 'tokenizer.ggml.scores': has 2 entries, but there are 3 tokens"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.token_type", two_types); }),
              HasSubstr("key 'tokenizer.ggml.token_type': has 2 entries"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.token_type", negative_types); }),
              HasSubstr("holds -1, which is no token type"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.merges", "x"); }),
              HasSubstr("key 'tokenizer.ggml.merges': is 'x' (string) where an array"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.bos_token_id", uint32_t{3}); }),
              HasSubstr("key 'tokenizer.ggml.bos_token_id': 3 is not the id of one of the 3 tokens"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.eos_token_id", int32_t{-1}); }),
              HasSubstr("key 'tokenizer.ggml.eos_token_id': is '-1' (i32)"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.ggml.precompiled_charsmap", two_scores); }),
              HasSubstr("must be an array of bytes"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.add("tokenizer.chat_template.rag", true); }),
              HasSubstr("key 'tokenizer.chat_template.rag'"));
}

TEST(GgufTokenizer, FieldsAreFound) {
  const std::vector<std::string> tokens = {"a", "b", "c"}, merges = {"a b"};
  const std::vector<float> scores = {-1, -2, -3};
  const std::vector<int32_t> types = {1, 3, 6};
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", "llama");
  writer.add("tokenizer.ggml.pre", "default");
  writer.add("tokenizer.ggml.tokens", tokens);
  writer.add("tokenizer.ggml.scores", scores);
  writer.add("tokenizer.ggml.token_type", types);
  writer.add("tokenizer.ggml.merges", merges);
  writer.add("tokenizer.ggml.bos_token_id", uint32_t{1});
  writer.add("tokenizer.ggml.seperator_token_id", uint32_t{2});
  writer.add("tokenizer.ggml.add_bos_token", true);
  writer.add("tokenizer.chat_template", "{{ messages }}");
  writer.add("tokenizer.chat_template.tool_use", "{{ tools }}");
  const auto bytes = writer.finish();
  const Gguf file = parse_gguf(in_memory(bytes));
  const GgufTokenizer t = read_tokenizer(file.metadata);
  EXPECT_EQ(t.model, "llama");
  EXPECT_EQ(t.pre, "default");
  EXPECT_THAT(t.tokens, testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(t.scores, scores);
  EXPECT_EQ(t.types, types);
  EXPECT_THAT(t.merges, testing::ElementsAre("a b"));
  EXPECT_EQ(t.bos, 1u);
  EXPECT_EQ(t.separator, 2u);
  EXPECT_EQ(t.eos, std::nullopt);
  EXPECT_EQ(t.add_bos, true);
  EXPECT_EQ(t.add_eos, std::nullopt);
  EXPECT_EQ(t.chat_template, "{{ messages }}");
  EXPECT_EQ(t.named_chat_templates.at("tool_use"), "{{ tools }}");
}

}  // namespace
}  // namespace rose::weights
