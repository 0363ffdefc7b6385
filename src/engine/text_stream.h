// Text of an answer while its tokens come: never half a character, never the beginning of a stop string.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer/detokenizer.h"

namespace rose::engine {

class TextStream {
 public:
  /// The tokenizer must outlive the stream. Special tokens write no text.
  TextStream(const text::Tokenizer& tokenizer, std::vector<std::string> stop_strings);

  /// Takes one token and returns the text that has become certain. Once stopped() nothing follows.
  std::string push(int32_t token);
  /// What was held back; bytes that never became a character are U+FFFD.
  std::string finish();
  /// A stop string has appeared; the text ends before it.
  bool stopped() const { return stopped_; }

 private:
  std::string release(bool all);

  text::Detokenizer detokenizer_;
  std::vector<std::string> stop_strings_;
  std::string pending_;  // decoded, not yet returned
  bool stopped_ = false;
};

}  // namespace rose::engine
