#include "text/regex/char_set.h"

#include <algorithm>

#include "text/error.h"
#include "text/unicode/properties.h"

namespace rose::text::regex {

using unicode::CodePointRange;

namespace {

constexpr uint32_t kLastPoint = 0x10FFFF;

void normalize(std::vector<CodePointRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](auto& a, auto& b) { return a.first < b.first; });
  size_t write = 0;
  for (const auto& range : ranges) {
    if (write > 0 && range.first <= ranges[write - 1].last + 1)
      ranges[write - 1].last = std::max(ranges[write - 1].last, range.last);
    else
      ranges[write++] = range;
  }
  ranges.resize(write);
}

struct NamedSet {
  std::string_view name;
  std::span<const CodePointRange> ranges;
};

// Names are compared without case, spaces, '_' and '-', as Oniguruma does.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (char c : name)
    if (c != ' ' && c != '_' && c != '-')
      plain.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
  return plain;
}

}  // namespace

CharSet CharSet::one(char32_t point) { return range(point, point); }

CharSet CharSet::range(char32_t first, char32_t last) {
  CharSet set;
  set.ranges_.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(last)});
  return set;
}

CharSet CharSet::property(std::string_view name) {
  std::string plain = plain_name(name);
  const NamedSet named[] = {
      {"space", unicode::kRegexSpace},        {"whitespace", unicode::kRegexSpace},
      {"word", unicode::kRegexWord},          {"han", unicode::kScriptHan},
      {"hiragana", unicode::kScriptHiragana}, {"katakana", unicode::kScriptKatakana},
      {"hangul", unicode::kScriptHangul},     {"latin", unicode::kScriptLatin},
      {"greek", unicode::kScriptGreek},       {"cyrillic", unicode::kScriptCyrillic},
      {"arabic", unicode::kScriptArabic},     {"hebrew", unicode::kScriptHebrew},
      {"thai", unicode::kScriptThai},         {"devanagari", unicode::kScriptDevanagari},
      {"common", unicode::kScriptCommon},     {"inherited", unicode::kScriptInherited},
  };
  for (const auto& set : named)
    if (set.name == plain) return CharSet(set.ranges);
  if (plain == "any") return range(0, kLastPoint);

  const std::pair<std::string_view, std::string_view> long_names[] = {
      {"letter", "l"}, {"mark", "m"},   {"number", "n"},           {"punctuation", "p"},     {"punct", "p"},
      {"symbol", "s"}, {"other", "c"},  {"separator", "z"},        {"digit", "nd"},          {"upper", "lu"},
      {"lower", "ll"}, {"cntrl", "cc"}, {"uppercaseletter", "lu"}, {"lowercaseletter", "ll"}};
  for (const auto& [long_name, short_name] : long_names)
    if (long_name == plain) plain = short_name;

  CharSet set;
  for (size_t run = 0; run < unicode::kCategoryRuns.size(); run++) {
    uint32_t entry = unicode::kCategoryRuns[run];
    std::string category = plain_name(unicode::kCategoryNames[entry & 31]);
    if (category != plain && category.substr(0, 1) != plain) continue;
    uint32_t last =
        run + 1 < unicode::kCategoryRuns.size() ? (unicode::kCategoryRuns[run + 1] >> 5) - 1 : kLastPoint;
    set.ranges_.push_back({entry >> 5, last});
  }
  if (set.ranges_.empty())
    throw TextError("regular expression: the property \\p{" + std::string(name) + "} is not known to ROSE");
  normalize(set.ranges_);
  return set;
}

void CharSet::add(const CharSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalize(ranges_);
}

CharSet CharSet::negated() const {
  CharSet out;
  uint32_t next = 0;
  for (const auto& range : ranges_) {
    if (range.first > next) out.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastPoint) out.ranges_.push_back({next, kLastPoint});
  return out;
}

CharSet CharSet::intersected(const CharSet& other) const {
  CharSet both = negated();
  both.add(other.negated());
  return both.negated();
}

CharSet CharSet::case_folded() const {
  CharSet out = *this;
  auto add_variants = [&](char32_t point) {
    std::vector<char32_t> variants{point};
    for (auto table : {unicode::kLower, unicode::kUpper})
      if (auto to = unicode::mapped(table, point); to.size() == 1) variants.push_back(to[0]);
    return variants;
  };
  // Two steps reach every member of a case orbit: through its lower and its upper form.
  for (int step = 0; step < 2; step++) {
    std::vector<CodePointRange> more;
    CharSet current = out;
    for (auto table : {unicode::kLower, unicode::kUpper}) {
      for (const auto& mapping : table) {
        if (mapping.length != 1) continue;
        char32_t to = unicode::kMappingPool[mapping.offset];
        if (current.contains(mapping.point)) more.push_back({to, to});
        if (current.contains(to))
          for (char32_t variant : add_variants(mapping.point)) more.push_back({variant, variant});
      }
    }
    for (char32_t upper = 'A'; upper <= 'Z'; upper++) {
      if (current.contains(upper)) more.push_back({upper + 32, upper + 32});
      if (current.contains(upper + 32)) more.push_back({upper, upper});
    }
    out.ranges_.insert(out.ranges_.end(), more.begin(), more.end());
    normalize(out.ranges_);
  }
  return out;
}

bool CharSet::find(char32_t point) const { return unicode::contains(ranges_, point); }

bool CharSet::operator==(const CharSet& other) const {
  return std::equal(ranges_.begin(), ranges_.end(), other.ranges_.begin(), other.ranges_.end(),
                    [](auto& a, auto& b) { return a.first == b.first && a.last == b.last; });
}

}  // namespace rose::text::regex
