// A deterministic automaton with Perl's leftmost-first meaning: the fast way to run a pre-tokenizer pattern.
#pragma once

#include <memory>
#include <string_view>

#include "text/regex/program.h"

namespace rose::text::regex {

inline constexpr size_t kNoMatch = static_cast<size_t>(-1);

/// Complete transition tables, built once and immutable, so any number of threads may match with them.
///
/// A state is the ordered list of program places that may still match, best first. A transition is decided by
/// the class of the *next* code point: with it known, look-ahead assertions of one code point resolve, so a
/// match is noticed one code point late ("the match ended before this one"). The text's end is one more
/// class.
class Automaton {
 public:
  /// Returns nothing if the program is not simple or needs more than a few thousand states.
  static std::unique_ptr<Automaton> build(const Program& program);

  /// End of the match that begins at `at` of valid UTF-8, or kNoMatch. `steps` grows by the code points read.
  size_t match(std::string_view text, size_t at, size_t& steps) const;

 private:
  explicit Automaton(const Program& program) : alphabet_(program.sets) {}
  bool fill(const Program& program);

  static constexpr uint32_t kAccept = 1u << 31;
  static constexpr uint32_t kDead = 0;

  Alphabet alphabet_;
  size_t columns_ = 0;            ///< classes, then the end of the text
  std::vector<uint32_t> next_;    ///< [states, columns]: the next state, with kAccept if a match ends here
  std::vector<uint32_t> starts_;  ///< start state after each class, then at the text's beginning
  bool looks_behind_ = false;
};

}  // namespace rose::text::regex
