// The merges of a file, written as texts of tokens, turned into rules of token ids.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/bpe_merges.h"
#include "text/tokenizer/vocabulary.h"

namespace rose::text {

/// Looks the tokens up in batches: the vocabulary is larger than the processor's caches, and while one merge
/// is read the lines of those before it arrive.
class MergeReader {
 public:
  /// Must throw: the merge of this rank needs a token that the vocabulary lacks.
  using Missing = std::function<void(size_t rank, std::string_view token)>;

  /// `prefix_length`: bytes of the right token that the merged one lacks (a subword prefix). `expected`: how
  /// many merges will come.
  MergeReader(const Vocabulary& vocabulary, size_t prefix_length, size_t expected, Missing missing);

  /// Two strings for the caller in which the texts of the next add() may lie.
  std::array<std::string, 2>& buffers() { return batch_[filled_].buffers; }
  /// A text, and how many bytes may be read from its beginning on (for TextKey::of).
  struct Text {
    std::string_view text;
    size_t readable;
  };
  /// The next merge. The texts must stay as they are until take(), or lie in buffers().
  void add(Text left, Text right);

  BpeMerges take();

 private:
  static constexpr size_t kBatch = 32;
  struct Pending {
    std::string_view left, right;
    TextKey left_key, right_key;
    std::array<std::string, 2> buffers;
  };
  void resolve();
  TokenId id_of(std::string_view token, const TextKey& key) const;
  TokenId joined(const Pending& pending);
  bool is_joined(TokenId id, const Pending& pending, std::string_view rest) const;

  const Vocabulary& vocabulary_;
  size_t prefix_length_;
  Missing missing_;
  TokenId last_joined_ = 0;
  std::string text_;
  std::array<Pending, kBatch> batch_;
  size_t filled_ = 0;
  LargeVector<BpeMerges::Merge> merges_;
};

}  // namespace rose::text
