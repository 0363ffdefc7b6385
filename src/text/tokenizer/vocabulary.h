// Tokens and their numbers in both directions: one string arena, flat arrays, open addressing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/large_pages.h"
#include "text/tokenizer/short_text.h"

namespace rose::text {

using TokenId = uint32_t;
inline constexpr TokenId kNoToken = 0xFFFFFFFF;

class Vocabulary {
 public:
  /// Collects the tokens of a whole vocabulary and indexes all of them at once, which is several times faster
  /// than one by one: the table is larger than the processor's caches, and its lines are fetched ahead.
  class Builder {
   public:
    /// Prepares for `tokens` tokens with about `bytes` bytes in all.
    void reserve(size_t tokens, size_t bytes);
    /// As Vocabulary::add(). `readable`: as for TextKey::of.
    void add(std::string_view token, TokenId id, size_t readable = 0);
    /// Whether every token so far is valid UTF-8: for all at once much faster than for each.
    bool is_valid_utf8() const;
    /// Leaves the builder empty.
    Vocabulary build();

   private:
    struct Entry {
      uint32_t begin, length;
      TokenId id;
    };
    std::string arena_;
    LargeVector<Entry> entries_;
    size_t id_limit_ = 0;
  };

  /// Maps token -> id and id -> token. A token seen again keeps its latest id, an id its latest token.
  /// Throws TextError for ids beyond 2^24 and for more than 4 GiB of text.
  void add(std::string_view token, TokenId id);

  /// The id of a token, or kNoToken.
  TokenId find(std::string_view token) const { return find(token, TextKey::of(token)); }
  /// The same with the token's key known. prefetch(), some time before, takes most of the waiting from it.
  TokenId find(std::string_view token, const TextKey& key) const {
    if (slots_.empty()) return kNoToken;
    const size_t mask = slots_.size() - 1;
    for (size_t at = key.hash & mask; slots_[at].kind != kFree; at = (at + 1) & mask)
      if (holds(slots_[at], token, key)) return slots_[at].id;
    return kNoToken;
  }
  // Always inline: GCC 12 takes a function that only prefetches for one without effect and drops its calls.
  [[gnu::always_inline]] void prefetch(const TextKey& key) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[key.hash & (slots_.size() - 1)]);
  }

  /// The token of an id; empty if the id has none (see has()).
  std::string_view token(TokenId id) const {
    return id < spans_.size() ? std::string_view(arena_.data() + spans_[id].begin, spans_[id].length)
                              : std::string_view();
  }
  /// How many bytes may be read from the beginning of a token's text: for TextKey::of.
  size_t readable(std::string_view token) const {
    return static_cast<size_t>(arena_.data() + arena_.size() - token.data());
  }
  bool has(TokenId id) const { return id < spans_.size() && spans_[id].present; }

  /// Number of different tokens.
  size_t size() const { return count_; }
  /// One more than the largest id.
  size_t id_limit() const { return spans_.size(); }

 private:
  struct Span {
    uint32_t begin = 0;
    uint32_t length : 31 = 0;
    uint32_t present : 1 = 0;
  };
  /// The key of a token, which holds the text of most, so that finding one touches one cache line. Of a long
  /// token `tail` is where it begins in the arena.
  struct Slot {
    uint64_t head;
    uint32_t tail;
    uint32_t kind : 8;
    uint32_t id : 24;
  };
  static constexpr uint8_t kFree = 0;

  bool holds(const Slot& slot, std::string_view token, const TextKey& key) const {
    if (slot.head != key.head || slot.kind != key.kind) return false;
    return key.is_long() ? same_bytes(arena_.data() + slot.tail, token.data(), token.size())
                         : slot.tail == key.tail;
  }
  void insert(uint32_t begin, uint32_t length, TokenId id, const TextKey& key);
  void grow(size_t slots);

  std::string arena_;
  LargeVector<Span> spans_;
  ZeroTable<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace rose::text
