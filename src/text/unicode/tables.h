// The Unicode data of this room: ranges and mappings generated from the library whose answers we must equal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rose::text::unicode {

/// An inclusive range of code points. Every table of ranges is sorted and free of overlaps.
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};

/// `length` code points of kMappingPool from `offset` replace `point`. Tables are sorted by `point`.
struct Mapping {
  uint32_t point;
  uint16_t offset;
  uint16_t length;
};

struct CombiningClass {
  uint32_t point;
  uint8_t value;
};

/// The canonical composition of two code points, sorted by (first, second).
struct Composition {
  uint32_t first;
  uint32_t second;
  uint32_t composed;
};

/// General categories in the order of the codes in kCategoryRuns.
inline constexpr const char* kCategoryNames[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                                 "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                                 "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

/// Runs of equal general category: first code point << 5 | category, up to the next run.
extern const std::span<const uint32_t> kCategoryRuns;

// Sets as the regular expressions of HF `tokenizers` (Oniguruma) see them.
extern const std::span<const CodePointRange> kRegexSpace, kRegexWord, kScriptHan, kScriptHiragana,
    kScriptKatakana, kScriptHangul, kScriptLatin, kScriptGreek, kScriptCyrillic, kScriptArabic, kScriptHebrew,
    kScriptDevanagari, kScriptThai, kScriptCommon, kScriptInherited;

// Sets as its built-in pre-tokenizers and normalisers see them.
extern const std::span<const CodePointRange> kSpace, kNumeric, kPunctuation, kWord, kBertRemoved,
    kNonSpacingMark, kCombiningMark;

// Full canonical and compatibility decompositions (without the Hangul syllables, which are computed; the
// compatibility table lists only what differs from the canonical one) and full case mappings.
extern const std::span<const Mapping> kCanonical, kCompatible, kLower, kUpper, kTitle;
extern const std::span<const char32_t> kMappingPool;
extern const std::span<const CombiningClass> kCombiningClasses;
extern const std::span<const Composition> kCompositions;

}  // namespace rose::text::unicode
