// The one exception of the text room: every malformed tokenizer, template or request ends as this.
#pragma once

#include <stdexcept>
#include <string>

namespace rose::text {

/// The message says what was wrong, where (file field, template line) and what to do about it.
class TextError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace rose::text
