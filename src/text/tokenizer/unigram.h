// Unigram language model (SentencePiece): the segmentation of a text with the highest sum of scores.
#pragma once

#include "text/tokenizer/model.h"
#include "text/tokenizer/trie.h"

namespace rose::text {

class Unigram : public Model {
 public:
  /// `scores[id]` is the log-probability of token id; `unknown` may be kNoToken.
  /// Throws TextError if the counts disagree.
  Unigram(Vocabulary vocabulary, std::vector<double> scores, TokenId unknown, bool byte_fallback);

  std::unique_ptr<Scratch> make_scratch() const override;
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const override;

 private:
  std::vector<double> scores_;
  double unknown_score_;
  TokenId unknown_;
  bool byte_fallback_;
  ByteTokens byte_tokens_;
  Trie trie_;
};

}  // namespace rose::text
