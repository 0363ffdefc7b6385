// SentencePiece's byte pair encoding as GGUF files store it: no merge rules, a score for every token.
#pragma once

#include <vector>

#include "text/tokenizer/model.h"
#include "text/tokenizer/word_borders.h"

namespace rose::text {

/// Merges the two neighbours whose joined text is the token with the highest score, leftmost among equals,
/// until no two neighbours join (sentencepiece, bpe_model.cc). What is no token in the end becomes byte
/// tokens.
class SentencePieceBpe : public Model {
 public:
  /// `mergeable[id]`: whether text may become this token; `scores` by id. Both as long as the vocabulary's
  /// ids.
  SentencePieceBpe(Vocabulary vocabulary, std::vector<bool> mergeable, std::vector<float> scores,
                   TokenId unknown);

  std::unique_ptr<Scratch> make_scratch() const override;
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const override;

 private:
  struct State;
  TokenId find(std::string_view text) const;
  void merge_word(std::string_view word, State& state, std::vector<TokenId>& ids) const;

  std::vector<bool> mergeable_;
  std::vector<float> scores_;
  TokenId unknown_;
  ByteTokens byte_tokens_;
  WordBorders borders_;
};

}  // namespace rose::text
