#include "text/regex/backtracker.h"

#include "text/error.h"
#include "text/regex/automaton.h"
#include "text/unicode/utf8.h"

namespace rose::text::regex {

Backtracker::Backtracker(const Program& program, std::string_view text) : program_(program), text_(text) {
  constexpr size_t kMaxBits = size_t{1} << 33;
  if (text.size() + 1 > kMaxBits / program.code.size())
    throw TextError("regular expression: the text is too long for a pattern with look-ahead groups");
  visited_.resize(program.code.size() * (text.size() + 1));
}

bool Backtracker::mark(uint32_t place, size_t at) {
  size_t bit = at * program_.code.size() + place;
  if (visited_[bit]) return false;
  visited_[bit] = true;
  touched_.push_back(bit);
  return true;
}

size_t Backtracker::match(size_t at, size_t& steps, size_t step_limit) {
  steps_ = &steps;
  step_limit_ = step_limit;
  size_t end = run(0, at, 0);
  for (size_t bit : touched_) visited_[bit] = false;
  touched_.clear();
  return end;
}

// Depth-first search in order of preference. A visited (place, offset) has failed already or is being tried
// by someone with preference; either way a second try cannot lead to a better match.
size_t Backtracker::run(uint32_t first, size_t start, int depth) {
  if (depth > 100) throw TextError("regular expression: look-ahead groups are nested too deeply");
  struct Job {
    uint32_t place;
    size_t at;
  };
  std::vector<Job> jobs{{first, start}};
  while (!jobs.empty()) {
    auto [place, at] = jobs.back();
    jobs.pop_back();
    while (mark(place, at)) {
      if (++*steps_ > step_limit_)
        throw TextError(
            "regular expression: matching takes too many steps on this text; the pattern is not linear");
      const Instruction& code = program_.code[place];
      if (code.op == Instruction::Op::kMatch) return at;
      if (code.op == Instruction::Op::kSplit) {
        jobs.push_back({code.b, at});
        place = code.a;
      } else if (code.op == Instruction::Op::kJump) {
        place = code.a;
      } else if (code.op == Instruction::Op::kSet) {
        if (at >= text_.size()) break;
        auto [point, next] = unicode::decode(text_, at);
        if (!program_.sets[code.a].contains(point)) break;
        place++, at = next;
      } else if (code.op == Instruction::Op::kNeighbour) {
        bool edge = code.behind ? at == 0 : at >= text_.size();
        bool passes = code.edge;
        if (!edge) {
          size_t neighbour = code.behind ? unicode::previous(text_, at) : at;
          passes = program_.sets[code.a].contains(unicode::decode(text_, neighbour).point);
        }
        if (!passes) break;
        place++;
      } else {  // kLook, kAtomic: a search of its own, with a fresh memory of what failed
        auto outer_visited = std::move(touched_);
        touched_.clear();
        size_t end = run(code.a, at, depth + 1);
        for (size_t bit : touched_) visited_[bit] = false;
        touched_ = std::move(outer_visited);
        if (code.op == Instruction::Op::kLook) {
          if ((end == kNoMatch) != code.negated) break;
        } else {
          if (end == kNoMatch) break;
          at = end;
        }
        place = code.b;
      }
    }
  }
  return kNoMatch;
}

}  // namespace rose::text::regex
