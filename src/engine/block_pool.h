// Which blocks of the paged KV cache are free.
#pragma once

#include <cstdint>
#include <vector>

namespace rose::engine {

class BlockPool {
 public:
  explicit BlockPool(int64_t blocks);

  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  /// Takes `count` blocks, or none and gives an empty list when there are not that many (or count is 0).
  std::vector<int32_t> take(int64_t count);
  void give_back(const std::vector<int32_t>& blocks);

 private:
  std::vector<int32_t> free_;  // the last is handed out first
};

}  // namespace rose::engine
