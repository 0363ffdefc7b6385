// libFuzzer: the first bytes choose a pre-tokenizer and a normaliser of real models, the rest is the text.
// Pieces must be in order, inside the text, whole characters, and not empty; the normalised text must be
// valid UTF-8.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/error.h"
#include "text/tokenizer/parts_json.h"
#include "text/unicode/utf8.h"

using namespace rose::text;
using nlohmann::json;

namespace {

json split(const char* regex, const char* behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", behavior}, {"invert", invert}};
}
json one(const char* type) { return {{"type", type}}; }

// What the models of our tests have, and every other kind once.
std::vector<PreTokenizerPtr> pre_tokenizers() {
  const json sections[] = {
      {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}},
      split(
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
          "Isolated"),
      split(
          R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+)",
          "Removed", true),
      {{"type", "Sequence"},
       {"pretokenizers",
        {split(R"(\p{N}{1,3})", "Isolated"),
         split("[一-龥぀-ゟ゠-ヿ]+", "MergedWithNext"),
         {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}},
      split(R"(\d{1,3}(?=(?:\d{3})*\b))", "MergedWithPrevious"),
      split(R"((?<=\s)\p{Lu}++|\p{Ll}*+(?!\p{Lu})|x*?)", "Contiguous"),
      {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", true}},
      one("BertPreTokenizer"),
      one("Whitespace"),
      one("WhitespaceSplit"),
      {{"type", "Punctuation"}, {"behavior", "MergedWithNext"}},
      {{"type", "Digits"}, {"individual_digits", true}},
      {{"type", "CharDelimiterSplit"}, {"delimiter", "-"}},
      {{"type", "FixedLength"}, {"length", 3u}}};
  std::vector<PreTokenizerPtr> made;
  for (const json& section : sections) made.push_back(pre_tokenizer_from_json(section, false));
  return made;
}

std::vector<NormalizerPtr> normalizers() {
  const json replace = {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}|\\p{Mn}"}}}, {"content", "▁"}};
  const json sections[] = {nullptr,
                           one("NFC"),
                           one("NFD"),
                           one("NFKC"),
                           one("NFKD"),
                           one("Lowercase"),
                           one("StripAccents"),
                           one("Nmt"),
                           {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}},
                           {{"type", "Prepend"}, {"prepend", "▁"}},
                           one("BertNormalizer"),
                           replace};
  std::vector<NormalizerPtr> made;
  for (const json& section : sections) made.push_back(normalizer_from_json(section));
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto all_pre_tokenizers = pre_tokenizers();
  static const auto all_normalizers = normalizers();
  if (size < 2) return 0;
  std::string text =
      unicode::replace_invalid({reinterpret_cast<const char*>(data) + 2, std::min<size_t>(size - 2, 4096)});
  if (const auto& normalizer = all_normalizers[data[1] % all_normalizers.size()]) normalizer->apply(text);
  if (!unicode::is_valid(text)) std::abort();
  Pieces pieces{text, {}};
  if (!text.empty()) pieces.pieces.push_back({0, text.size(), true});
  try {
    all_pre_tokenizers[data[0] % all_pre_tokenizers.size()]->apply(pieces);
  } catch (const TextError&) {  // the look-ahead of one of them is quadratic, and says so
    return 0;
  }
  size_t at = 0;
  for (const auto& piece : pieces.pieces) {
    if (piece.begin < at || piece.end <= piece.begin || piece.end > pieces.text.size()) std::abort();
    if (!unicode::is_valid(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin)))
      std::abort();
    at = piece.end;
  }
  return 0;
}
