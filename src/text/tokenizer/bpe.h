// Byte pair encoding: over bytes (GPT-2, Llama 3, Qwen) or over characters with byte fallback
// (SentencePiece).
#pragma once

#include <optional>
#include <string>

#include "text/tokenizer/bpe_merges.h"
#include "text/tokenizer/model.h"
#include "text/tokenizer/word_borders.h"

namespace rose::text {

struct BpeOptions {
  std::string unknown_token;   ///< empty: characters without a token are left out
  std::string subword_prefix;  ///< before every symbol of a word but the first
  std::string word_suffix;     ///< behind the last symbol of a word
  bool fuse_unknown = false;   ///< one unknown token for a run of unknown characters
  bool byte_fallback = false;  ///< "<0xE2>" tokens for a character without a token of its own
  bool ignore_merges = false;  ///< a pre-token that is a token is not split, whatever the merges say
  bool maps_bytes = false;     ///< pre-tokens are raw bytes, tokens are written in GPT-2's byte alphabet
};

class Bpe : public Model {
 public:
  Bpe(Vocabulary vocabulary, BpeMerges merges, BpeOptions options);

  std::unique_ptr<Scratch> make_scratch() const override;
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const override;

 private:
  struct State;
  void encode_word(std::string_view word, State& state, std::vector<TokenId>& ids) const;
  void merge_word(std::string_view word, State& state, std::vector<TokenId>& ids) const;
  void append_characters(std::string_view word, std::vector<TokenId>& ids) const;
  void index_bytes();
  void index_borders();

  BpeMerges merges_;
  BpeOptions options_;
  TokenId unknown_ = kNoToken;
  ByteTokens byte_tokens_;
  TokenId of_byte_[256];  ///< maps_bytes: the token of each byte
  WordBorders borders_;   ///< characters only: cuts whole texts into words
};

}  // namespace rose::text
