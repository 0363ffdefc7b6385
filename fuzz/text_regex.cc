// libFuzzer: a pattern, a newline, a text. The two engines must agree, and nothing may crash or hang.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/error.h"
#include "text/regex/backtracker.h"
#include "text/regex/regex.h"
#include "text/unicode/utf8.h"

using namespace rose::text;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  size_t cut = std::min(input.find('\n'), input.size());
  std::string_view pattern = input.substr(0, std::min<size_t>(cut, 200));
  std::string text = unicode::replace_invalid(input.substr(std::min(cut + 1, input.size())));
  try {
    regex::Regex compiled(pattern);
    regex::Regex::Matches matches(compiled, text);
    size_t end = 0;
    for (regex::Match match; matches.next(match);) {
      if (match.begin < end || match.end < match.begin || match.end > text.size()) std::abort();
      end = match.end;
    }
    if (!compiled.is_automaton() || text.size() > 200) return 0;
    auto program = regex::compile(regex::parse(pattern));
    auto automaton = regex::Automaton::build(program);
    for (size_t at = 0; at <= text.size(); at++) {
      if (at < text.size() && unicode::is_continuation(text[at])) continue;
      size_t steps = 0;
      if (automaton->match(text, at, steps) != regex::Backtracker(program, text).match(at, steps, 1 << 20))
        std::abort();
    }
  } catch (const TextError&) {
  }
  return 0;
}
