// Writes GGUF and safetensors files, for tests and converters. Files are built in memory first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/format.h"
#include "weights/meta_data.h"

namespace rose::weights {

// A tensor to be written: the bytes belong to the caller and must live until the file is finished.
struct TensorToWrite {
  std::string name;
  Format format;
  std::vector<uint64_t> shape;  // outermost first
  std::span<const std::byte> bytes;
};

// Writes `bytes` to `path` through a temporary file beside it, so that the name never shows a partial file.
// Throws WeightsError when the disk or the folder does not let it.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

// Keys and tensors appear in the order in which they are added. Nothing is checked for duplicates: readers do
// that, and their tests need such files.
class GgufWriter {
 public:
  explicit GgufWriter(uint32_t version = 3) : version_(version) {}

  void add(std::string_view key, bool value);
  void add(std::string_view key, uint8_t value);
  void add(std::string_view key, int8_t value);
  void add(std::string_view key, uint16_t value);
  void add(std::string_view key, int16_t value);
  void add(std::string_view key, uint32_t value);
  void add(std::string_view key, int32_t value);
  void add(std::string_view key, uint64_t value);
  void add(std::string_view key, int64_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, double value);
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
  void add(std::string_view key, std::span<const std::string> values);
  void add(std::string_view key, std::span<const float> values);
  void add(std::string_view key, std::span<const int32_t> values);

  // A value whose encoding the caller made himself: nested arrays, hostile files.
  void add_raw(std::string_view key, uint32_t type, std::span<const std::byte> encoded);

  // Throws std::invalid_argument when the format has no GGUF type or the bytes do not fit the shape.
  void add_tensor(TensorToWrite tensor);

  // A power of two; also written as "general.alignment".
  void set_alignment(uint32_t alignment);

  std::vector<std::byte> finish() const;
  void write(const std::filesystem::path& path) const { write_file(path, finish()); }

 private:
  void begin_value(std::string_view key, MetaType type);

  uint32_t version_;
  uint32_t alignment_ = 32;
  uint64_t key_count_ = 0;
  std::vector<std::byte> keys_;
  std::vector<TensorToWrite> tensors_;
};

// Tensors are laid out with the largest element types first, as the reference implementation does, so that
// all of them end up aligned.
class SafetensorsWriter {
 public:
  void set_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }

  // Throws std::invalid_argument when safetensors lack the format or the bytes do not fit the shape.
  void add_tensor(TensorToWrite tensor);

  std::vector<std::byte> finish() const;
  void write(const std::filesystem::path& path) const { write_file(path, finish()); }

 private:
  std::map<std::string, std::string> metadata_;
  std::vector<TensorToWrite> tensors_;
};

}  // namespace rose::weights
