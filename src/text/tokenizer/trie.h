// A byte trie over a fixed set of strings: longest match, and all prefixes of a text that are in the set.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace rose::text {

class Trie {
 public:
  struct Entry {
    std::string_view text;
    uint32_t value;
  };
  /// Builds from any order; of equal texts the first keeps its value. Empty texts are left out.
  explicit Trie(std::vector<Entry> entries = {});

  bool empty() const { return nodes_.size() <= 1; }

  /// Calls visit(length, value) for every entry that `text` begins with at `at`, shortest first.
  template <typename Visit>
  void prefixes(std::string_view text, size_t at, Visit visit) const {
    uint32_t node = at < text.size() ? roots_[static_cast<unsigned char>(text[at])] : 0;
    for (size_t length = 1; node != 0; length++) {
      if (nodes_[node].value != kNone) visit(length, nodes_[node].value);
      if (at + length >= text.size()) return;
      node = child(node, static_cast<unsigned char>(text[at + length]));
    }
  }

  /// Length and value of the longest entry at `at`; length 0 if there is none.
  struct Found {
    size_t length = 0;
    uint32_t value = 0;
  };
  Found longest(std::string_view text, size_t at) const {
    Found found;
    prefixes(text, at, [&](size_t length, uint32_t value) { found = {length, value}; });
    return found;
  }
  bool may_start_with(char byte) const { return roots_[static_cast<unsigned char>(byte)] != 0; }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  /// Children lie side by side, sorted by byte.
  struct Node {
    uint32_t first = 0;
    uint32_t value = kNone;
    uint16_t count = 0;
    uint8_t byte = 0;
  };
  uint32_t child(uint32_t node, unsigned char byte) const;

  std::vector<Node> nodes_;
  std::array<uint32_t, 256> roots_{};
};

}  // namespace rose::text
