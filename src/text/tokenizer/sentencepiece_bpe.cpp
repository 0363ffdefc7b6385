#include "text/tokenizer/sentencepiece_bpe.h"

#include <algorithm>

#include "text/error.h"
#include "text/tokenizer/word_cache.h"

namespace rose::text {

struct SentencePieceBpe::State : Scratch {
  struct Symbol {
    uint32_t begin;
    uint32_t length;  ///< 0: merged into the symbol before
    uint32_t previous;
    uint32_t next;
  };
  struct Candidate {
    float score;
    uint32_t left;
    uint32_t length;  ///< of both symbols when the candidate was found; another length now means it is stale
    bool operator<(const Candidate& other) const {  // the heap's top is the largest
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  WordCache cache;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

SentencePieceBpe::SentencePieceBpe(Vocabulary vocabulary, std::vector<bool> mergeable,
                                   std::vector<float> scores, TokenId unknown)
    : Model(std::move(vocabulary)),
      mergeable_(std::move(mergeable)),
      scores_(std::move(scores)),
      unknown_(unknown),
      byte_tokens_(vocabulary_) {
  if (scores_.size() < vocabulary_.id_limit() || mergeable_.size() < vocabulary_.id_limit())
    throw TextError("tokenizer: fewer scores than tokens");
  // Without all byte tokens, unknown characters stay as they are and could still merge; then nothing is cut.
  if (byte_tokens_.complete())
    for (TokenId id = 0; id < vocabulary_.id_limit(); id++)
      if (mergeable_[id]) borders_.add(vocabulary_.token(id));
}

TokenId SentencePieceBpe::find(std::string_view text) const {
  TokenId id = vocabulary_.find(text);
  return id != kNoToken && mergeable_[id] ? id : kNoToken;
}

std::unique_ptr<Scratch> SentencePieceBpe::make_scratch() const { return std::make_unique<State>(); }

void SentencePieceBpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  auto& state = static_cast<State&>(scratch);
  if (piece.size() >= 0xFFFFFFFF) throw TextError("tokenizer: a text of more than 4 GiB");
  borders_.each_word(piece, [&](std::string_view word) {
    uint64_t hash = hash_bytes(word);
    bool cached = word.size() <= WordCache::kMaxWord;
    if (cached && state.cache.find(word, hash, ids)) return;
    size_t from = ids.size();
    merge_word(word, state, ids);
    if (cached) state.cache.remember(word, hash, ids.data() + from, ids.size() - from);
  });
}

void SentencePieceBpe::merge_word(std::string_view word, State& state, std::vector<TokenId>& ids) const {
  auto& [cache, symbols, heap] = state;
  symbols.clear();
  heap.clear();
  for (size_t at = 0; at < word.size();) {
    auto index = static_cast<uint32_t>(symbols.size());
    auto length = static_cast<uint32_t>(unicode::sequence_length(word[at]));
    symbols.push_back({static_cast<uint32_t>(at), length, index - 1, index + 1});
    at += length;
  }
  const auto end = static_cast<uint32_t>(symbols.size());
  auto offer = [&](uint32_t left) {
    uint32_t right = symbols[left].next;
    if (right == end) return;
    uint32_t length = symbols[left].length + symbols[right].length;
    TokenId joined = find(word.substr(symbols[left].begin, length));
    if (joined == kNoToken) return;
    heap.push_back({scores_[joined], left, length});
    std::push_heap(heap.begin(), heap.end());
  };
  for (uint32_t i = 0; i < end; i++) offer(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    auto [score, left, length] = heap.back();
    heap.pop_back();
    uint32_t right = symbols[left].next;
    if (symbols[left].length == 0 || right == end || symbols[left].length + symbols[right].length != length)
      continue;
    symbols[left].length = length;
    symbols[right].length = 0;
    symbols[left].next = symbols[right].next;
    if (symbols[right].next != end) symbols[symbols[right].next].previous = left;
    if (left != 0) offer(symbols[left].previous);
    offer(left);
  }
  for (uint32_t i = 0; i != end; i = symbols[i].next) {
    std::string_view text = word.substr(symbols[i].begin, symbols[i].length);
    TokenId id = find(text);
    if (id != kNoToken)
      ids.push_back(id);
    else if (!byte_tokens_.append(text, ids) && unknown_ != kNoToken)
      ids.push_back(unknown_);
  }
}

}  // namespace rose::text
