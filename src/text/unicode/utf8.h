// UTF-8 in this room: everything behind the public functions is valid UTF-8, made so once at the door.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rose::text::unicode {

inline constexpr char32_t kReplacement = 0xFFFD;

/// The code point at `at` of *valid* UTF-8, and the offset after it.
struct Decoded {
  char32_t point;
  size_t next;
};
inline Decoded decode(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, at + 1};
  if (lead < 0xE0) return {char32_t(lead & 0x1F) << 6 | (byte(1) & 0x3F), at + 2};
  if (lead < 0xF0)
    return {char32_t(lead & 0x0F) << 12 | char32_t(byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), at + 3};
  return {char32_t(lead & 0x07) << 18 | char32_t(byte(1) & 0x3F) << 12 | char32_t(byte(2) & 0x3F) << 6 |
              (byte(3) & 0x3F),
          at + 4};
}

/// Bytes that a sequence with this lead byte has, in valid UTF-8.
inline size_t sequence_length(char lead) {
  auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Whether `byte` continues a sequence that began before it.
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Offset of the code point that ends right before `at` (> 0) in valid UTF-8.
inline size_t previous(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && is_continuation(text[at]));
  return at;
}

void append(std::string& out, char32_t point);
std::string encode(char32_t point);

/// Result of looking at the bytes at an offset: a whole character, a wrong sequence, or one that the end of
/// the text cuts short. `length` bytes belong to it; for a wrong sequence that is the longest prefix of some
/// valid sequence (Unicode 15, section 3.9, "substitution of maximal subparts"), at least 1.
enum class Sequence { kValid, kInvalid, kTruncated };
struct Inspected {
  Sequence kind;
  size_t length;
};
Inspected inspect(std::string_view text, size_t at);

bool is_valid(std::string_view text);

/// The policy for invalid input everywhere in this room: each maximal wrong subpart becomes one U+FFFD, which
/// is also what Python's bytes.decode("utf-8", "replace") and Rust's from_utf8_lossy do.
std::string replace_invalid(std::string_view text);

/// Number of code points of valid UTF-8.
size_t count(std::string_view text);

std::u32string to_points(std::string_view text);
std::string from_points(std::u32string_view points);

}  // namespace rose::text::unicode
