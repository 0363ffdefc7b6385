// The layout room's error type, and 64-bit arithmetic that refuses to overflow.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace rose::layout {

// Thrown for every inadmissible request of this room; the message shows the arithmetic that failed.
class LayoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const std::string& message) { throw LayoutError(message); }

inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) fail(fmt::format("{} + {} does not fit in 64 bits", a, b));
  return sum;
}

inline int64_t checked_mul(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) fail(fmt::format("{} * {} does not fit in 64 bits", a, b));
  return product;
}

// ceil(a / b) for a >= 0 and b > 0.
inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

}  // namespace rose::layout
