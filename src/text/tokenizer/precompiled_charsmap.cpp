// SentencePiece's compiled character map, looked up the way HF `tokenizers` does it: grapheme by grapheme.
#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>

#include "text/error.h"
#include "text/tokenizer/normalizer.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

struct Range {
  char32_t first, last;
};

// Unassigned, but to be ignored where they are not known: they are controls, which end a grapheme (Unicode
// 16, GraphemeBreakProperty.txt). utf8proc takes them for letters.
constexpr Range kIgnorable[] = {{0x2065, 0x2065},   {0xFFF0, 0xFFF8},   {0xE0000, 0xE0000},
                                {0xE0002, 0xE001F}, {0xE0080, 0xE00FF}, {0xE01F0, 0xE0FFF}};

// Marks that HF's tables know (Unicode 17) and utf8proc 2.8 does not (Unicode 14): found by trying all code
// points.
constexpr Range kNewMarks[] = {
    {0x897, 0x897},     {0x1ACF, 0x1ADD},   {0x1AE0, 0x1AEB},   {0x10D69, 0x10D6D}, {0x10EFA, 0x10EFC},
    {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D0},
    {0x113D2, 0x113D2}, {0x113E1, 0x113E2}, {0x11B60, 0x11B67}, {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F},
    {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5}};

bool is_in(std::span<const Range> ranges, char32_t point) {
  auto after = std::ranges::upper_bound(ranges, point, {}, &Range::first);
  return after != ranges.begin() && point <= std::prev(after)->last;
}

// The code point, or one that utf8proc knows and that breaks graphemes as it does.
int as_known(char32_t point) {
  if (point < 0x897) return static_cast<int>(point);
  if (is_in(kIgnorable, point)) return 0x200B;
  return static_cast<int>(is_in(kNewMarks, point) ? 0x300 : point);
}

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(std::string_view map) {
    uint32_t size = 0;
    if (map.size() < 4) throw TextError("precompiled_charsmap: shorter than its own size field");
    std::memcpy(&size, map.data(), 4);
    if (size % 4 != 0 || size > map.size() - 4)
      throw TextError("precompiled_charsmap: the size of its double array goes beyond the end of the data");
    units_.resize(size / 4);
    if (size > 0) std::memcpy(units_.data(), map.data() + 4, size);
    replacements_ = map.substr(4 + size);
    if (!unicode::is_valid(replacements_))
      throw TextError("precompiled_charsmap: replacements are not valid UTF-8");
  }

  void run(std::string& text, size_t limit) const override {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
      size_t end = grapheme_end(text, at);
      std::string_view grapheme = std::string_view(text).substr(at, end - at);
      std::optional<std::string_view> whole;
      if (grapheme.size() < 6) whole = find(grapheme);
      if (whole) {
        out += *whole;
      } else {
        for (size_t i = 0; i < grapheme.size();) {
          std::string_view character = grapheme.substr(i, unicode::sequence_length(grapheme[i]));
          out += find(character).value_or(character);
          i += character.size();
        }
      }
      at = end;
      check_growth(out.size(), limit);
    }
    text = std::move(out);
  }

 private:
  static size_t grapheme_end(std::string_view text, size_t at) {
    auto [point, next] = unicode::decode(text, at);
    utf8proc_int32_t state = 0;
    while (next < text.size()) {
      auto [following, after] = unicode::decode(text, next);
      bool ascii = point < 0x300 && following < 0x300 && point >= ' ';
      if (ascii || utf8proc_grapheme_break_stateful(as_known(point), as_known(following), &state)) break;
      point = following, next = after;
    }
    return next;
  }

  // Darts double array (github.com/s-yata/darts-clone): bit 8 of a unit: a leaf hangs here; bits 10..30:
  // offset of the children, times 256 if bit 9 is set; bits 0..7 and 31: label. The *shortest* key is the
  // answer.
  std::optional<std::string_view> find(std::string_view key) const {
    auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
    if (units_.empty()) return std::nullopt;
    size_t node = offset(units_[0]);
    for (char c : key) {
      auto byte = static_cast<unsigned char>(c);
      if (byte == 0) return std::nullopt;
      node ^= byte;
      if (node >= units_.size() || (units_[node] & (1u << 31 | 0xFF)) != byte) return std::nullopt;
      uint32_t unit = units_[node];
      node ^= offset(unit);
      if (!(unit >> 8 & 1)) continue;
      if (node >= units_.size()) return std::nullopt;
      size_t begin = units_[node] & 0x7FFFFFFF;
      if (begin >= replacements_.size() || unicode::is_continuation(replacements_[begin]))
        return std::nullopt;
      size_t end = replacements_.find('\0', begin);
      return std::string_view(replacements_).substr(begin, end == std::string::npos ? end : end - begin);
    }
    return std::nullopt;
  }

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace

NormalizerPtr make_precompiled(std::string_view charsmap) { return std::make_unique<Precompiled>(charsmap); }

}  // namespace rose::text
