#include "text/tokenizer/bpe_merges.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "text/error.h"

namespace rose::text {

BpeMerges::BpeMerges(LargeVector<Merge> merges) : merges_(std::move(merges)) {
  if (merges_.empty()) return;
  if (merges_.size() >= 0xFFFFFFFF) throw TextError("tokenizer: more than 4 billion merges");
  slots_ = ZeroTable<Slot>(std::bit_ceil(merges_.size() + merges_.size() / 2 + 16));
  shift_ = 64 - std::countr_zero(slots_.size());
  // The slots lie scattered in a table larger than the cache; fetching them ahead hides most of the wait.
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < merges_.size(); i++) {
    if (i + kAhead < merges_.size()) {
      const Merge& later = merges_[i + kAhead];
      __builtin_prefetch(&slots_[place(hash_of(later.left, later.right))], 1);
    }
    const auto [left, right, merged] = merges_[i];
    const uint64_t hash = hash_of(left, right);
    const auto tag = static_cast<uint32_t>(hash);
    auto is_this = [&](const Slot& slot) {
      return slot.tag == tag && merges_[slot.next_rank - 1].left == left &&
             merges_[slot.next_rank - 1].right == right;
    };
    size_t at = place(hash);
    while (slots_[at].next_rank != 0 && !is_this(slots_[at])) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {tag, static_cast<uint32_t>(i + 1)};
  }
}

void BpeMerges::apply(std::vector<TokenId>& ids, size_t from, Workspace& work) const {
  constexpr size_t kShort = 40;  // where the heap begins to win, measured on English and Chinese words
  size_t count = ids.size() - from;
  if (count < 2) return;
  TokenId* symbols = ids.data() + from;
  ids.resize(from + (count <= kShort ? apply_short(symbols, count, work) : apply_long(symbols, count, work)));
}

size_t BpeMerges::apply_short(TokenId* ids, size_t count, Workspace& work) const {
  auto& pairs = work.pairs;
  pairs.resize(count - 1);
  for (size_t i = 0; i + 1 < count; i++) pairs[i] = find(ids[i], ids[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; i++)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].merged == kNoToken) break;
    ids[best] = pairs[best].merged;
    std::memmove(ids + best + 1, ids + best + 2, (count - best - 2) * sizeof *ids);
    count--;
    std::memmove(pairs.data() + best, pairs.data() + best + 1, (count - best - 1) * sizeof pairs[0]);
    if (best > 0) pairs[best - 1] = find(ids[best - 1], ids[best]);
    if (best + 1 < count) pairs[best] = find(ids[best], ids[best + 1]);
  }
  return count;
}

size_t BpeMerges::apply_long(TokenId* ids, size_t count, Workspace& work) const {
  if (count >= 0xFFFFFFFF) throw TextError("tokenizer: a word of more than 4 billion symbols");
  using Candidate = Workspace::Candidate;
  auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  };
  auto& [pairs, heap, previous, next] = work;
  const auto end = static_cast<uint32_t>(count);
  heap.clear();
  previous.resize(count);
  next.resize(count);
  auto candidate = [&](uint32_t left, uint32_t right) {
    Rule rule = find(ids[left], ids[right]);
    if (rule.merged == kNoToken) return false;
    heap.push_back({rule.rank, left, ids[left], ids[right], rule.merged});
    return true;
  };
  for (uint32_t i = 0; i < end; i++) {
    previous[i] = i - 1;
    next[i] = i + 1;
    if (i + 1 < end) candidate(i, i + 1);
  }
  std::make_heap(heap.begin(), heap.end(), later);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Candidate top = heap.back();
    heap.pop_back();
    // A candidate is stale if either of its symbols has been merged away since.
    uint32_t left = top.position;
    if (ids[left] != top.left || next[left] == end || ids[next[left]] != top.right) continue;
    uint32_t right = next[left];
    ids[left] = top.merged;
    ids[right] = kNoToken;
    next[left] = next[right];
    if (next[right] != end) previous[next[right]] = left;
    if (left != 0 && candidate(previous[left], left)) std::push_heap(heap.begin(), heap.end(), later);
    if (next[left] != end && candidate(left, next[left])) std::push_heap(heap.begin(), heap.end(), later);
  }

  size_t kept = 0;
  for (uint32_t i = 0; i != end; i = next[i]) ids[kept++] = ids[i];
  return kept;
}

}  // namespace rose::text
