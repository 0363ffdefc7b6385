// Python's ideas about text that templates rely on: white space, string escapes, case.
#pragma once

#include <string>
#include <string_view>

namespace rose::text::jinja {

/// str.isspace of one code point: Unicode White_Space and U+001C..U+001F.
bool is_python_space(char32_t point);
/// First offset at or after `at` that is not white space.
size_t space_end(std::string_view text, size_t at);
/// The length of the text without trailing white space.
size_t strip_end(std::string_view text);

/// The text of a string literal, escapes decoded as Python's unicode-escape does. False for a wrong escape.
bool decode_escapes(std::string_view literal, std::string& out);

// str methods on valid UTF-8.
std::string lower(std::string_view text);
std::string upper(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
/// `characters` null: white space.
std::string_view strip(std::string_view text, const std::string* characters, bool left, bool right);

}  // namespace rose::text::jinja
