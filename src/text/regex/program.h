// A pattern as a small program (Thompson's construction) over classes of code points.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "text/regex/syntax.h"

namespace rose::text::regex {

/// Divides all code points into classes that no set of the program tells apart, numbered from 0.
class Alphabet {
 public:
  explicit Alphabet(const std::vector<CharSet>& sets);

  uint16_t class_of(char32_t point) const {
    return point < 128 ? ascii_[point] : pages_[page_of_[point >> 8] << 8 | (point & 255)];
  }
  uint16_t ascii(unsigned char byte) const { return ascii_[byte]; }
  size_t size() const { return members_.size(); }
  /// Whether class `c` lies in set number `set`.
  bool in_set(uint16_t c, size_t set) const { return members_[c][set]; }

 private:
  std::array<uint16_t, 128> ascii_;
  std::vector<uint16_t> page_of_;
  std::vector<uint16_t> pages_;
  std::vector<std::vector<bool>> members_;
};

struct Instruction {
  enum class Op : uint8_t {
    kMatch,
    kSet,        ///< consume a code point of set `a`, go on behind this instruction
    kSplit,      ///< try `a` first, then `b`
    kJump,       ///< go to `a`
    kNeighbour,  ///< pass if the neighbour is in set `a`, or is the text's edge and `edge`
    kLook,       ///< pass if the program at `a` (up to its kMatch) matches here, or does not; go on at `b`
    kAtomic,     ///< run the program at `a`, keep its first match only, go on at `b`
  };
  Op op;
  bool behind = false;
  bool edge = false;
  bool negated = false;
  uint32_t a = 0;
  uint32_t b = 0;
};

struct Program {
  std::vector<Instruction> code;
  std::vector<CharSet> sets;
  bool looks_behind = false;  ///< asks for the code point before some place
  bool simple = true;         ///< free of kLook and kAtomic: a finite automaton can run it
};

/// Throws TextError if the program would be too large.
Program compile(const Node& pattern);

}  // namespace rose::text::regex
