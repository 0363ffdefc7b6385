#include "text/unicode/normalize.h"

#include <algorithm>
#include <bitset>
#include <memory>

#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::unicode {
namespace {

// Hangul syllables are composed by arithmetic (Unicode 15, section 3.12).
constexpr char32_t kHangulBase = 0xAC00, kLeadBase = 0x1100, kVowelBase = 0x1161, kTailBase = 0x11A7;
constexpr uint32_t kLeads = 19, kVowels = 21, kTails = 28, kSyllables = kLeads * kVowels * kTails;

uint8_t combining_class(char32_t point) {
  if (point < 0x300) return 0;
  auto found = std::lower_bound(kCombiningClasses.begin(), kCombiningClasses.end(), point,
                                [](const CombiningClass& c, char32_t p) { return c.point < p; });
  return found != kCombiningClasses.end() && found->point == point ? found->value : 0;
}

char32_t compose(char32_t first, char32_t second) {
  if (first - kLeadBase < kLeads && second - kVowelBase < kVowels)
    return kHangulBase + ((first - kLeadBase) * kVowels + (second - kVowelBase)) * kTails;
  if (first - kHangulBase < kSyllables && (first - kHangulBase) % kTails == 0 &&
      second - kTailBase - 1 < kTails - 1)
    return first + (second - kTailBase);
  auto found = std::lower_bound(kCompositions.begin(), kCompositions.end(), std::pair(first, second),
                                [](const Composition& c, std::pair<char32_t, char32_t> key) {
                                  return std::pair<char32_t, char32_t>(c.first, c.second) < key;
                                });
  bool exact = found != kCompositions.end() && found->first == first && found->second == second;
  return exact ? found->composed : 0;
}

void decompose(std::u32string& out, char32_t point, bool compatible) {
  if (point < 0x80) {
    out.push_back(point);
  } else if (point - kHangulBase < kSyllables) {
    uint32_t index = point - kHangulBase;
    out.push_back(kLeadBase + index / (kVowels * kTails));
    out.push_back(kVowelBase + index / kTails % kVowels);
    if (index % kTails != 0) out.push_back(kTailBase + index % kTails);
  } else {
    auto parts = compatible ? mapped(kCompatible, point) : std::u32string_view();
    if (parts.empty()) parts = mapped(kCanonical, point);
    parts.empty() ? out.push_back(point) : void(out.append(parts));
  }
}

// Sorts each run of combining marks by class, keeping the order of equal classes.
void reorder(std::u32string& points) {
  for (size_t at = 0; at < points.size();) {
    if (combining_class(points[at]) == 0) {
      at++;
      continue;
    }
    size_t end = at;
    while (end < points.size() && combining_class(points[end]) != 0) end++;
    std::stable_sort(points.begin() + at, points.begin() + end,
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    at = end;
  }
}

void recompose(std::u32string& points) {
  size_t write = 0;
  size_t starter = std::u32string::npos;
  int last_class = -1;  // class of the last character kept after the starter; -1: none
  for (char32_t point : points) {
    int current = combining_class(point);
    if (starter != std::u32string::npos && last_class < current) {
      if (char32_t composed = compose(points[starter], point)) {
        points[starter] = composed;
        continue;
      }
    }
    if (current == 0) {
      starter = write;
      last_class = -1;
    } else {
      last_class = current;
    }
    points[write++] = point;
  }
  points.resize(write);
}

// One bit a code point: set where the form may change the text.
using Sensitive = std::bitset<0x110000>;

std::unique_ptr<const Sensitive> make_sensitive(bool composed, bool compatible) {
  auto bits = std::make_unique<Sensitive>();
  for (const auto& c : kCombiningClasses) bits->set(c.point);
  if (composed) {
    // A decomposable character is stable under NFC if it recomposes to itself; anything that can be the
    // second half of a composition is not.
    for (const auto& m : kCanonical) bits->set(m.point);
    for (const auto& c : kCompositions) bits->reset(c.composed);
    for (const auto& c : kCompositions) bits->set(c.second);
    for (char32_t p = kVowelBase; p < kVowelBase + kVowels; p++) bits->set(p);
    for (char32_t p = kTailBase + 1; p < kTailBase + kTails; p++) bits->set(p);
  } else {
    for (const auto& m : kCanonical) bits->set(m.point);
    for (char32_t p = kHangulBase; p < kHangulBase + kSyllables; p++) bits->set(p);
  }
  if (compatible)
    for (const auto& m : kCompatible) bits->set(m.point);
  return bits;
}

const Sensitive& sensitive(Form form) {
  // Constants, computed at their first use.
  static const auto nfc = make_sensitive(true, false), nfd = make_sensitive(false, false),
                    nfkc = make_sensitive(true, true), nfkd = make_sensitive(false, true);
  return *(form == Form::kNfc ? nfc : form == Form::kNfd ? nfd : form == Form::kNfkc ? nfkc : nfkd);
}

}  // namespace

bool is_surely_normalized(std::string_view text, Form form) {
  size_t at = 0;
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) at++;
  if (at == text.size()) return true;
  const Sensitive& bits = sensitive(form);
  while (at < text.size()) {
    auto [point, next] = decode(text, at);
    if (point >= 0x80 && bits.test(point)) return false;
    at = next;
  }
  return true;
}

std::string normalize(std::string_view text, Form form) {
  if (is_surely_normalized(text, form)) return std::string(text);
  std::u32string points;
  points.reserve(text.size());
  bool compatible = form == Form::kNfkc || form == Form::kNfkd;
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = decode(text, at);
    decompose(points, point, compatible);
    at = next;
  }
  reorder(points);
  if (form == Form::kNfc || form == Form::kNfkc) recompose(points);
  return from_points(points);
}

}  // namespace rose::text::unicode
