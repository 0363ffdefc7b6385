// A bounds-checked reader over the bytes of a GGUF file that knows which field it is reading. Private to the
// room.
#pragma once

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "weights/error.h"

namespace rose::weights {

class Cursor {
 public:
  Cursor(const std::filesystem::path& file, std::span<const std::byte> bytes) : file_(file), bytes_(bytes) {}

  // Names what is read next, for messages.
  void enter(std::string field) { field_ = std::move(field); }
  const std::string& field() const { return field_; }

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  // A u64 length and that many bytes.
  std::string_view string() {
    const auto length = number<uint64_t>();
    const auto bytes = take(length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  // A u64 count of things that take at least `least_bytes` each; refuses counts that the file cannot hold, so
  // that nothing is allocated for them.
  uint64_t count(uint64_t least_bytes) {
    const auto value = number<uint64_t>();
    if (value > remaining() / least_bytes) {
      wrong("count {} needs more than the {} bytes left in the file", value, remaining());
    }
    return value;
  }

  std::span<const std::byte> take(uint64_t length) {
    if (length > remaining()) {
      wrong("needs {} bytes at position {}, but only {} are left; the file may be truncated", length,
            position_, remaining());
    }
    const auto part = bytes_.subspan(position_, length);
    position_ += length;
    return part;
  }

  template <typename... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> text, Args&&... args) const {
    throw WeightsError(file_, field_, fmt::format(text, std::forward<Args>(args)...));
  }

 private:
  const std::filesystem::path& file_;
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  std::string field_;
};

}  // namespace rose::weights
