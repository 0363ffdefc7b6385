#include "text/tokenizer/wordpiece.h"

#include <fmt/format.h>

#include "text/error.h"
#include "text/tokenizer/word_cache.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

struct State : Scratch {
  WordCache cache;
};

// The tokens that begin with `prefix`, without it.
Trie trie_of(const Vocabulary& vocabulary, std::string_view prefix) {
  std::vector<Trie::Entry> entries;
  entries.reserve(vocabulary.size());
  for (TokenId id = 0; id < vocabulary.id_limit(); id++) {
    std::string_view token = vocabulary.token(id);
    if (token.size() > prefix.size() && token.starts_with(prefix) && vocabulary.find(token) == id)
      entries.push_back({token.substr(prefix.size()), id});
  }
  return Trie(std::move(entries));
}

[[noreturn]] void fail_unknown(const std::string& token) {
  throw TextError(fmt::format("tokenizer model: unk_token \"{}\" is not in the vocabulary", token));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, std::string unknown_token, const std::string& subword_prefix,
                     size_t max_characters)
    : Model(std::move(vocabulary)),
      unknown_token_(std::move(unknown_token)),
      max_characters_(max_characters),
      first_(trie_of(vocabulary_, "")),
      rest_(trie_of(vocabulary_, subword_prefix)),
      unknown_(vocabulary_.find(unknown_token_)) {}

std::unique_ptr<Scratch> WordPiece::make_scratch() const { return std::make_unique<State>(); }

void WordPiece::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  auto& state = static_cast<State&>(scratch);
  uint64_t hash = hash_bytes(piece);
  bool cached = piece.size() <= WordCache::kMaxWord;
  if (cached && state.cache.find(piece, hash, ids)) return;
  size_t from = ids.size();
  if (unicode::count(piece) > max_characters_ || !split(piece, ids)) {
    ids.resize(from);
    if (unknown_ == kNoToken) fail_unknown(unknown_token_);
    ids.push_back(unknown_);
  }
  if (cached) state.cache.remember(piece, hash, ids.data() + from, ids.size() - from);
}

bool WordPiece::split(std::string_view piece, std::vector<TokenId>& ids) const {
  for (size_t begin = 0; begin < piece.size();) {
    auto found = (begin == 0 ? first_ : rest_).longest(piece, begin);
    if (found.length == 0) return false;
    ids.push_back(found.value);
    begin += found.length;
  }
  return true;
}

WordLevel::WordLevel(Vocabulary vocabulary, std::string unknown_token)
    : Model(std::move(vocabulary)),
      unknown_token_(std::move(unknown_token)),
      unknown_(vocabulary_.find(unknown_token_)) {}

void WordLevel::encode(std::string_view piece, Scratch&, std::vector<TokenId>& ids) const {
  TokenId id = vocabulary_.find(piece);
  if (id == kNoToken) id = unknown_;
  if (id == kNoToken) fail_unknown(unknown_token_);
  ids.push_back(id);
}

}  // namespace rose::text
