// Normalisers: what happens to a text before it is cut into words.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/regex/regex.h"
#include "text/unicode/normalize.h"

namespace rose::text {

/// The most bytes that all steps of a tokenizer together may make of so many. Real ones stay below twelve
/// times (NFKD of U+FDFA); a hostile file could double a text with every step.
inline size_t growth_limit(size_t bytes) { return 64 * bytes + (size_t{1} << 20); }
/// Throws TextError when `bytes` are more than `limit`.
void check_growth(size_t bytes, size_t limit);

/// Immutable; used by any number of threads at once.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Changes the text (valid UTF-8 before and after) in place. Throws TextError when it grows beyond
  /// growth_limit.
  void apply(std::string& text) const { run(text, growth_limit(text.size())); }
  /// The same within the limit of the sequence that this is a part of.
  virtual void run(std::string& text, size_t limit) const = 0;
};

using NormalizerPtr = std::unique_ptr<const Normalizer>;

/// What Replace and Split look for: a literal string or a regular expression.
class Pattern {
 public:
  static Pattern literal(std::string text);
  static Pattern regex(std::string_view expression);

  /// Calls visit(begin, end) for the matches in text[from, to), which is searched as a text of its own;
  /// the offsets are those of `text`.
  template <typename Visit>
  void each_match(std::string_view text, size_t from, size_t to, Visit visit) const {
    std::string_view part = text.substr(from, to - from);
    if (regex_) {
      regex::Regex::Matches matches(*regex_, part);
      for (regex::Match match; matches.next(match);) visit(from + match.begin, from + match.end);
    } else {
      for (size_t at = 0; (at = part.find(literal_, at)) != std::string_view::npos; at += literal_.size())
        visit(from + at, from + at + literal_.size());
    }
  }

 private:
  std::string literal_;
  std::shared_ptr<const regex::Regex> regex_;
};

NormalizerPtr make_unicode_form(unicode::Form form);
NormalizerPtr make_lowercase();
NormalizerPtr make_strip(bool left, bool right);
NormalizerPtr make_strip_accents();
NormalizerPtr make_nmt();
NormalizerPtr make_byte_level_normalizer();
NormalizerPtr make_replace(Pattern pattern, std::string content);
NormalizerPtr make_prepend(std::string prefix);
NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> parts);

/// BERT's cleaning: control characters out, white space to ' ', spaces around CJK ideographs, accents off,
/// lower case.
struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};
NormalizerPtr make_bert_normalizer(BertNormalizerOptions options);

/// SentencePiece's compiled character map: uint32 size of a Darts double array, the array, then zero-ended
/// replacement strings (sentencepiece, normalizer.cc). Throws TextError for a map that is cut short.
NormalizerPtr make_precompiled(std::string_view charsmap);

}  // namespace rose::text
