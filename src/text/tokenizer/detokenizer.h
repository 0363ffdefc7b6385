// Text from tokens one by one, for streaming: never half a character.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace rose::text {

/// Feeds on the tokens of one answer. What push() returns, put together with what finish() returns, is what
/// Tokenizer::decode gives for all tokens at once (except where a run of byte-fallback tokens turns out to be
/// invalid only after a valid part of it has been handed out). Needs the tokenizer to live as long.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens = true)
      : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

  /// The text that this token completes: whole characters, possibly none.
  std::string push(TokenId id);
  /// What is left: bytes that no later token completed become U+FFFD.
  std::string finish();

 private:
  std::string push_bytes(std::string_view bytes);

  const Tokenizer& tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;          ///< byte-level: the beginning of a character
  std::vector<TokenId> window_;  ///< otherwise: the tokens that decoding the next ones depends on
  size_t shown_ = 0;             ///< how many of the window have been handed out
};

}  // namespace rose::text
