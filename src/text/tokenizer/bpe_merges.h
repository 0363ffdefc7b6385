// The merge rules of byte pair encoding, and applying them to a word.
#pragma once

#include <cstdint>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace rose::text {

/// The rules (left, right) -> merged, ordered by rank: the lowest rank merges first, the leftmost among
/// equals.
class BpeMerges {
 public:
  struct Rule {
    uint32_t rank;
    TokenId merged;
  };
  static constexpr Rule kNone{0xFFFFFFFF, kNoToken};

  /// A pair with its rule.
  struct PairRule {
    TokenId left, right;
    Rule rule;
  };

  BpeMerges() = default;
  explicit BpeMerges(const std::vector<PairRule>& rules);

  void reserve(size_t rules);
  /// A pair given again takes the new rule.
  void add(TokenId left, TokenId right, Rule rule);
  Rule find(TokenId left, TokenId right) const {
    if (slots_.empty()) return kNone;
    uint64_t key = static_cast<uint64_t>(left) << 32 | right;
    for (size_t at = place(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == key) return slots_[at].rule;
      if (slots_[at].key == kEmpty) return kNone;
    }
  }

  /// Buffers that apply() reuses from word to word.
  struct Workspace {
    struct Candidate {
      uint32_t rank;
      uint32_t position;
      TokenId left, right, merged;
    };
    std::vector<Rule> pairs;
    std::vector<Candidate> heap;
    std::vector<uint32_t> previous, next;
  };
  /// Replaces the symbols ids[from..] by what remains when no rule applies any more.
  /// Time n log n in the number of symbols (quadratic, but faster, for short words).
  void apply(std::vector<TokenId>& ids, size_t from, Workspace& work) const;

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty;
    Rule rule = kNone;
  };
  size_t place(uint64_t key) const { return (key * 0x9E3779B97F4A7C15) >> shift_; }
  void grow(size_t slots);
  size_t apply_short(TokenId* ids, size_t count, Workspace& work) const;
  size_t apply_long(TokenId* ids, size_t count, Workspace& work) const;

  std::vector<Slot> slots_;
  int shift_ = 64;
  size_t count_ = 0;
};

}  // namespace rose::text
