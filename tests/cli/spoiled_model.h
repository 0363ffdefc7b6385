// A language model of a few kilobytes and a sentence embedder, whose parts a test can spoil before they are
// written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "weights/format.h"

namespace rose::cli::test {

// A folder of its own, removed at the end.
class SpoiledFolder {
 public:
  SpoiledFolder();
  ~SpoiledFolder();
  SpoiledFolder(const SpoiledFolder&) = delete;
  SpoiledFolder& operator=(const SpoiledFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

struct TinyTensor {
  std::string name;  // as Hugging Face writes it
  std::vector<uint64_t> shape;
  weights::Format format;
  std::vector<std::byte> bytes;
};

using MetaInput = std::variant<bool, uint32_t, int32_t, uint64_t, float, std::string,
                               std::vector<std::string>, std::vector<float>, std::vector<int32_t>>;

// Llama over the letters a to z. Matrices are in `format`, whose blocks decide the width.
struct TinyModel {
  explicit TinyModel(weights::Format format = weights::Format::kF32, int layers = 1);

  std::vector<std::pair<std::string, MetaInput>> keys;  // of the GGUF file
  std::vector<TinyTensor> tensors;
  nlohmann::json config, tokenizer, tokenizer_config;  // of the folder

  MetaInput& key(const std::string& name);  // adds one that is not there
  void erase_key(const std::string& name);
  TinyTensor& tensor(const std::string& name);
  void erase_tensor(const std::string& name);

  std::filesystem::path write_gguf(const std::filesystem::path& file, uint32_t version = 3) const;
  std::filesystem::path write_folder(const std::filesystem::path& folder) const;
};

// BERT of one layer, with the files of sentence-transformers.
struct TinyEmbedder {
  TinyEmbedder();
  std::vector<TinyTensor> tensors;
  nlohmann::json config, tokenizer, modules, pooling, sentence, prompts;
  std::filesystem::path write_folder(const std::filesystem::path& folder) const;
};

std::vector<std::byte> read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, const std::vector<std::byte>& bytes);
void write_text(const std::filesystem::path& path, const std::string& text);

}  // namespace rose::cli::test
