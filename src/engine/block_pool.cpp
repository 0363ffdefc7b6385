#include "engine/block_pool.h"

namespace rose::engine {

BlockPool::BlockPool(int64_t blocks) {
  for (int64_t i = blocks; i-- > 0;) free_.push_back(static_cast<int32_t>(i));
}

std::vector<int32_t> BlockPool::take(int64_t count) {
  if (count > free()) return {};
  std::vector<int32_t> taken(free_.rbegin(), free_.rbegin() + count);
  free_.resize(free_.size() - static_cast<size_t>(count));
  return taken;
}

void BlockPool::give_back(const std::vector<int32_t>& blocks) {
  free_.insert(free_.end(), blocks.rbegin(), blocks.rend());
}

}  // namespace rose::engine
