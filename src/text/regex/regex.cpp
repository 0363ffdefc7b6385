#include "text/regex/regex.h"

#include "text/error.h"
#include "text/regex/backtracker.h"
#include "text/unicode/utf8.h"

namespace rose::text::regex {

Regex::Regex(std::string_view pattern)
    : pattern_(pattern), program_(compile(parse(pattern))), automaton_(Automaton::build(program_)) {}

// Patterns of real tokenizers read each code point two or three times. A pattern that reads far ahead and
// then gives up everywhere would be quadratic; the limit turns that into an error instead of a hang.
Regex::Matches::Matches(const Regex& regex, std::string_view text)
    : regex_(regex), text_(text), step_limit_(5'000'000 + 200 * text.size()) {
  if (!regex.automaton_) backtracker_ = std::make_unique<Backtracker>(regex.program_, text);
}

Regex::Matches::~Matches() = default;

size_t Regex::Matches::match_at(size_t at) {
  if (backtracker_) return backtracker_->match(at, steps_, step_limit_);
  size_t end = regex_.automaton_->match(text_, at, steps_);
  if (steps_ > step_limit_)
    throw TextError(
        "regular expression: matching takes too many steps on this text; the pattern is not linear: " +
        regex_.pattern_.substr(0, 200));
  return end;
}

bool Regex::Matches::next(Match& match) {
  while (at_ <= text_.size()) {
    size_t end = match_at(at_);
    size_t begin = at_;
    if (end != kNoMatch && end > begin) {
      match = {begin, end};
      at_ = last_end_ = end;
      return true;
    }
    bool empty_match = end == begin && last_end_ != begin;
    at_ = begin < text_.size() ? begin + unicode::sequence_length(text_[begin]) : begin + 1;
    if (empty_match) {
      match = {begin, begin};
      last_end_ = begin;
      return true;
    }
  }
  return false;
}

std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (std::string_view(R"(\^$.|?*+()[]{}-&~#)").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

}  // namespace rose::text::regex
