#include "text/tokenizer/wordpiece.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/error.h"
#include "text/tokenizer/word_cache.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

struct State : Scratch {
  WordCache cache;
  std::string buffer;
};

[[noreturn]] void fail_unknown(const std::string& token) {
  throw TextError(fmt::format("tokenizer model: unk_token \"{}\" is not in the vocabulary", token));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, std::string unknown_token, std::string subword_prefix,
                     size_t max_characters)
    : Model(std::move(vocabulary)),
      unknown_token_(std::move(unknown_token)),
      prefix_(std::move(subword_prefix)),
      max_characters_(max_characters),
      unknown_(vocabulary_.find(unknown_token_)) {
  for (TokenId id = 0; id < vocabulary_.id_limit(); id++)
    longest_ = std::max(longest_, vocabulary_.token(id).size());
}

std::unique_ptr<Scratch> WordPiece::make_scratch() const { return std::make_unique<State>(); }

void WordPiece::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  auto& state = static_cast<State&>(scratch);
  uint64_t hash = hash_bytes(piece);
  bool cached = piece.size() <= WordCache::kMaxWord;
  if (cached && state.cache.find(piece, hash, ids)) return;
  size_t from = ids.size();
  if (unicode::count(piece) > max_characters_ || !split(piece, state.buffer, ids)) {
    ids.resize(from);
    if (unknown_ == kNoToken) fail_unknown(unknown_token_);
    ids.push_back(unknown_);
  }
  if (cached) state.cache.remember(piece, hash, ids.data() + from, ids.size() - from);
}

bool WordPiece::split(std::string_view piece, std::string& buffer, std::vector<TokenId>& ids) const {
  for (size_t begin = 0; begin < piece.size();) {
    buffer = begin > 0 ? prefix_ : std::string();
    size_t decoration = buffer.size();
    if (decoration >= longest_) return false;
    buffer += piece.substr(begin, longest_ - decoration + 4);
    // Cut to whole characters, then shorten until the rest is a token.
    size_t end = std::min(piece.size(), begin + longest_ - decoration);
    while (end < piece.size() && end > begin && unicode::is_continuation(piece[end])) end--;
    TokenId found = kNoToken;
    while (end > begin) {
      found = vocabulary_.find(std::string_view(buffer).substr(0, decoration + end - begin));
      if (found != kNoToken) break;
      end = unicode::previous(piece, end);
    }
    if (found == kNoToken) return false;
    ids.push_back(found);
    begin = end;
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
