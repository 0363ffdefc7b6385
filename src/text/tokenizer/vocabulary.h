// Tokens and their numbers in both directions: one string arena, flat arrays, open addressing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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
    /// As Vocabulary::add().
    void add(std::string_view token, TokenId id);
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
    std::vector<Entry> entries_;
    size_t id_limit_ = 0;
  };

  /// Maps token -> id and id -> token. A token seen again keeps its latest id, an id its latest token.
  /// Throws TextError for ids beyond 2^24 and for more than 4 GiB of text.
  void add(std::string_view token, TokenId id);

  /// The id of a token, or kNoToken.
  TokenId find(std::string_view token) const { return find(token, hash_bytes(token)); }
  /// The same with hash_bytes(token) known. prefetch(hash), some time before, takes most of the waiting from
  /// it.
  TokenId find(std::string_view token, uint64_t hash) const;
  void prefetch(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }

  /// The token of an id; empty if the id has none (see has()).
  std::string_view token(TokenId id) const {
    return id < spans_.size() ? std::string_view(arena_.data() + spans_[id].begin, spans_[id].length)
                              : std::string_view();
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
  /// A token of up to twelve bytes lies in its slot, so that finding it touches one cache line. Of a longer
  /// one `head` is half of its hash and its length, `tail` where it begins in the arena.
  struct Slot {
    uint64_t head = 0;
    uint32_t tail = 0;
    uint32_t kind : 8 = kFree;  ///< length of a short token plus one
    uint32_t id : 24 = 0;
  };
  static constexpr uint32_t kFree = 0, kLong = 0xFF;
  static constexpr size_t kInSlot = 12;

  /// The slot of a token, but for its id and a long token's place.
  static Slot slot_of(std::string_view token, uint64_t hash);
  bool holds(const Slot& slot, const Slot& wanted, std::string_view token) const;
  void insert(uint32_t begin, uint32_t length, TokenId id, uint64_t hash);
  void grow(size_t slots);

  std::string arena_;
  std::vector<Span> spans_;
  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace rose::text
