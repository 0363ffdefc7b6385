// The general way to run a pattern, for look-ahead of more than one character and atomic groups.
#pragma once

#include <string_view>
#include <vector>

#include "text/regex/program.h"

namespace rose::text::regex {

/// Searches one text. Remembers every (place, offset) that failed, so a search is bounded by
/// program length times text length, whatever the pattern is.
class Backtracker {
 public:
  /// Throws TextError if program and text are so large that the memory would be unreasonable.
  Backtracker(const Program& program, std::string_view text);

  /// End of the match that begins at `at`, or kNoMatch. Throws TextError after `step_limit` steps in all.
  size_t match(size_t at, size_t& steps, size_t step_limit);

 private:
  size_t run(uint32_t place, size_t at, int depth);
  bool mark(uint32_t place, size_t at);

  const Program& program_;
  std::string_view text_;
  std::vector<bool> visited_;
  std::vector<size_t> touched_;
  size_t* steps_ = nullptr;
  size_t step_limit_ = 0;
};

}  // namespace rose::text::regex
