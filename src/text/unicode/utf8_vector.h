// Whether long texts are valid UTF-8, thirty-two bytes at a time. Private to the folder.
#pragma once

#include <cstddef>

namespace rose::text::unicode {

/// Whether this processor has what valid_by_vectors needs (AVX2).
bool has_vectors();

/// As is_valid(). Call it only where has_vectors().
bool valid_by_vectors(const char* text, size_t size);

}  // namespace rose::text::unicode
