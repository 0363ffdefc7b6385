#include "text/unicode/properties.h"

#include <algorithm>

#include "text/unicode/utf8.h"

namespace rose::text::unicode {

bool contains(std::span<const CodePointRange> ranges, char32_t point) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), point,
                                [](char32_t p, const CodePointRange& range) { return p < range.first; });
  return after != ranges.begin() && point <= (after - 1)->last;
}

int category(char32_t point) {
  uint32_t key = static_cast<uint32_t>(point) << 5 | 31;
  return *(std::upper_bound(kCategoryRuns.begin(), kCategoryRuns.end(), key) - 1) & 31;
}

bool is_space(char32_t point) {
  if (point < 0x80) return point == ' ' || (point >= 9 && point <= 13);
  return contains(kSpace, point);
}

bool is_numeric(char32_t point) {
  if (point < 0x80) return point >= '0' && point <= '9';
  return contains(kNumeric, point);
}

bool is_punctuation(char32_t point) { return contains(kPunctuation, point); }
bool is_word(char32_t point) { return contains(kWord, point); }

std::u32string_view mapped(std::span<const Mapping> table, char32_t point) {
  auto found = std::lower_bound(table.begin(), table.end(), point,
                                [](const Mapping& m, char32_t p) { return m.point < p; });
  if (found == table.end() || found->point != point) return {};
  return {kMappingPool.data() + found->offset, found->length};
}

static std::string map_case(std::string_view text, std::span<const Mapping> table, char first, int shift) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = decode(text, at);
    if (point < 0x80) {
      bool changes =
          point >= static_cast<unsigned char>(first) && point < static_cast<unsigned char>(first) + 26u;
      out.push_back(static_cast<char>(changes ? point + shift : point));
    } else if (auto replacement = mapped(table, point); !replacement.empty()) {
      for (char32_t p : replacement) append(out, p);
    } else {
      out.append(text, at, next - at);
    }
    at = next;
  }
  return out;
}

std::string lowercase(std::string_view text) { return map_case(text, kLower, 'A', 32); }
std::string uppercase(std::string_view text) { return map_case(text, kUpper, 'a', -32); }

}  // namespace rose::text::unicode
