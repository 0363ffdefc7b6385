// Pre-tokenizers: cut a normalised text into the pieces that the model encodes one by one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer/normalizer.h"

namespace rose::text {

/// A text and its cut: pieces are ranges of `text`, in order, never empty, and may leave parts out.
struct Pieces {
  struct Piece {
    size_t begin;
    size_t end;
    bool first;  ///< begins where the whole input began (Metaspace's "first" scheme asks)
  };
  std::string text;
  std::vector<Piece> pieces;
  size_t limit = growth_limit(text.size());  ///< most bytes of `text`; see there
};

/// Immutable; used by any number of threads at once.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Throws TextError when the text grows beyond its limit, or a pattern takes too long.
  virtual void apply(Pieces& pieces) const = 0;
};

using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

/// What becomes of the matches of a Split.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
enum class PrependScheme { kNever, kFirst, kAlways };

PreTokenizerPtr make_split(Pattern pattern, SplitBehavior behavior, bool invert);
/// GPT-2's: an optional space in front, an optional cut by GPT-2's expression; writes the pieces in the byte
/// alphabet unless the model takes raw bytes.
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex, bool raw_bytes);
PreTokenizerPtr make_metaspace(char32_t replacement, PrependScheme scheme, bool split);
PreTokenizerPtr make_whitespace();
PreTokenizerPtr make_whitespace_split();
PreTokenizerPtr make_bert_pre_tokenizer();
PreTokenizerPtr make_punctuation(SplitBehavior behavior);
PreTokenizerPtr make_digits(bool individual);
PreTokenizerPtr make_char_delimiter(char32_t delimiter);
PreTokenizerPtr make_fixed_length(size_t length);
PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> parts);

}  // namespace rose::text
