#include "text/tokenizer/merge_reader.h"

#include <algorithm>

namespace rose::text {

MergeReader::MergeReader(const Vocabulary& vocabulary, size_t prefix_length, size_t expected, Missing missing)
    : vocabulary_(vocabulary), prefix_length_(prefix_length), missing_(std::move(missing)) {
  merges_.reserve(expected);
}

void MergeReader::add(std::string_view left, std::string_view right) {
  Pending& pending = batch_[filled_];
  pending.left = left, pending.right = right;
  pending.left_hash = hash_bytes(left), pending.right_hash = hash_bytes(right);
  vocabulary_.prefetch(pending.left_hash);
  vocabulary_.prefetch(pending.right_hash);
  if (++filled_ == kBatch) resolve();
}

void MergeReader::resolve() {
  for (size_t i = 0; i < filled_; i++) {
    const Pending& pending = batch_[i];
    TokenId left = id_of(pending.left, pending.left_hash), right = id_of(pending.right, pending.right_hash);
    merges_.push_back({left, right, joined(pending.left, pending.right)});
  }
  filled_ = 0;
}

TokenId MergeReader::id_of(std::string_view token, uint64_t hash) const {
  TokenId id = vocabulary_.find(token, hash);
  if (id == kNoToken) missing_(merges_.size(), token);
  return id;
}

bool MergeReader::is_joined(TokenId id, std::string_view left, std::string_view rest) const {
  std::string_view token = vocabulary_.token(id);
  return token.size() == left.size() + rest.size() && vocabulary_.has(id) &&
         same_bytes(token.data(), left.data(), left.size()) &&
         same_bytes(token.data() + left.size(), rest.data(), rest.size());
}

// Trainers number tokens in the order of their merges, and converters list all merges of a token one after
// the other, so the id is mostly that of the merge before or the next one.
TokenId MergeReader::joined(std::string_view left, std::string_view right) {
  std::string_view rest = right.substr(std::min(prefix_length_, right.size()));
  if (is_joined(last_joined_, left, rest)) return last_joined_;
  if (is_joined(last_joined_ + 1, left, rest)) return ++last_joined_;
  text_.assign(left).append(rest);
  return last_joined_ = id_of(text_, hash_bytes(text_));
}

BpeMerges MergeReader::take() {
  resolve();
  return BpeMerges(std::move(merges_));
}

}  // namespace rose::text
