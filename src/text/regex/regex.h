// Regular expressions of tokenizers: Oniguruma's syntax and meaning, without its exponential time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/regex/automaton.h"
#include "text/regex/program.h"

namespace rose::text::regex {

struct Match {
  size_t begin;
  size_t end;
};

/// An immutable compiled pattern; any number of threads may search with it at once.
class Regex {
 public:
  /// Throws TextError for a pattern that is wrong, too large or not supported.
  explicit Regex(std::string_view pattern);

  /// Walks over the non-overlapping matches in `text` (valid UTF-8), leftmost first; empty matches right
  /// after another match are skipped. Lives no longer than the Regex and the text.
  class Matches {
   public:
    Matches(const Regex& regex, std::string_view text);
    ~Matches();
    /// Returns false at the end. Throws TextError if the pattern needs quadratic time on this text.
    bool next(Match& match);

   private:
    size_t match_at(size_t at);

    const Regex& regex_;
    std::string_view text_;
    std::unique_ptr<class Backtracker> backtracker_;
    size_t at_ = 0;
    size_t last_end_ = kNoMatch;
    size_t steps_ = 0;
    size_t step_limit_;
  };

  const std::string& pattern() const { return pattern_; }
  /// Whether the fast automaton runs the pattern.
  bool is_automaton() const { return automaton_ != nullptr; }

 private:
  std::string pattern_;
  Program program_;
  std::unique_ptr<const Automaton> automaton_;
};

/// The pattern that matches `text` literally.
std::string escape(std::string_view text);

}  // namespace rose::text::regex
