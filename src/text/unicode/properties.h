// What kind of character is this: the predicates and case mappings that normalisers and templates ask for.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/unicode/tables.h"

namespace rose::text::unicode {

/// Whether a sorted table of ranges holds the code point (binary search).
bool contains(std::span<const CodePointRange> ranges, char32_t point);

/// General category as an index into kCategoryNames.
int category(char32_t point);

// The predicates of HF's built-in pre-tokenizers and normalisers.
bool is_space(char32_t point);        ///< White_Space
bool is_numeric(char32_t point);      ///< Nd, Nl, No
bool is_punctuation(char32_t point);  ///< ASCII punctuation or P*
bool is_word(char32_t point);         ///< \w of the Rust regex crate

/// The replacement of a code point in a mapping table, or an empty view if it has none.
std::u32string_view mapped(std::span<const Mapping> table, char32_t point);

/// Full case mapping, each code point by itself (no final-sigma rule, as HF's Lowercase normaliser does it).
std::string lowercase(std::string_view text);
std::string uppercase(std::string_view text);

}  // namespace rose::text::unicode
