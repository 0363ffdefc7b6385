// Unicode normalisation forms (UAX #15), with the data of the library whose answers we must equal.
#pragma once

#include <string>
#include <string_view>

namespace rose::text::unicode {

enum class Form { kNfc, kNfd, kNfkc, kNfkd };

/// The text in the given form. Cheap for text that is ASCII already.
std::string normalize(std::string_view text, Form form);

/// True if every code point keeps its place in this form whatever stands beside it, found with one table
/// look-up per code point; false says only that normalize() must look closer.
bool is_surely_normalized(std::string_view text, Form form);

}  // namespace rose::text::unicode
