#include "text/tokenizer/trie.h"

#include <algorithm>

namespace rose::text {

Trie::Trie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& e) { return e.text.empty(); });
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.text < b.text; });

  // Breadth first: a node stands for the entries [begin, end) that share its first `depth` bytes.
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, entries.size(), 0}};
  nodes_.emplace_back();
  for (uint32_t node = 0; node < nodes_.size(); node++) {
    auto [begin, end, depth] = ranges[node];
    if (begin < end && entries[begin].text.size() == depth) {
      nodes_[node].value = entries[begin].value;
      while (begin < end && entries[begin].text.size() == depth) begin++;
    }
    nodes_[node].first = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      char byte = entries[begin].text[depth];
      size_t next = begin;
      while (next < end && entries[next].text[depth] == byte) next++;
      Node fresh;
      fresh.byte = static_cast<unsigned char>(byte);
      if (node == 0) roots_[fresh.byte] = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back(fresh);
      nodes_[node].count++;
      ranges.push_back({begin, next, depth + 1});
      begin = next;
    }
  }
}

uint32_t Trie::child(uint32_t node, unsigned char byte) const {
  const Node* first = nodes_.data() + nodes_[node].first;
  const Node* last = first + nodes_[node].count;
  if (last - first > 8) {
    first = std::lower_bound(first, last, byte, [](const Node& n, unsigned char b) { return n.byte < b; });
  } else {
    while (first < last && first->byte < byte) first++;
  }
  return first < last && first->byte == byte ? static_cast<uint32_t>(first - nodes_.data()) : 0;
}

}  // namespace rose::text
