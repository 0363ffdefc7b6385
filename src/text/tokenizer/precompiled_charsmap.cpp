// SentencePiece's compiled character map, looked up the way HF `tokenizers` does it: grapheme by grapheme.
#include <utf8proc.h>

#include <cstring>
#include <optional>

#include "text/error.h"
#include "text/tokenizer/normalizer.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

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
      if (ascii ||
          utf8proc_grapheme_break_stateful(static_cast<int>(point), static_cast<int>(following), &state))
        break;
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
