#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <cctype>

#include "text/error.h"
#include "text/jinja/python_text.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

std::string unify_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t at = 0; at < source.size(); at++) {
    if (source[at] != '\r') {
      out.push_back(source[at]);
      continue;
    }
    out.push_back('\n');
    if (at + 1 < source.size() && source[at + 1] == '\n') at++;
  }
  if (out.ends_with('\n')) out.pop_back();  // keep_trailing_newline is off
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(unify_newlines(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) root();
    push(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  using Kind = Token::Kind;

  [[noreturn]] void fail(std::string_view what) const {
    throw TextError(fmt::format("chat template, line {}: {}", line_, what));
  }

  void push(Kind kind, std::string_view text) { tokens_.push_back({kind, std::string(text), line_}); }

  bool looking_at(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  // Moves behind `end` and counts lines.
  void advance(size_t end) {
    for (; at_ < end; at_++) line_ += text_[at_] == '\n';
  }
  void skip_space() { advance(space_end(text_, at_)); }

  // Text up to the next tag, then the tag's beginning.
  void root() {
    size_t tag = at_;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == std::string_view::npos ||
          (tag + 1 < text_.size() && std::string_view("%{#").find(text_[tag + 1]) != std::string_view::npos))
        break;
      tag++;
    }
    if (tag == std::string_view::npos) {
      push(Kind::kText, text_.substr(at_));
      return advance(text_.size());
    }
    char kind = text_[tag + 1];
    char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    emit_text(text_.substr(at_, tag - at_), sign, kind != '{');
    advance(tag + 2 + (sign != '\0'));
    line_starting_ = false;
    if (kind == '#') return comment();
    if (kind == '{') return expression(Kind::kVariableBegin, Kind::kVariableEnd, "}}");
    if (!raw_block()) expression(Kind::kBlockBegin, Kind::kBlockEnd, "%}");
  }

  // "{%-" strips all white space before it; lstrip_blocks strips the blanks of the tag's own line.
  void emit_text(std::string_view text, char sign, bool is_block) {
    if (sign == '-') {
      text = text.substr(0, strip_end(text));
    } else if (sign != '+' && is_block) {
      size_t line = text.rfind('\n') + 1;
      bool at_line_start = line > 0 || line_starting_;
      if (at_line_start && line < text.size() && space_end(text, line) == text.size())
        text = text.substr(0, line);
    }
    if (!text.empty()) push(Kind::kText, text);
  }

  // The end of a block or comment, if it is here: "-%}" takes the white space behind it, "%}" one newline
  // (trim_blocks), "+%}" nothing.
  bool block_end(std::string_view end) {
    if (looking_at(end)) {
      advance(at_ + end.size());
      bool newline = looking_at("\n");
      if (newline) advance(at_ + 1);
      line_starting_ = newline;
      return true;
    }
    if ((looking_at("-") || looking_at("+")) && text_.substr(at_ + 1, end.size()) == end) {
      bool strips = text_[at_] == '-';
      advance(at_ + 1 + end.size());
      if (strips) skip_space();
      line_starting_ = strips && at_ > 0 && text_[at_ - 1] == '\n';
      return true;
    }
    return false;
  }

  void comment() {
    if (at_ == text_.size()) return;  // jinja2 does not mind a template that ends here
    size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) fail("a comment '{#' lacks its '#}'");
    bool sign = end > at_ && (text_[end - 1] == '-' || text_[end - 1] == '+');
    advance(end - sign);
    block_end("#}");
  }

  // {% raw %} ... {% endraw %}; the place is behind "{%" and its sign.
  bool raw_block() {
    size_t name = space_end(text_, at_);
    if (text_.substr(name, 3) != "raw") return false;
    size_t end = space_end(text_, name + 3);
    bool strips = text_.substr(end, 3) == "-%}";
    if (!strips && text_.substr(end, 2) != "%}") return false;
    advance(end + 2 + strips);
    if (strips) skip_space();
    line_starting_ = at_ > 0 && text_[at_ - 1] == '\n';
    if (at_ == text_.size()) return true;  // jinja2 does not mind either
    for (size_t tag = at_; (tag = text_.find("{%", tag)) != std::string_view::npos; tag += 2) {
      size_t after = tag + 2;
      char sign = after < text_.size() ? text_[after] : '\0';
      if (sign == '-' || sign == '+')
        after++;
      else
        sign = '\0';
      after = space_end(text_, after);
      if (text_.substr(after, 6) != "endraw") continue;
      after = space_end(text_, after + 6);
      size_t saved = at_;
      int saved_line = line_;
      advance(after);
      if (!block_end("%}")) {
        at_ = saved, line_ = saved_line;
        continue;
      }
      size_t behind = at_;
      bool starting = line_starting_;
      line_starting_ = saved > 0 && text_[saved - 1] == '\n';
      emit_text(text_.substr(saved, tag - saved), sign, true);
      at_ = behind;
      line_starting_ = starting;
      return true;
    }
    fail("a raw block lacks its 'endraw'");
  }

  void expression(Kind begin, Kind end, std::string_view closing) {
    push(begin, "");
    std::string open;  // brackets that wait to be closed: inside them "}}" is two brackets
    while (true) {
      skip_space();
      if (at_ >= text_.size()) fail(fmt::format("a tag lacks its '{}'", closing));
      if (open.empty()) {
        if (closing == "%}") {
          if (block_end(closing)) break;
        } else if (looking_at("-}}")) {
          advance(at_ + 3);
          skip_space();
          line_starting_ = text_[at_ - 1] == '\n';
          break;
        } else if (looking_at("}}")) {
          advance(at_ + 2);
          line_starting_ = false;
          break;
        }
      }
      token(open);
    }
    push(end, "");
  }

  void token(std::string& open) {
    char c = text_[at_];
    if (c >= '0' && c <= '9') return number();
    if (c == '"' || c == '\'') return string(c);
    auto point = unicode::decode(text_, at_).point;
    if (c == '_' || unicode::is_word(point)) return name();
    for (std::string_view op : {"//", "**", "==", "!=", ">=", "<="})
      if (looking_at(op)) {
        push(Kind::kOperator, op);
        return advance(at_ + 2);
      }
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos)
      fail(fmt::format("unexpected character '{}'", unicode::encode(point)));
    if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) fail(fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    push(Kind::kOperator, text_.substr(at_, 1));
    advance(at_ + 1);
  }

  void name() {
    size_t end = at_;
    while (end < text_.size()) {
      auto [point, next] = unicode::decode(text_, end);
      if (point != '_' && !unicode::is_word(point)) break;
      end = next;
    }
    push(Kind::kName, text_.substr(at_, end - at_));
    advance(end);
  }

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  size_t digits_end(size_t at) const {
    while (at < text_.size() &&
           (is_digit(text_[at]) || (text_[at] == '_' && at + 1 < text_.size() && is_digit(text_[at + 1]))))
      at++;
    return at;
  }

  void number() {
    char prefix = at_ + 1 < text_.size() ? static_cast<char>(text_[at_ + 1] | 32) : '\0';
    if (text_[at_] == '0' && (prefix == 'x' || prefix == 'o' || prefix == 'b')) {
      size_t end = at_ + 2;
      while (end < text_.size() && (isxdigit(static_cast<unsigned char>(text_[end])) || text_[end] == '_'))
        end++;
      push(Kind::kInteger, text_.substr(at_, end - at_));
      return advance(end);
    }
    size_t end = digits_end(at_), zeros = at_;
    while (zeros < end && (text_[zeros] == '0' || text_[zeros] == '_')) zeros++;
    bool is_float = false;
    bool after_dot = at_ > 0 && text_[at_ - 1] == '.';
    if (!after_dot && end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) {
      end = digits_end(end + 1);
      is_float = true;
    }
    if (!after_dot && end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      size_t power = end + 1;
      if (power < text_.size() && (text_[power] == '+' || text_[power] == '-')) power++;
      if (power < text_.size() && is_digit(text_[power])) {
        end = digits_end(power);
        is_float = true;
      }
    }
    if (!is_float && zeros > at_) end = zeros;  // "01" is two numbers
    std::string digits;
    for (char c : text_.substr(at_, end - at_))
      if (c != '_') digits.push_back(c);
    push(is_float ? Kind::kFloat : Kind::kInteger, digits);
    advance(end);
  }

  void string(char quote) {
    size_t begin = at_ + 1, end = begin;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) fail("a string lacks its closing quote");
    std::string decoded;
    if (!decode_escapes(text_.substr(begin, end - begin), decoded))
      fail("a string has a wrong escape sequence");
    push(Kind::kString, decoded);
    advance(end + 1);
  }

  std::string source_;
  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace rose::text::jinja
