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

  /// A rule; its rank is its place in the list.
  struct Merge {
    TokenId left, right, merged;
  };

  BpeMerges() = default;
  /// Of merges of one pair the last counts.
  explicit BpeMerges(LargeVector<Merge> merges);

  Rule find(TokenId left, TokenId right) const {
    if (slots_.empty()) return kNone;
    uint64_t hash = hash_of(left, right);
    auto tag = static_cast<uint32_t>(hash);
    for (size_t at = place(hash); slots_[at].next_rank != 0; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].tag != tag) continue;
      uint32_t rank = slots_[at].next_rank - 1;
      const Merge& merge = merges_[rank];
      if (merge.left == left && merge.right == right) return {rank, merge.merged};
    }
    return kNone;
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
  /// Eight bytes, so that the table of half a million merges is small; most pairs have no rule, and the tag
  /// says so.
  struct Slot {
    uint32_t tag;
    uint32_t next_rank;  ///< one more than the rank; 0: free
  };
  static uint64_t hash_of(TokenId left, TokenId right) {
    __uint128_t product = (static_cast<__uint128_t>(left) << 32 | right) * 0x9E3779B97F4A7C15;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  size_t place(uint64_t hash) const { return hash >> shift_; }
  size_t apply_short(TokenId* ids, size_t count, Workspace& work) const;
  size_t apply_long(TokenId* ids, size_t count, Workspace& work) const;

  LargeVector<Merge> merges_;
  ZeroTable<Slot> slots_;
  int shift_ = 64;
};

}  // namespace rose::text
