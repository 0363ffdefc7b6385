// A cursor over JSON text for the parts of a tokenizer.json that are too large to become a tree first.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace rose::text {

/// Reads forward through a document that is valid UTF-8. Every method throws TextError with the byte offset
/// and the name of the document for anything that is not what was asked for.
class JsonScanner {
 public:
  /// `offset`: where `text` begins in the document, for messages.
  JsonScanner(std::string_view text, std::string_view document, size_t offset = 0)
      : text_(text), document_(document), offset_(offset) {}

  /// The first character of the next value or token, 0 at the end.
  char peek() {
    if (at_ < text_.size() && is_space(text_[at_])) skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    at_++;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail_expected(c);
  }
  /// A decoded string: a view into the document, or into `buffer` if it had escapes.
  std::string_view string(std::string& buffer);
  /// How many bytes of the document there are from the beginning of a string on; its size if it is in a
  /// buffer.
  size_t readable(std::string_view string) const {
    const char* end = text_.data() + text_.size();
    bool inside = std::less_equal<>()(text_.data(), string.data()) && std::less<>()(string.data(), end);
    return inside ? static_cast<size_t>(end - string.data()) : string.size();
  }
  uint32_t unsigned_integer();
  double number();
  bool boolean();
  /// Skips a value of any kind (at most 100 deep) and returns its text. Finds its end only; what is inside is
  /// checked by whoever reads it.
  std::string_view value();
  /// Bytes of the document from here on.
  size_t left() const { return text_.size() - at_; }
  /// Offset in the document.
  size_t offset() const { return offset_ + at_; }
  [[noreturn]] void fail(std::string_view what) const;

  /// member(key) must read the value.
  template <typename Member>
  void object(Member member) {
    std::string buffer;
    expect('{');
    if (accept('}')) return;
    do {
      std::string_view key = string(buffer);
      expect(':');
      member(key);
    } while (accept(','));
    expect('}');
  }
  /// element() must read one element.
  template <typename Element>
  void array(Element element) {
    expect('[');
    if (accept(']')) return;
    do element();
    while (accept(','));
    expect(']');
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  [[noreturn]] void fail_expected(char c) const;
  std::string_view escaped_string(size_t begin, std::string& buffer);
  uint32_t hex4();
  void skip_spaces();
  void skip_string();
  void skip_nested();

  std::string_view text_;
  std::string_view document_;
  size_t offset_;
  size_t at_ = 0;
};

}  // namespace rose::text
