#include "text/tokenizer/json_scanner.h"

#include <fmt/format.h>

#include <charconv>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text {

void JsonScanner::fail(std::string_view what) const {
  throw TextError(fmt::format("{}: {} at byte {}", document_, what, offset()));
}

void JsonScanner::fail_expected(char c) const { fail(fmt::format("expected '{}'", c)); }

std::string_view JsonScanner::string(std::string& buffer) {
  expect('"');
  size_t begin = at_;
  for (; at_ < text_.size(); at_++) {
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

void JsonScanner::skip_string() {
  strings_skipped_++;
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

std::string_view JsonScanner::value() {
  char first = peek();
  size_t begin = at_;
  strings_skipped_ = 0;
  if (first == '"') {
    skip_string();
  } else if (first == '{' || first == '[') {
    // Only brackets and strings matter for where the value ends, so the loop looks at nothing else.
    int depth = 0;
    do {
      if (at_ >= text_.size()) fail("ends too early");
      char c = text_[at_];
      if (c == '"') {
        skip_string();
        continue;
      }
      if ((c | 0x20) == '{' && ++depth > 100) fail("nested more than 100 deep");
      depth -= (c | 0x20) == '}';
      at_++;
    } while (depth > 0);
  } else {
    while (at_ < text_.size() &&
           std::string_view(",:{}[]\" \n\r\t").find(text_[at_]) == std::string_view::npos)
      at_++;
    if (at_ == begin) fail("expected a value");
  }
  return text_.substr(begin, at_ - begin);
}

}  // namespace rose::text
