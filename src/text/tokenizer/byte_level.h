// The printable alphabet of byte-level BPE: GPT-2 wrote each byte as one visible character.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace rose::text {

/// The character that stands for a byte: itself if printable in Latin-1, else one from U+0100 on.
char32_t byte_to_char(unsigned char byte);

/// The text with every byte written as its character.
std::string bytes_to_chars(std::string_view bytes);
void append_chars_of_bytes(std::string_view bytes, std::string& out);

/// Appends the bytes that the characters stand for. Returns false, with `out` as it was, if some character
/// stands for no byte.
bool append_bytes_of_chars(std::string_view chars, std::string& out);
/// The bytes that the characters stand for, or nothing if some character stands for no byte.
std::optional<std::string> chars_to_bytes(std::string_view chars);

}  // namespace rose::text
