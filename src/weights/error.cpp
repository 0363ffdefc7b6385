#include "weights/error.h"

namespace rose::weights {

WeightsError::WeightsError(const std::filesystem::path& file, std::string_view field, std::string_view what)
    : std::runtime_error(field.empty() ? fmt::format("{}: {}", file.string(), what)
                                       : fmt::format("{}: {}: {}", file.string(), field, what)),
      file_(file.string()),
      field_(field) {}

std::string quote_name(std::string_view name) {
  constexpr size_t kLongest = 80;
  std::string text = "'";
  for (size_t i = 0; i < name.size(); ++i) {
    if (text.size() > kLongest) {
      text += fmt::format("… ({} bytes)", name.size());
      break;
    }
    auto byte = static_cast<unsigned char>(name[i]);
    if (byte >= 0x20 && byte < 0x7f) {
      text += name[i];
    } else {
      text += fmt::format("\\x{:02x}", byte);
    }
  }
  return text + "'";
}

}  // namespace rose::weights
