// The one exception of the room weights, and how its messages name the file and the field at fault.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rose::weights {

// Something is wrong with a file of weights. The message reads "FILE: FIELD: what is wrong and what to do".
class WeightsError : public std::runtime_error {
 public:
  WeightsError(const std::filesystem::path& file, std::string_view field, std::string_view what);

  const std::string& file() const { return file_; }
  const std::string& field() const { return field_; }

 private:
  std::string file_, field_;
};

// Throws WeightsError with a formatted explanation.
template <typename... Args>
[[noreturn]] void fail(const std::filesystem::path& file, std::string_view field,
                       fmt::format_string<Args...> text, Args&&... args) {
  throw WeightsError(file, field, fmt::format(text, std::forward<Args>(args)...));
}

// A name out of a file, fit for a message: quoted, at most about 80 characters, and with every byte that is
// not printable ASCII written as \xNN, so that a hostile file cannot send escape sequences to a terminal.
std::string quote_name(std::string_view name);

}  // namespace rose::weights
