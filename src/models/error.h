// The one exception of the models room: a checkpoint that this program cannot run, and why.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace rose::models {

/// The message names the file and the field, what is wrong and what to do.
class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw ModelError(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace rose::models
