// Where a text can be cut without changing its byte pair encoding.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/unicode/utf8.h"

namespace rose::text {

/// SentencePiece models get a whole text as one pre-token. Two neighbouring characters that stand side by
/// side in no token can never end up in one token, so the text may be cut between them and the parts treated
/// as words of their own: same ids, but now short and often seen before. The pairs that do stand side by side
/// somewhere are kept as hashed bits; a false hit only means one cut less.
class WordBorders {
 public:
  /// Until a token is added, nothing is cut.
  bool empty() const { return joins_.empty(); }
  void add(std::string_view token);

  /// Calls visit(word) for the words of a text, in order.
  template <typename Visit>
  void each_word(std::string_view text, Visit visit) const {
    if (empty() || text.empty()) return visit(text);
    size_t begin = 0;
    auto [left, at] = unicode::decode(text, 0);
    while (at < text.size()) {
      auto [right, next] = unicode::decode(text, at);
      if (!may_join(left, right)) {
        visit(text.substr(begin, at - begin));
        begin = at;
      }
      left = right, at = next;
    }
    visit(text.substr(begin));
  }

 private:
  static constexpr int kBits = 22;
  static uint64_t place(char32_t left, char32_t right) {
    return (static_cast<uint64_t>(left) << 32 | right) * 0x9E3779B97F4A7C15 >> (64 - kBits);
  }
  bool may_join(char32_t left, char32_t right) const {
    uint64_t bit = place(left, right);
    return joins_[bit >> 6] >> (bit & 63) & 1;
  }
  std::vector<uint64_t> joins_;
};

inline void WordBorders::add(std::string_view token) {
  if (joins_.empty()) joins_.resize(size_t{1} << (kBits - 6));
  if (token.empty()) return;
  auto [left, at] = unicode::decode(token, 0);
  while (at < token.size()) {
    auto [right, next] = unicode::decode(token, at);
    uint64_t bit = place(left, right);
    joins_[bit >> 6] |= uint64_t{1} << (bit & 63);
    left = right, at = next;
  }
}

}  // namespace rose::text
