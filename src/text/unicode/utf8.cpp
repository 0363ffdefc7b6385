#include "text/unicode/utf8.h"

#include <cstdint>
#include <cstring>

#include "text/unicode/utf8_vector.h"

namespace rose::text::unicode {

void append(std::string& out, char32_t point) {
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | point >> 6));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | point >> 12));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | point >> 18));
    out.push_back(static_cast<char>(0x80 | (point >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  }
}

std::string encode(char32_t point) {
  std::string out;
  append(out, point);
  return out;
}

// The table of well-formed sequences (Unicode 15, table 3-7): the second byte's range depends on the lead.
Inspected inspect(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80) return {Sequence::kValid, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Sequence::kInvalid, 1};
  size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; i++) {
    if (at + i >= text.size()) return {Sequence::kTruncated, i};
    if (byte(i) < low || byte(i) > high) return {Sequence::kInvalid, i};
    low = 0x80, high = 0xBF;
  }
  return {Sequence::kValid, length};
}

bool is_valid(std::string_view text) {
  if (text.size() >= 64 && has_vectors()) return valid_by_vectors(text.data(), text.size());
  for (size_t at = 0; at < text.size();) {
    uint64_t eight = 0;
    while (text.size() - at >= 8 &&
           (std::memcpy(&eight, text.data() + at, 8), (eight & 0x8080808080808080) == 0))
      at += 8;
    if (at == text.size()) break;
    Inspected seen = inspect(text, at);
    if (seen.kind != Sequence::kValid) return false;
    at += seen.length;
  }
  return true;
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    Inspected seen = inspect(text, at);
    if (seen.kind == Sequence::kValid)
      out.append(text, at, seen.length);
    else
      append(out, kReplacement);
    at += seen.length;
  }
  return out;
}

size_t count(std::string_view text) {
  size_t n = 0;
  for (char c : text) n += !is_continuation(c);
  return n;
}

std::u32string to_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = decode(text, at);
    out.push_back(point);
    at = next;
  }
  return out;
}

std::string from_points(std::u32string_view points) {
  std::string out;
  out.reserve(points.size());
  for (char32_t point : points) append(out, point);
  return out;
}

}  // namespace rose::text::unicode
