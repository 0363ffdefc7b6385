// Mapped files, finding models, mutation of good files, and the real models where they have been fetched.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "helpers.h"
#include "weights/dequantize.h"
#include "weights/gguf_tokenizer.h"
#include "weights/model_folder.h"
#include "weights/safetensors.h"
#include "weights/writer.h"

namespace rose::weights {
namespace {

using testing::HasSubstr;

TEST(MappedFile, OpensRegularFilesOnly) {
  TemporaryFolder folder;
  write_text(folder / "text", "hello");
  const auto file = MappedFile::open(folder / "text");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()), "hello");
  file->prefetch(file->bytes());
  file->release(file->bytes());
  EXPECT_EQ(file->bytes()[4], std::byte{'o'}) << "released pages must come back";

  write_text(folder / "empty", "");
  EXPECT_TRUE(MappedFile::open(folder / "empty")->bytes().empty());
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { MappedFile::open(folder / "pipe"); }), HasSubstr("pipe: is not a regular file"));
  EXPECT_THAT(error_of([&] { MappedFile::open(folder.path()); }),
              HasSubstr("is a folder where a file was expected"));
  EXPECT_THAT(error_of([&] { MappedFile::open(folder / "no"); }),
              HasSubstr("no: cannot open the file: No such file"));
}

