#include "text/tokenizer/merge_reader.h"

#include <algorithm>

namespace rose::text {

MergeReader::MergeReader(const Vocabulary& vocabulary, size_t prefix_length, size_t expected, Missing missing)
    : vocabulary_(vocabulary), prefix_length_(prefix_length), missing_(std::move(missing)) {
  merges_.reserve(expected);
}

void MergeReader::add(Text left, Text right) {
  Pending& pending = batch_[filled_];
  pending.left = left.text, pending.right = right.text;
  pending.left_key = TextKey::of(left.text, left.readable);
  pending.right_key = TextKey::of(right.text, right.readable);
  vocabulary_.prefetch(pending.left_key);
  vocabulary_.prefetch(pending.right_key);
  if (++filled_ == kBatch) resolve();
}

void MergeReader::resolve() {
  for (size_t i = 0; i < filled_; i++) {
    const Pending& pending = batch_[i];
    TokenId left = id_of(pending.left, pending.left_key), right = id_of(pending.right, pending.right_key);
    merges_.push_back({left, right, joined(pending)});
  }
  filled_ = 0;
}

TokenId MergeReader::id_of(std::string_view token, const TextKey& key) const {
  TokenId id = vocabulary_.find(token, key);
  if (id == kNoToken) missing_(merges_.size(), token);
  return id;
}

bool MergeReader::is_joined(TokenId id, const Pending& pending, std::string_view rest) const {
  const std::string_view token = vocabulary_.token(id), left = pending.left;
  if (token.size() != left.size() + rest.size() || !vocabulary_.has(id)) return false;
  if (token.size() <= TextKey::kWhole && prefix_length_ == 0) {
    const TextKey both = TextKey::joined(pending.left_key, pending.right_key);
    const TextKey key = TextKey::of(token, vocabulary_.readable(token));
    return both.head == key.head && both.tail == key.tail;
  }
  const char *whole = token.data(), *first = left.data(), *second = rest.data();
  return same_bytes(whole, first, left.size()) && same_bytes(whole + left.size(), second, rest.size());
}

// Trainers number tokens in the order of their merges, and converters list all merges of a token one after
// the other, so the id is mostly that of the merge before or the next one.
TokenId MergeReader::joined(const Pending& pending) {
  const std::string_view rest = pending.right.substr(std::min(prefix_length_, pending.right.size()));
  if (is_joined(last_joined_, pending, rest)) return last_joined_;
  if (is_joined(last_joined_ + 1, pending, rest)) return ++last_joined_;
  text_.assign(pending.left).append(rest);
  return last_joined_ = id_of(text_, TextKey::of(text_));
}

BpeMerges MergeReader::take() {
  resolve();
  return BpeMerges(std::move(merges_));
}

}  // namespace rose::text
