// The syntax of pre-tokenizer patterns: Oniguruma's, as far as it describes linear-time matching.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/regex/char_set.h"

namespace rose::text::regex {

/// One node of a parsed pattern.
struct Node {
  enum class Kind {
    kEmpty,
    kSet,        ///< one code point of `set`
    kConcat,     ///< `children` in order
    kAlternate,  ///< the first of `children` that leads to a match
    kRepeat,     ///< children[0], `min` to `max` times
    kAtomic,     ///< children[0], taken as it matches first
    kLook,       ///< children[0] matches (or not, if `negated`) after (or before, if `behind`) this place
    kNeighbour,  ///< the code point after (before) this place is in `set`; the text's edge counts as `edge`
  };
  Kind kind = Kind::kEmpty;
  CharSet set;
  std::vector<Node> children;
  int min = 0;
  int max = -1;  ///< -1: no limit
  bool greedy = true;
  bool negated = false;
  bool behind = false;
  bool edge = false;
};

/// Parses a pattern. Throws TextError that shows the pattern and the place for syntax errors and for what has
/// no linear-time meaning here (back references, recursion, \G, \K, \X).
Node parse(std::string_view pattern);

}  // namespace rose::text::regex
