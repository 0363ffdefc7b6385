// Tokenizers: text to token ids and back, equal to HF `tokenizers` for the same tokenizer.json.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/error.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/model.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace rose::text {

struct EncodeOptions {
  bool add_special_tokens = true;    ///< what the post-processor adds: [CLS], <bos>
  bool parse_special_tokens = true;  ///< false: "<|im_end|>" written in the text is plain text
  std::optional<size_t> max_length;  ///< cut so that the result, special tokens included, is no longer
};

/// The parts that a tokenizer is made of. Null normalizer and pre_tokenizer do nothing.
struct TokenizerParts {
  NormalizerPtr normalizer;
  PreTokenizerPtr pre_tokenizer;
  std::unique_ptr<const Model> model;
  std::vector<AddedToken> added_tokens;
  PostProcessor post_processor;
  DecoderPtr decoder;          ///< null: tokens are joined by spaces
  bool decodes_bytes = false;  ///< the decoder is ByteLevel alone, so decoding is a join of bytes
};

/// Immutable after construction; any number of threads may use one at once. Text that is not valid UTF-8 has
/// each maximal wrong subpart replaced by U+FFFD first, as Python's bytes.decode("utf-8", "replace") does.
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();

  /// From the content of a tokenizer.json. Throws TextError that names the field for anything malformed.
  static std::unique_ptr<Tokenizer> from_json(std::string_view json);

  /// The ids of one text.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// Ids and segment numbers of one text, or of a pair (for cross-encoders; cut "longest first").
  Encoding encode_single(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_pair(std::string_view first, std::string_view second,
                       const EncodeOptions& options = {}) const;

  /// The text of the ids; ids without a token are left out.
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens = true) const;

  /// The bytes that a token adds to the text where that does not depend on its neighbours (byte-level
  /// models); nothing otherwise.
  std::optional<std::string> token_bytes(TokenId id) const;
  /// The token as the vocabulary writes it ("Ġthe", "▁the"); empty for ids without one.
  std::string_view id_to_token(TokenId id) const;
  std::optional<TokenId> token_to_id(std::string_view token) const;
  bool is_special(TokenId id) const { return added_.is_special(id); }
  /// One more than the largest id.
  size_t id_limit() const { return id_limit_; }
  /// Tokens that encode() adds to one text (or a pair) with add_special_tokens.
  size_t added_count(bool is_pair) const { return parts_.post_processor.added(is_pair); }
  const AddedTokens& added_tokens() const { return added_; }

 private:
  class Lease;
  void encode_plain(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& ids) const;
  void append_bytes(TokenId id, std::string& out) const;
  void encode_segment(std::string_view text, bool first, Scratch& scratch, std::vector<TokenId>& ids) const;

  TokenizerParts parts_;
  AddedTokens added_;
  size_t id_limit_ = 0;

  // Scratch spaces not in use. A pool, not thread-local storage, so that caches die with the tokenizer.
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace rose::text
