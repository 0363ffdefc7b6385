// Tokens that are found in a text before anything else happens to it: <|im_start|>, [CLS], <think>.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/trie.h"
#include "text/tokenizer/vocabulary.h"

namespace rose::text {

struct AddedToken {
  TokenId id = kNoToken;
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< swallows white space on its left
  bool rstrip = false;
  bool normalized = true;  ///< looked for in the normalised text, in its normalised form
  bool special = false;    ///< left out when decoding without special tokens
};

/// A part of a text: a token found there, or text without one (id == kNoToken).
struct Segment {
  size_t begin;
  size_t end;
  TokenId id;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer);
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;

  /// Cuts the raw text (`in_normalized` false) or a normalised one. With `with_special` false, special tokens
  /// written in the text are text. Appends to `out`; covers the text without a gap.
  void split(std::string_view text, bool in_normalized, bool with_special, std::vector<Segment>& out) const;

  const std::vector<AddedToken>& all() const { return tokens_; }
  /// The added token with this id, or null.
  const AddedToken* find(TokenId id) const;
  TokenId find(std::string_view content) const {
    TokenId index = by_content_.find(content);
    return index == kNoToken ? kNoToken : tokens_[index].id;
  }
  bool is_special(TokenId id) const;
  /// What a decoder gets to see for the token: its normalised form.
  const std::string& normalized_form(const AddedToken& token) const;

 private:
  std::vector<AddedToken> tokens_;
  std::vector<std::string> normalized_;  ///< per token
  std::vector<uint32_t> index_of_;       ///< per id - base_, one more than the index in tokens_; 0: none
  TokenId base_ = 0;                     ///< smallest id
  Vocabulary by_content_;                ///< content -> index in tokens_
  Trie raw_;
  Trie normal_;
};

}  // namespace rose::text
