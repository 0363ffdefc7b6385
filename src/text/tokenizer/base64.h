// Base64 for the one binary field of a tokenizer.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rose::text {

/// The bytes, or nothing if the text is not base64 (RFC 4648, padding optional).
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace rose::text
