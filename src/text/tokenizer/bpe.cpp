#include "text/tokenizer/bpe.h"

#include <fmt/format.h>

#include "text/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/word_cache.h"
#include "text/unicode/utf8.h"

namespace rose::text {

struct Bpe::State : Scratch {
  WordCache cache;
  BpeMerges::Workspace work;
  std::string chars;
};

Bpe::Bpe(Vocabulary vocabulary, BpeMerges merges, BpeOptions options)
    : Model(std::move(vocabulary)),
      merges_(std::move(merges)),
      options_(std::move(options)),
      byte_tokens_(vocabulary_) {
  if (!options_.unknown_token.empty()) unknown_ = vocabulary_.find(options_.unknown_token);
  options_.maps_bytes ? index_bytes() : index_borders();
}

std::unique_ptr<Scratch> Bpe::make_scratch() const { return std::make_unique<State>(); }

void Bpe::index_bytes() {
  if (!options_.subword_prefix.empty() || !options_.word_suffix.empty())
    throw TextError("tokenizer model: a byte-level BPE with a subword prefix or suffix is not supported");
  for (int byte = 0; byte < 256; byte++)
    of_byte_[byte] = vocabulary_.find(unicode::encode(byte_to_char(static_cast<unsigned char>(byte))));
}

void Bpe::index_borders() {
  bool words_are_whole = !options_.byte_fallback || !byte_tokens_.complete() || options_.ignore_merges ||
                         !options_.subword_prefix.empty() || !options_.word_suffix.empty();
  if (words_are_whole) return;
  for (TokenId byte : byte_tokens_.of)  // merges of byte tokens would not show as neighbouring characters
    for (TokenId other : byte_tokens_.of)
      if (merges_.find(byte, other).merged != kNoToken) return;
  for (TokenId id = 0; id < vocabulary_.id_limit(); id++) borders_.add(vocabulary_.token(id));
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  auto& state = static_cast<State&>(scratch);
  borders_.each_word(piece, [&](std::string_view word) { encode_word(word, state, ids); });
}

void Bpe::encode_word(std::string_view word, State& state, std::vector<TokenId>& ids) const {
  if (word.size() > WordCache::kMaxWord) return merge_word(word, state, ids);
  uint64_t hash = hash_bytes(word);
  if (state.cache.find(word, hash, ids)) return;
  size_t from = ids.size();
  merge_word(word, state, ids);
  state.cache.remember(word, hash, ids.data() + from, ids.size() - from);
}

void Bpe::merge_word(std::string_view word, State& state, std::vector<TokenId>& ids) const {
  if (options_.ignore_merges) {
    std::string_view token = word;
    if (options_.maps_bytes) {
      state.chars.clear();
      append_chars_of_bytes(word, state.chars);
      token = state.chars;
    }
    TokenId whole = vocabulary_.find(token);
    if (whole != kNoToken) return ids.push_back(whole);
  }
  size_t from = ids.size();
  if (options_.maps_bytes) {
    for (char byte : word)
      if (TokenId id = of_byte_[static_cast<unsigned char>(byte)]; id != kNoToken) ids.push_back(id);
  } else {
    append_characters(word, ids);
  }
  merges_.apply(ids, from, state.work);
}

void Bpe::append_characters(std::string_view word, std::vector<TokenId>& ids) const {
  bool plain = options_.subword_prefix.empty() && options_.word_suffix.empty();
  bool unknown_pending =
      false;  // an unknown character whose token is not written yet, as more may fuse with it
  std::string decorated;
  for (size_t at = 0; at < word.size();) {
    size_t next = at + unicode::sequence_length(word[at]);
    std::string_view symbol = word.substr(at, next - at);
    if (!plain) {
      decorated = at > 0 ? options_.subword_prefix : std::string();
      decorated += symbol;
      if (next == word.size()) decorated += options_.word_suffix;
      symbol = decorated;
    }
    at = next;
    if (TokenId id = vocabulary_.find(symbol); id != kNoToken) {
      if (unknown_pending) ids.push_back(unknown_);
      unknown_pending = false;
      ids.push_back(id);
      continue;
    }
    if (options_.byte_fallback && byte_tokens_.append(symbol, ids)) continue;
    if (options_.unknown_token.empty()) continue;
    if (unknown_ == kNoToken)
      throw TextError(
          fmt::format("tokenizer model: unk_token \"{}\" is not in the vocabulary", options_.unknown_token));
    if (unknown_pending && !options_.fuse_unknown) ids.push_back(unknown_);
    unknown_pending = true;
  }
  if (unknown_pending) ids.push_back(unknown_);
}

}  // namespace rose::text
