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

/// A 64-bit hash of a short byte string, good enough for open addressing: multiply-and-fold of eight bytes at
/// a time; the constants are digits of the golden ratio and of pi.
inline uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kA = 0x9E3779B97F4A7C15, kB = 0x243F6A8885A308D3;
  auto mix = [](uint64_t a, uint64_t b) {
    __uint128_t product = static_cast<__uint128_t>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  uint64_t hash = kB ^ bytes.size();
  const char* data = bytes.data();
  size_t left = bytes.size();
  for (; left > 8; left -= 8, data += 8) hash = mix(hash ^ load_as<uint64_t>(data), kA);
  return mix(hash ^ load_up_to_8(data, left), kA ^ kB);
}

}  // namespace rose::text
