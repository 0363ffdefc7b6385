// The step of a tokenizer that turns one pre-token into token ids, and what every kind of model shares.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace rose::text {

/// Working memory and caches of one encoding thread at a time; models derive from it.
class Scratch {
 public:
  virtual ~Scratch() = default;
};

/// Immutable after construction; any number of threads may encode, each with its own Scratch.
class Model {
 public:
  virtual ~Model() = default;
  virtual std::unique_ptr<Scratch> make_scratch() const { return std::make_unique<Scratch>(); }

  /// Appends the ids of one pre-token (valid UTF-8, not empty). Throws TextError if the pre-token has no
  /// encoding and the model has no unknown token.
  virtual void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  Vocabulary vocabulary_;
};

/// The ids of "<0x00>" ... "<0xFF>" (kNoToken where the vocabulary lacks one).
struct ByteTokens {
  explicit ByteTokens(const Vocabulary& vocabulary);
  /// Appends one id a byte and returns true, or changes nothing and returns false if one is missing.
  bool append(std::string_view bytes, std::vector<TokenId>& ids) const;
  bool complete() const;
  TokenId of[256];
};

}  // namespace rose::text
