// Remembers the ids of words seen before: text repeats itself, and merging is the costly part of encoding.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace rose::text {

/// Bounded: when it is full it forgets everything and starts anew. Not for use by two threads at once.
class WordCache {
 public:
  static constexpr size_t kMaxWord = 256;

  /// Appends the remembered ids and returns true, or returns false.
  bool find(std::string_view word, uint64_t hash, std::vector<TokenId>& ids) const {
    if (slots_.empty()) return false;
    for (size_t at = hash & kMask;; at = (at + 1) & kMask) {
      const Slot& slot = slots_[at];
      if (slot.length == 0) return false;
      if (slot.hash == hash && std::string_view(words_).substr(slot.begin, slot.length) == word) {
        ids.insert(ids.end(), ids_.begin() + slot.first, ids_.begin() + slot.first + slot.count);
        return true;
      }
    }
  }

  void remember(std::string_view word, uint64_t hash, const TokenId* ids, size_t count) {
    if (word.empty() || word.size() > kMaxWord) return;
    if (used_ * 2 >= kSlots || slots_.empty()) {
      slots_.assign(kSlots, Slot());
      words_.clear();
      ids_.clear();
      used_ = 0;
    }
    size_t at = hash & kMask;
    while (slots_[at].length != 0) at = (at + 1) & kMask;
    slots_[at] = {hash, static_cast<uint32_t>(words_.size()), static_cast<uint32_t>(ids_.size()),
                  static_cast<uint32_t>(word.size()), static_cast<uint32_t>(count)};
    words_.append(word);
    ids_.insert(ids_.end(), ids, ids + count);
    used_++;
  }

 private:
  static constexpr size_t kSlots = 1 << 16, kMask = kSlots - 1;
  struct Slot {
    uint64_t hash = 0;
    uint32_t begin = 0;
    uint32_t first = 0;
    uint32_t length = 0;
    uint32_t count = 0;
  };
  std::vector<Slot> slots_;
  std::string words_;
  std::vector<TokenId> ids_;
  size_t used_ = 0;
};

}  // namespace rose::text
