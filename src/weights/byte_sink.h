// Appends little-endian numbers and bytes to a growing buffer. Private to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rose::weights {

inline void put_bytes(std::vector<std::byte>& sink, std::span<const std::byte> bytes) {
  sink.insert(sink.end(), bytes.begin(), bytes.end());
}

template <typename T>
void put_number(std::vector<std::byte>& sink, T value) {
  put_bytes(sink, std::as_bytes(std::span(&value, 1)));
}

inline void put_text(std::vector<std::byte>& sink, std::string_view text) {
  put_bytes(sink, std::as_bytes(std::span(text.data(), text.size())));
}

// Zeros (or `fill`) up to a multiple of `alignment`.
inline void put_padding(std::vector<std::byte>& sink, uint64_t alignment, std::byte fill = std::byte{0}) {
  while (sink.size() % alignment != 0) sink.push_back(fill);
}

}  // namespace rose::weights
