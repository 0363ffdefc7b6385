// Decoders: from the written form of tokens back to text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer/normalizer.h"

namespace rose::text {

/// Immutable. A decoder rewrites the list of tokens; the text is their concatenation.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Throws TextError when the text grows beyond growth_limit.
  void apply(std::vector<std::string>& tokens) const;
  /// The same within the limit (bytes of all tokens) of the sequence that this is a part of.
  virtual void run(std::vector<std::string>& tokens, size_t limit) const = 0;
};

using DecoderPtr = std::unique_ptr<const Decoder>;

DecoderPtr make_byte_level_decoder();
DecoderPtr make_byte_fallback_decoder();
DecoderPtr make_fuse_decoder();
/// Drops up to `start` and `stop` copies of `content` from the ends of each token.
DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop);
DecoderPtr make_replace_decoder(Pattern pattern, std::string content);
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup);
DecoderPtr make_metaspace_decoder(char32_t replacement, bool drops_first);
DecoderPtr make_bpe_decoder(std::string suffix);
DecoderPtr make_ctc_decoder(std::string pad, std::string delimiter, bool cleanup);
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts);
/// Without a decoder in the file the tokens are joined by spaces.
DecoderPtr make_space_joining_decoder();

/// Undoes the spaces that splitting English at punctuation leaves ("do n't ." -> "don't."), as HF does when
/// clean_up_tokenization_spaces is set.
std::string clean_up_spaces(std::string text);

}  // namespace rose::text
