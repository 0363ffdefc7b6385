// Tokens and their numbers in both directions: one string arena, flat arrays, open addressing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rose::text {

using TokenId = uint32_t;
inline constexpr TokenId kNoToken = 0xFFFFFFFF;

/// A 64-bit hash of a short byte string, good enough for open addressing.
uint64_t hash_bytes(std::string_view bytes);

class Vocabulary {
 public:
  /// Prepares for `tokens` tokens with `bytes` bytes in all.
  void reserve(size_t tokens, size_t bytes);

  /// Maps token -> id and id -> token. A token seen again keeps its latest id, an id its latest token.
  /// Throws TextError for ids beyond 2^24 and for more than 4 GiB of text.
  void add(std::string_view token, TokenId id);

  /// Sets id -> token only; find() will not see it.
  void set_text(TokenId id, std::string_view token);

  /// The id of a token, or kNoToken.
  TokenId find(std::string_view token) const;
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
  struct Slot {
    uint32_t tag = 0;  ///< upper half of the hash
    TokenId id = kNoToken;
    uint32_t begin = 0;
    uint32_t length = 0;
  };
  void grow(size_t slots);
  void check(std::string_view token, TokenId id) const;

  std::string arena_;
  std::vector<Span> spans_;
  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace rose::text
