#include "text/tokenizer/model.h"

#include <fmt/format.h>

#include <algorithm>

namespace rose::text {

ByteTokens::ByteTokens(const Vocabulary& vocabulary) {
  for (int byte = 0; byte < 256; byte++) of[byte] = vocabulary.find(fmt::format("<0x{:02X}>", byte));
}

bool ByteTokens::append(std::string_view bytes, std::vector<TokenId>& ids) const {
  for (char byte : bytes)
    if (of[static_cast<unsigned char>(byte)] == kNoToken) return false;
  for (char byte : bytes) ids.push_back(of[static_cast<unsigned char>(byte)]);
  return true;
}

bool ByteTokens::complete() const {
  return std::none_of(std::begin(of), std::end(of), [](TokenId id) { return id == kNoToken; });
}

}  // namespace rose::text
