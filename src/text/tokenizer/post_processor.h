// Special tokens around the encoded sequences: [CLS] A [SEP] B [SEP], <|begin_of_text|> A.
#pragma once

#include <cstdint>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace rose::text {

/// The result of encoding: one entry a token in both.
struct Encoding {
  std::vector<TokenId> ids;
  std::vector<uint32_t> type_ids;  ///< BERT's segment numbers
};

/// What follows what for one sequence and for two. The default adds nothing.
class PostProcessor {
 public:
  struct Item {
    enum class Kind { kFirst, kSecond, kTokens };
    Kind kind;
    uint32_t type_id;
    std::vector<TokenId> tokens;  ///< of kTokens
  };
  PostProcessor();
  PostProcessor(std::vector<Item> single, std::vector<Item> pair)
      : single_(std::move(single)), pair_(std::move(pair)) {}

  /// Number of tokens that it adds.
  size_t added(bool is_pair) const;
  /// `second` is null for a single sequence.
  Encoding apply(const std::vector<TokenId>& first, const std::vector<TokenId>* second,
                 bool add_special_tokens) const;

 private:
  std::vector<Item> single_;
  std::vector<Item> pair_;
};

}  // namespace rose::text
