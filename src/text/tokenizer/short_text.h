// Short byte strings as numbers: most tokens are shorter than sixteen bytes, and calls of memcpy and memcmp
// with a length that varies cost more than the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace rose::text {

template <typename T>
T load_as(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Up to eight bytes as a little-endian number. Reads none but them.
inline uint64_t load_up_to_8(const char* bytes, size_t count) {
  if (count >= 8) return load_as<uint64_t>(bytes);
  if (count >= 4) {  // two reads, which overlap
    return load_as<uint32_t>(bytes) | static_cast<uint64_t>(load_as<uint32_t>(bytes + count - 4))
                                          << 8 * (count - 4);
  }
  if (count == 0) return 0;
  auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << 8 * i; };
  return byte(0) | byte(count / 2) | byte(count - 1);
}

/// Whether two texts of one length are the same.
inline bool same_bytes(const char* a, const char* b, size_t count) {
  if (count <= 8) return load_up_to_8(a, count) == load_up_to_8(b, count);
  if (count > 16) return std::memcmp(a, b, count) == 0;
  return load_as<uint64_t>(a) == load_as<uint64_t>(b) &&
         load_as<uint64_t>(a + count - 8) == load_as<uint64_t>(b + count - 8);
}

inline constexpr uint64_t kHashA = 0x9E3779B97F4A7C15, kHashB = 0x243F6A8885A308D3;  // golden ratio, pi

inline uint64_t multiply_and_fold(uint64_t a, uint64_t b) {
  __uint128_t product = static_cast<__uint128_t>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

/// A 64-bit hash of a short byte string, good enough for open addressing.
inline uint64_t hash_bytes(std::string_view bytes) {
  uint64_t hash = kHashB ^ bytes.size();
  const char* data = bytes.data();
  size_t left = bytes.size();
  for (; left > 8; left -= 8, data += 8) hash = multiply_and_fold(hash ^ load_as<uint64_t>(data), kHashA);
  return multiply_and_fold(hash ^ load_up_to_8(data, left), kHashA ^ kHashB);
}

/// What a hash table compares of a text: all of it up to twelve bytes, else half of its hash and its length.
struct TextKey {
  static constexpr size_t kWhole = 12;
  static constexpr uint8_t kLong = 0xFF;

  uint64_t head;
  uint32_t tail;
  uint8_t kind;  ///< length of a text that is here as a whole plus one, or kLong; never 0
  uint64_t hash;

  bool is_long() const { return kind == kLong; }
  size_t length() const { return is_long() ? static_cast<uint32_t>(head) : kind - 1U; }

  /// `readable`: how many bytes from the text's beginning on may be read, at least its size. With sixteen, no
  /// branch depends on the length, which no processor can guess.
  [[gnu::always_inline]] static TextKey of(std::string_view text, size_t readable) {
    const size_t length = text.size();
    if (length > kWhole) return of_long(text);
    TextKey key{};
    if (readable >= 16) {
      const size_t in_head = length < 8 ? length : 8, in_tail = length - in_head;
      key.head = load_as<uint64_t>(text.data()) & (in_head == 0 ? 0 : ~uint64_t{0} >> (64 - 8 * in_head));
      key.tail = load_as<uint32_t>(text.data() + 8) & static_cast<uint32_t>((uint64_t{1} << 8 * in_tail) - 1);
    } else {
      key.head = load_up_to_8(text.data(), length);
      if (length > 8) key.tail = static_cast<uint32_t>(load_up_to_8(text.data() + 8, length - 8));
    }
    key.kind = static_cast<uint8_t>(length + 1);
    key.hash = hash_of(key.head, key.tail, key.kind);
    return key;
  }
  static TextKey of(std::string_view text) { return of(text, text.size()); }

  /// The key of two texts in a row that are whole and together no longer than that.
  static TextKey joined(const TextKey& left, const TextKey& right) {
    const size_t shift = 8 * left.length();
    auto bytes = [](const TextKey& key) { return static_cast<__uint128_t>(key.tail) << 64 | key.head; };
    const __uint128_t both = bytes(left) | bytes(right) << shift;
    TextKey key{};
    key.head = static_cast<uint64_t>(both), key.tail = static_cast<uint32_t>(both >> 64);
    key.kind = static_cast<uint8_t>(left.kind + right.kind - 1);
    key.hash = hash_of(key.head, key.tail, key.kind);
    return key;
  }

 private:
  [[gnu::noinline]] static TextKey of_long(std::string_view text) {
    const uint64_t hash = hash_bytes(text);
    return {(hash & 0xFFFFFFFF00000000) | static_cast<uint32_t>(text.size()), 0, kLong, hash};
  }
  static uint64_t hash_of(uint64_t head, uint32_t tail, uint8_t kind) {
    return multiply_and_fold(head ^ kHashA, (static_cast<uint64_t>(tail) << 8 | kind) ^ kHashB);
  }
};

}  // namespace rose::text
