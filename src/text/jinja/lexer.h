// Templates as tokens, cut exactly where jinja2 cuts them with trim_blocks and lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rose::text::jinja {

struct Token {
  enum class Kind {
    kText,
    kBlockBegin,
    kBlockEnd,
    kVariableBegin,
    kVariableEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind;
  std::string text;  ///< decoded for strings
  int line;
};

/// The tokens of a template (valid UTF-8), ended by kEnd. Comments are gone. Throws TextError with the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace rose::text::jinja
