#include "text/tokenizer/byte_level.h"

#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

struct Alphabet {
  std::array<char32_t, 256> char_of{};
  std::array<int16_t, 512> byte_of{};
};

constexpr bool is_visible(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte_of) byte = -1;
  char32_t next = 256;
  for (int byte = 0; byte < 256; byte++) {
    char32_t character = is_visible(byte) ? static_cast<char32_t>(byte) : next++;
    alphabet.char_of[byte] = character;
    alphabet.byte_of[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_to_char(unsigned char byte) { return kAlphabet.char_of[byte]; }

std::string bytes_to_chars(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  append_chars_of_bytes(bytes, out);
  return out;
}

void append_chars_of_bytes(std::string_view bytes, std::string& out) {
  for (char byte : bytes) unicode::append(out, byte_to_char(static_cast<unsigned char>(byte)));
}

bool append_bytes_of_chars(std::string_view chars, std::string& out) {
  size_t before = out.size();
  for (size_t at = 0; at < chars.size();) {
    auto [point, next] = unicode::decode(chars, at);
    if (point >= 512 || kAlphabet.byte_of[point] < 0) {
      out.resize(before);
      return false;
    }
    out.push_back(static_cast<char>(kAlphabet.byte_of[point]));
    at = next;
  }
  return true;
}

std::optional<std::string> chars_to_bytes(std::string_view chars) {
  std::string out;
  return append_bytes_of_chars(chars, out) ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace rose::text