TEST(WriteFile, LeavesNothingBehindWhenItFails) {
  TemporaryFolder folder;
  const std::vector<char> bytes = {'x'};
  EXPECT_THAT(error_of([&] { write_file(folder / "absent/file", bytes_of(bytes)); }),
              HasSubstr("cannot create a file beside it"));
  std::filesystem::create_directory(folder / "taken");
  EXPECT_THAT(error_of([&] { write_file(folder / "taken", bytes_of(bytes)); }),
              HasSubstr("cannot rename the finished file"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(FindModel, ChoosesByWhatIsThere) {
  TemporaryFolder folder;
  auto error = [&] { return error_of([&] { find_model(folder.path()); }); };
  EXPECT_THAT(error(), HasSubstr("holds no model"));
  write_text(folder / "pytorch_model.bin", "x");
  EXPECT_THAT(error(), HasSubstr("pytorch_model.bin: is a pickle, which is a program and is never run"));
  write_text(folder / "mmproj-f16.gguf", "x");
  write_text(folder / "m-00002-of-00002.gguf", "x");
  write_text(folder / "m-00001-of-00002.gguf", "x");
  EXPECT_EQ(find_model(folder.path()).weights, folder / "m-00001-of-00002.gguf");
  write_text(folder / "other.gguf", "x");
  EXPECT_THAT(
      error(),
      HasSubstr(
          "holds several GGUF models; give the path of one of them: m-00001-of-00002.gguf, other.gguf"));
  EXPECT_EQ(find_model(folder / "m-00002-of-00002.gguf").weights, folder / "m-00001-of-00002.gguf");
  write_text(folder / "a.safetensors", "x");
  EXPECT_EQ(find_model(folder.path()).kind, ModelKind::kSafetensors);
  write_text(folder / "b.safetensors", "x");
  EXPECT_THAT(error(), HasSubstr("holds 2 safetensors files, but no model.safetensors.index.json"));
  write_text(folder / "model.safetensors.index.json", "{}");
  EXPECT_EQ(find_model(folder.path()).kind, ModelKind::kSafetensorsSharded);
  write_text(folder / "model.safetensors", "x");
  write_text(folder / "config.json", "{}");
  const ModelFiles files = find_model(folder.path());
  EXPECT_EQ(files.kind, ModelKind::kSafetensors);
  EXPECT_EQ(files.config, folder / "config.json");
  EXPECT_EQ(files.tokenizer, std::nullopt);
  EXPECT_THAT(error_of([&] { find_model(folder / "config.json"); }), HasSubstr("is no model file"));
  EXPECT_THAT(error_of([&] { find_model(folder / "absent"); }), HasSubstr("there is no such file or folder"));
}

// Every mutation of a good file is either read, with all spans inside the file, or refused with a
// WeightsError.
template <typename Parse>
void mutate(std::vector<std::byte> good, Parse parse, int rounds) {
  Lcg lcg{123};
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    auto file = good;
    for (uint32_t changes = 1 + lcg.below(4); changes > 0; --changes) {
      const uint32_t at = lcg.below(static_cast<uint32_t>(file.size()));
      switch (lcg.below(4)) {
        case 0:
          file[at] = static_cast<std::byte>(lcg.next());
          break;
        case 1:
          file[at] ^= static_cast<std::byte>(1u << lcg.below(8));
          break;
        case 2:
          file.resize(at + 1);
          break;
        case 3: {  // eight bytes that look like a number near a limit
          const uint64_t numbers[] = {
              0, 1, UINT64_MAX, UINT64_MAX - 31, uint64_t{1} << 32, uint64_t{1} << 61, file.size()};
          const uint64_t number = numbers[lcg.below(7)];
          std::memcpy(file.data() + at, &number, std::min<size_t>(8, file.size() - at));
        }
      }
    }
    try {
      const TensorStore tensors = parse(in_memory(file));
      for (const Tensor& tensor : tensors) {
        ASSERT_GE(tensor.bytes.data(), file.data());
        ASSERT_LE(tensor.bytes.data() + tensor.bytes.size(), file.data() + file.size());
        ASSERT_EQ(dequantize(tensor).size(), tensor.elements);
      }
    } catch (const WeightsError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, rounds / 4) << "mutations that break nothing test nothing";
}

TEST(Mutation, Gguf) {
  mutate(
      read_bytes(kDataFolder / "golden.gguf"),
      [](const Source& source) {
        const Gguf file = parse_gguf(source);
        for (const auto& [key, value] : file.metadata.entries()) value.to_text();
        return file.tensors;
      },
      100'000);
}

TEST(Mutation, Safetensors) {
  mutate(
      read_bytes(kDataFolder / "golden.safetensors"),
      [](const Source& source) { return parse_safetensors(source).tensors; }, 100'000);
}

// ---- Real models: run where `rose pull` has brought them.

std::filesystem::path cached_model(const std::string& name) {
  const char* home = std::getenv("ROSE_HOME");
  const std::filesystem::path root =
      home ? std::filesystem::path(home) : std::filesystem::path(std::getenv("HOME")) / ".cache/rose";
  return root / "models" / name;
}

TEST(RealModels, SmolLM2) {
  const auto path = cached_model("smollm2");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "run `rose pull smollm2` to test with it";
  const Gguf file = open_gguf(find_model(path).weights);
  EXPECT_EQ(file.metadata.text_at("general.architecture"), "llama");
  EXPECT_EQ(file.tensors.size(), 272u);
  EXPECT_EQ(file.tensors.total_elements(), 134'515'008u);
  const uint64_t shape[] = {49152, 576};
  EXPECT_EQ(file.tensors.at("token_embd.weight", shape).format, Format::kQ8_0);
  EXPECT_EQ(file.tensors.at("blk.29.ffn_down.weight").format, Format::kQ4_1);
  const GgufTokenizer tokenizer = read_tokenizer(file.metadata);
  EXPECT_EQ(tokenizer.tokens.size(), 49152u);
  EXPECT_EQ(tokenizer.merges.size(), 48900u);
  EXPECT_EQ(tokenizer.tokens[*tokenizer.eos], "<|im_end|>");
  EXPECT_THAT(std::string(tokenizer.chat_template), HasSubstr("<|im_start|>"));
}

TEST(RealModels, Gemma3) {
  const auto path = cached_model("gemma3-270m");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "run `rose pull gemma3-270m` to test with it";
  const Gguf file = open_gguf(find_model(path).weights);
  EXPECT_EQ(file.metadata.text_at("general.architecture"), "gemma3");
  EXPECT_EQ(file.tensors.total_elements(), 268'098'176u);
  EXPECT_EQ(file.tensors.bytes_by_format().size(), 5u);
  EXPECT_EQ(file.tensors.at("blk.0.ffn_down.weight").format, Format::kQ6_K);
  const GgufTokenizer tokenizer = read_tokenizer(file.metadata);
  EXPECT_EQ(tokenizer.tokens.size(), 262144u);
  EXPECT_EQ(tokenizer.scores.size(), 262144u);
  EXPECT_EQ(tokenizer.add_bos, true);
  EXPECT_EQ(tokenizer.chat_template, "");
}

TEST(RealModels, MiniLM) {
  const auto path = cached_model("minilm");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "run `rose pull minilm` to test with it";
  const ModelFiles files = find_model(path);
  EXPECT_EQ(files.modules, path / "modules.json");
  const TensorStore tensors = open_tensors(files);
  EXPECT_EQ(tensors.size(), 104u);
  const uint64_t shape[] = {30522, 384};
  const auto embeddings = dequantize(tensors.at("embeddings.word_embeddings.weight", shape));
  EXPECT_EQ(embeddings.size(), 30522u * 384);
}

}  // namespace
}  // namespace rose::weights
