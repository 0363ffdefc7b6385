// WordPiece (BERT): the longest token first, again and again; and WordLevel, where a word is a token or
// unknown.
#pragma once

#include <string>

#include "text/tokenizer/model.h"
#include "text/tokenizer/trie.h"

namespace rose::text {

class WordPiece : public Model {
 public:
  WordPiece(Vocabulary vocabulary, std::string unknown_token, const std::string& subword_prefix,
            size_t max_characters);
  std::unique_ptr<Scratch> make_scratch() const override;
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const override;

 private:
  bool split(std::string_view piece, std::vector<TokenId>& ids) const;
  std::string unknown_token_;
  size_t max_characters_;
  Trie first_, rest_;  ///< tokens that begin a word; those that go on, without their prefix
  TokenId unknown_;
};

class WordLevel : public Model {
 public:
  WordLevel(Vocabulary vocabulary, std::string unknown_token);
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const override;

 private:
  std::string unknown_token_;
  TokenId unknown_;
};

}  // namespace rose::text
