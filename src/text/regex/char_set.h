// Sets of code points for the regular expressions of pre-tokenizers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/unicode/tables.h"

namespace rose::text::regex {

/// A set of code points as sorted, disjoint, non-adjacent ranges.
class CharSet {
 public:
  CharSet() = default;
  explicit CharSet(std::span<const unicode::CodePointRange> ranges) : ranges_(ranges.begin(), ranges.end()) {}

  static CharSet one(char32_t point);
  static CharSet range(char32_t first, char32_t last);
  /// The set of a \p{NAME}: a general category ("L", "Lu"), or one of the scripts and properties that
  /// tables.h has. Throws TextError for a name that is not known.
  static CharSet property(std::string_view name);

  void add(const CharSet& other);
  void add(char32_t first, char32_t last) { add(range(first, last)); }
  CharSet negated() const;
  CharSet intersected(const CharSet& other) const;
  /// The set with every simple case variant of its members (K, k, U+212A).
  CharSet case_folded() const;

  bool contains(char32_t point) const { return !ranges_.empty() && find(point); }
  bool empty() const { return ranges_.empty(); }
  std::span<const unicode::CodePointRange> ranges() const { return ranges_; }
  bool operator==(const CharSet& other) const;

 private:
  bool find(char32_t point) const;
  std::vector<unicode::CodePointRange> ranges_;
};

}  // namespace rose::text::regex
