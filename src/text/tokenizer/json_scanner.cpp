#include "text/tokenizer/json_scanner.h"

#include <emmintrin.h>
#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

// A bit for each of sixteen bytes.
using Bits = uint32_t;
__m128i load(const char* text) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(text)); }
__m128i equal(__m128i bytes, char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); }
Bits bits(__m128i mask) { return static_cast<Bits>(_mm_movemask_epi8(mask)); }

Bits spaces(__m128i bytes) {
  return bits(_mm_or_si128(_mm_or_si128(equal(bytes, ' '), equal(bytes, '\n')),
                           _mm_or_si128(equal(bytes, '\r'), equal(bytes, '\t'))));
}

// What ends a plain run of a string: its quote, an escape, a control character.
Bits string_stops(__m128i bytes) {
  __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
  return bits(_mm_or_si128(control, _mm_or_si128(equal(bytes, '"'), equal(bytes, '\\'))));
}

// What matters for where a value ends, one bit for each of 64 bytes.
struct Block {
  uint64_t quotes = 0, backslashes = 0, opening = 0, closing = 0;
  explicit Block(const char* text) {
    for (int part = 0; part < 4; part++) {
      __m128i bytes = load(text + 16 * part), folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
      auto set = [&](uint64_t& of, __m128i mask) { of |= static_cast<uint64_t>(bits(mask)) << 16 * part; };
      set(quotes, equal(bytes, '"')), set(backslashes, equal(bytes, '\\'));
      set(opening, equal(folded, '{')), set(closing, equal(folded, '}'));  // brackets are braces less 0x20
    }
  }
};

// Bit i: whether an odd number of the bits 0 to i is set.
uint64_t parity_so_far(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

// The bytes behind an odd number of backslashes. `pending`: whether the first byte is one; becomes whether
// the byte behind the block is.
uint64_t escaped_bytes(uint64_t backslashes, bool& pending) {
  uint64_t escaped = pending ? 1 : 0;
  if (backslashes == 0) {
    pending = false;
    return escaped;
  }
  for (uint64_t left = backslashes & ~escaped; left != 0;) {
    int at = std::countr_zero(left);
    if (at == 63) {
      pending = true;
      return escaped;
    }
    escaped |= uint64_t{2} << at;
    left &= ~(uint64_t{3} << at);  // an escaped backslash escapes nothing
  }
  pending = false;
  return escaped;
}

}  // namespace

void JsonScanner::fail(std::string_view what) const {
  throw TextError(fmt::format("{}: {} at byte {}", document_, what, offset()));
}

void JsonScanner::fail_expected(char c) const { fail(fmt::format("expected '{}'", c)); }

std::string_view JsonScanner::string(std::string& buffer) {
  expect('"');
  size_t begin = at_;
  for (; at_ < text_.size(); at_++) {
    if (text_.size() - at_ >= 16) {
      Bits stops = string_stops(load(text_.data() + at_));
      at_ += stops != 0 ? static_cast<size_t>(std::countr_zero(stops)) : 15;
      if (stops == 0) continue;
    }
    char c = text_[at_];
    if (c == '"') return text_.substr(begin, at_++ - begin);
    if (c == '\\') return escaped_string(begin, buffer);
    if (static_cast<unsigned char>(c) < 0x20) fail("control character in a string");
  }
  fail("string without an end");
}

std::string_view JsonScanner::escaped_string(size_t begin, std::string& buffer) {
  buffer.assign(text_, begin, at_ - begin);
  while (at_ < text_.size()) {
    char c = text_[at_++];
    if (c == '"') return buffer;
    if (static_cast<unsigned char>(c) < 0x20) fail("control character in a string");
    if (c != '\\') {
      buffer.push_back(c);
      continue;
    }
    char escape = at_ < text_.size() ? text_[at_++] : '\0';
    switch (escape) {
      case '"':
      case '\\':
      case '/':
        buffer.push_back(escape);
        break;
      case 'b':
        buffer.push_back('\b');
        break;
      case 'f':
        buffer.push_back('\f');
        break;
      case 'n':
        buffer.push_back('\n');
        break;
      case 'r':
        buffer.push_back('\r');
        break;
      case 't':
        buffer.push_back('\t');
        break;
      case 'u': {
        uint32_t unit = hex4();
        if (unit >= 0xD800 && unit < 0xDC00) {
          if (text_.substr(at_, 2) != "\\u") fail("half of a surrogate pair");
          at_ += 2;
          uint32_t low = hex4();
          if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
          unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        } else if (unit >= 0xDC00 && unit < 0xE000) {
          fail("half of a surrogate pair");
        }
        unicode::append(buffer, unit);
        break;
      }
      default:
        fail("unknown escape in a string");
    }
  }
  fail("string without an end");
}

