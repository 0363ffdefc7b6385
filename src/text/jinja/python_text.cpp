#include "text/jinja/python_text.h"

#include <charconv>

#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {

using unicode::decode;

bool is_python_space(char32_t point) { return unicode::is_space(point) || (point >= 0x1C && point <= 0x1F); }

size_t space_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    auto [point, next] = decode(text, at);
    if (!is_python_space(point)) break;
    at = next;
  }
  return std::min(at, text.size());
}

size_t strip_end(std::string_view text) { return strip(text, nullptr, false, true).size(); }

std::string_view strip(std::string_view text, const std::string* characters, bool left, bool right) {
  auto drops = [&](std::string_view character) {
    if (!characters) return is_python_space(decode(character, 0).point);
    return characters->find(character) != std::string::npos;
  };
  while (left && !text.empty()) {
    size_t length = unicode::sequence_length(text[0]);
    if (!drops(text.substr(0, length))) break;
    text.remove_prefix(length);
  }
  while (right && !text.empty()) {
    size_t last = unicode::previous(text, text.size());
    if (!drops(text.substr(last))) break;
    text = text.substr(0, last);
  }
  return text;
}

bool decode_escapes(std::string_view literal, std::string& out) {
  for (size_t at = 0; at < literal.size(); at++) {
    char c = literal[at];
    if (c != '\\') {
      out.push_back(c);
      continue;
    }
    if (++at >= literal.size()) return false;
    auto hex = [&](size_t digits) {
      uint32_t value = 0;
      if (literal.size() - at - 1 < digits) return false;
      const char* begin = literal.data() + at + 1;
      auto [end, error] = std::from_chars(begin, begin + digits, value, 16);
      if (error != std::errc() || end != begin + digits || value > 0x10FFFF ||
          (value >= 0xD800 && value < 0xE000))
        return false;
      unicode::append(out, value);
      at += digits;
      return true;
    };
    switch (literal[at]) {
      case '\n':
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 'a':
        out.push_back('\a');
        break;
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'v':
        out.push_back('\v');
        break;
      case '\\':
      case '\'':
      case '"':
        out.push_back(literal[at]);
        break;
      case 'x':
        if (!hex(2)) return false;
        break;
      case 'u':
        if (!hex(4)) return false;
        break;
      case 'U':
        if (!hex(8)) return false;
        break;
      default:
        if (literal[at] >= '0' && literal[at] <= '7') {
          uint32_t value = 0;
          size_t end = at;
          while (end < literal.size() && end < at + 3 && literal[end] >= '0' && literal[end] <= '7')
            value = value * 8 + static_cast<uint32_t>(literal[end++] - '0');
          unicode::append(out, value);
          at = end - 1;
        } else {
          out.push_back('\\');
          out.push_back(literal[at]);
        }
    }
  }
  return true;
}

std::string upper(std::string_view text) { return unicode::uppercase(text); }

// Greek sigma ends a word as U+03C2: Python looks for cased letters on both sides.
std::string lower(std::string_view text) {
  if (text.find("\u03A3") == std::string_view::npos) return unicode::lowercase(text);
  auto cased = [&](char32_t point) {
    int category = unicode::category(point);
    return category >= 1 && category <= 3;
  };
  auto ignorable = [](char32_t point) {
    std::string_view name = unicode::kCategoryNames[unicode::category(point)];
    return name[0] == 'M' || name == "Cf" || name == "Lm" || name == "Sk" || point == '\'' || point == '.' ||
           point == ':';
  };
  std::u32string points = unicode::to_points(text);
  std::string out;
  for (size_t i = 0; i < points.size(); i++) {
    if (points[i] != 0x3A3) {
      out += unicode::lowercase(unicode::encode(points[i]));
      continue;
    }
    size_t before = i, after = i + 1;
    while (before > 0 && ignorable(points[before - 1])) before--;
    while (after < points.size() && ignorable(points[after])) after++;
    bool final_sigma =
        before > 0 && cased(points[before - 1]) && !(after < points.size() && cased(points[after]));
    unicode::append(out, final_sigma ? 0x3C2 : 0x3C3);
  }
  return out;
}

static void append_title(std::string& out, char32_t point) {
  auto mapped = unicode::mapped(unicode::kTitle, point);
  if (mapped.empty()) mapped = unicode::mapped(unicode::kUpper, point);
  if (mapped.empty()) return unicode::append(out, point);
  for (char32_t p : mapped) unicode::append(out, p);
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = decode(text, at);
    inside ? void(out += unicode::lowercase(unicode::encode(point))) : append_title(out, point);
    int category = unicode::category(point);
    inside = category >= 1 && category <= 3;
    at = next;
  }
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  auto [first, next] = decode(text, 0);
  std::string out;
  append_title(out, first);
  return out + lower(text.substr(next));
}

}  // namespace rose::text::jinja
