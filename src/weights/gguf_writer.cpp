#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "weights/byte_sink.h"
#include "weights/checked.h"
#include "weights/writer.h"

namespace rose::weights {
namespace {

void put_string(std::vector<std::byte>& sink, std::string_view text) {
  put_number<uint64_t>(sink, text.size());
  put_text(sink, text);
}

}  // namespace

void GgufWriter::begin_value(std::string_view key, MetaType type) {
  put_string(keys_, key);
  put_number(keys_, static_cast<uint32_t>(type));
  ++key_count_;
}

void GgufWriter::add(std::string_view key, bool value) {
  begin_value(key, MetaType::kBool);
  put_number<uint8_t>(keys_, value);
}
void GgufWriter::add(std::string_view key, uint8_t value) {
  begin_value(key, MetaType::kU8);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, int8_t value) {
  begin_value(key, MetaType::kI8);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, uint16_t value) {
  begin_value(key, MetaType::kU16);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, int16_t value) {
  begin_value(key, MetaType::kI16);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, uint32_t value) {
  begin_value(key, MetaType::kU32);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, int32_t value) {
  begin_value(key, MetaType::kI32);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, uint64_t value) {
  begin_value(key, MetaType::kU64);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, int64_t value) {
  begin_value(key, MetaType::kI64);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, float value) {
  begin_value(key, MetaType::kF32);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, double value) {
  begin_value(key, MetaType::kF64);
  put_number(keys_, value);
}
void GgufWriter::add(std::string_view key, std::string_view value) {
  begin_value(key, MetaType::kString);
  put_string(keys_, value);
}

void GgufWriter::add(std::string_view key, std::span<const std::string> values) {
  begin_value(key, MetaType::kArray);
  put_number(keys_, static_cast<uint32_t>(MetaType::kString));
  put_number<uint64_t>(keys_, values.size());
  for (const std::string& value : values) put_string(keys_, value);
}
void GgufWriter::add(std::string_view key, std::span<const float> values) {
  begin_value(key, MetaType::kArray);
  put_number(keys_, static_cast<uint32_t>(MetaType::kF32));
  put_number<uint64_t>(keys_, values.size());
  put_bytes(keys_, std::as_bytes(values));
}
void GgufWriter::add(std::string_view key, std::span<const int32_t> values) {
  begin_value(key, MetaType::kArray);
  put_number(keys_, static_cast<uint32_t>(MetaType::kI32));
  put_number<uint64_t>(keys_, values.size());
  put_bytes(keys_, std::as_bytes(values));
}

void GgufWriter::add_raw(std::string_view key, uint32_t type, std::span<const std::byte> encoded) {
  begin_value(key, static_cast<MetaType>(type));
  put_bytes(keys_, encoded);
}

void GgufWriter::add_tensor(TensorToWrite tensor) {
  if (info(tensor.format).gguf_type < 0) {
    throw std::invalid_argument(fmt::format("GGUF cannot store {} ({})", name(tensor.format), tensor.name));
  }
  if (byte_count(tensor.format, tensor.shape) != tensor.bytes.size()) {
    throw std::invalid_argument(fmt::format("{}: {} bytes do not fit {} {}", tensor.name, tensor.bytes.size(),
                                            name(tensor.format), shape_text(tensor.shape)));
  }
  tensors_.push_back(std::move(tensor));
}

void GgufWriter::set_alignment(uint32_t alignment) {
  alignment_ = alignment;
  add("general.alignment", alignment);
}

std::vector<std::byte> GgufWriter::finish() const {
  std::vector<std::byte> file;
  put_text(file, "GGUF");
  put_number(file, version_);
  put_number<uint64_t>(file, tensors_.size());
  put_number(file, key_count_);
  put_bytes(file, keys_);

  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors_) {
    put_string(file, tensor.name);
    put_number(file, static_cast<uint32_t>(tensor.shape.size()));
    std::for_each(tensor.shape.rbegin(), tensor.shape.rend(),
                  [&](uint64_t extent) { put_number(file, extent); });
    put_number(file, static_cast<uint32_t>(info(tensor.format).gguf_type));
    put_number(file, offset);
    offset = checked_align_up(offset + tensor.bytes.size(), alignment_).value();
  }
  put_padding(file, alignment_);
  const size_t begin = file.size();
  for (const TensorToWrite& tensor : tensors_) {
    put_bytes(file, tensor.bytes);
    while ((file.size() - begin) % alignment_ != 0) file.push_back(std::byte{0});
  }
  return file;
}

}  // namespace rose::weights