uint32_t JsonScanner::hex4() {
  uint32_t value = 0;
  if (text_.size() - at_ < 4) fail("string without an end");
  auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, value, 16);
  if (error != std::errc() || end != text_.data() + at_ + 4) fail("wrong \\u escape");
  at_ += 4;
  return value;
}

uint32_t JsonScanner::unsigned_integer() {
  uint32_t value = 0;
  peek();
  auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
  if (error != std::errc()) fail("expected a number from 0 to 2^32 - 1");
  at_ = static_cast<size_t>(end - text_.data());
  if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E'))
    fail("expected a whole number");
  return value;
}

double JsonScanner::number() {
  double value = 0;
  char first = peek();
  if (first != '-' && (first < '0' || first > '9')) fail("expected a number");
  auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
  if (error != std::errc()) fail("expected a number");
  at_ = static_cast<size_t>(end - text_.data());
  return value;
}

bool JsonScanner::boolean() {
  peek();
  for (auto [word, result] : {std::pair<std::string_view, bool>{"true", true}, {"false", false}}) {
    if (text_.substr(at_, word.size()) != word) continue;
    at_ += word.size();
    return result;
  }
  fail("expected true or false");
}

void JsonScanner::skip_spaces() {
  while (text_.size() - at_ >= 16) {
    Bits others = spaces(load(text_.data() + at_)) ^ 0xFFFF;
    if (others != 0) {
      at_ += static_cast<size_t>(std::countr_zero(others));
      return;
    }
    at_ += 16;
  }
  while (at_ < text_.size() && is_space(text_[at_])) at_++;
}

void JsonScanner::skip_string() {
  for (at_++; at_ < text_.size(); at_++) {
    if (text_[at_] == '"') {
      at_++;
      return;
    }
    if (text_[at_] == '\\') at_++;
  }
  at_ = std::min(at_, text_.size());
  fail("string without an end");
}

// Only brackets and strings matter for where the value ends, so blocks of 64 bytes become bits for them. The
// number of brackets in a block says mostly that the value cannot end there; else they are looked at one by
// one.
void JsonScanner::skip_nested() {
  constexpr int kDeepest = 100;
  int depth = 0;
  bool in_string = false, escape_pending = false;
  for (;; at_ += 64) {
    const char* from = text_.data() + at_;
    const size_t left = text_.size() - at_;
    std::array<char, 64> rest;
    if (left < 64) {
      rest.fill(' ');
      std::memcpy(rest.data(), from, left);
      from = rest.data();
    }
    Block block(from);
    const uint64_t quotes = block.quotes & ~escaped_bytes(block.backslashes, escape_pending);
    uint64_t inside =
        parity_so_far(quotes) ^ (in_string ? ~uint64_t{0} : 0);  // from a quote to before the next
    in_string = inside >> 63;
    block.opening &= ~inside, block.closing &= ~inside;
    const int opened = std::popcount(block.opening), closed = std::popcount(block.closing);
    if (depth > closed && depth + opened <= kDeepest) {
      depth += opened - closed;
    } else {
      for (uint64_t brackets = block.opening | block.closing; brackets != 0; brackets &= brackets - 1) {
        const uint64_t bit = brackets & -brackets;
        if ((block.opening & bit) != 0 && ++depth > kDeepest) {
          at_ += static_cast<size_t>(std::countr_zero(bit));
          fail("nested more than 100 deep");
        }
        if ((block.closing & bit) != 0 && --depth == 0) {
          at_ += static_cast<size_t>(std::countr_zero(bit)) + 1;
          return;
        }
      }
    }
    if (left <= 64) break;
  }
  at_ = text_.size();
  fail(in_string ? "string without an end" : "ends too early");
}

std::string_view JsonScanner::value() {
  char first = peek();
  size_t begin = at_;
  if (first == '"') {
    skip_string();
  } else if (first == '{' || first == '[') {
    skip_nested();
  } else {
    while (at_ < text_.size() &&
           std::string_view(",:{}[]\" \n\r\t").find(text_[at_]) == std::string_view::npos)
      at_++;
    if (at_ == begin) fail("expected a value");
  }
  return text_.substr(begin, at_ - begin);
}

}  // namespace rose::text
