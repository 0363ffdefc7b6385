#include "text/tokenizer/unigram.h"

#include <algorithm>
#include <limits>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

struct State : Scratch {
  /// The best way to reach an offset of the text: the token that ends there, and where it begins.
  struct Node {
    double score = 0;
    TokenId id = 0;
    uint32_t begin = kUnreached;
  };
  static constexpr uint32_t kUnreached = 0xFFFFFFFF;
  std::vector<Node> nodes;
  std::vector<uint32_t> ends;
};

Trie trie_of(const Vocabulary& vocabulary) {
  std::vector<Trie::Entry> entries;
  entries.reserve(vocabulary.size());
  for (TokenId id = 0; id < vocabulary.id_limit(); id++) {
    std::string_view token = vocabulary.token(id);
    // Of equal pieces the last one counts, as in a map filled in order.
    if (!token.empty() && vocabulary.find(token) == id) entries.push_back({token, id});
  }
  return Trie(std::move(entries));
}

}  // namespace

Unigram::Unigram(Vocabulary vocabulary, std::vector<double> scores, TokenId unknown, bool byte_fallback)
    : Model(std::move(vocabulary)),
      scores_(std::move(scores)),
      unknown_(unknown),
      byte_fallback_(byte_fallback),
      byte_tokens_(vocabulary_),
      trie_(trie_of(vocabulary_)) {
  if (scores_.size() < vocabulary_.id_limit())
    throw TextError("tokenizer model: Unigram has fewer scores than tokens");
  if (unknown_ != kNoToken && unknown_ >= scores_.size())
    throw TextError("tokenizer model: unk_id is larger than the vocabulary");
  constexpr double kUnknownPenalty = 10.0;  // sentencepiece, unigram_model.cc
  double lowest = std::numeric_limits<double>::infinity();
  for (double score : scores_) lowest = std::min(lowest, score);
  unknown_score_ = lowest - kUnknownPenalty;
}

std::unique_ptr<Scratch> Unigram::make_scratch() const { return std::make_unique<State>(); }

void Unigram::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  auto& [nodes, ends] = static_cast<State&>(scratch);
  if (piece.size() >= State::kUnreached) throw TextError("tokenizer: a word of more than 4 GiB");
  nodes.assign(piece.size() + 1, {});
  for (size_t at = 0; at < piece.size();) {
    size_t character = unicode::sequence_length(piece[at]);
    double here = nodes[at].score;
    bool has_single = false;
    auto offer = [&](size_t length, TokenId id, double score) {
      auto& node = nodes[at + length];
      if (node.begin != State::kUnreached && here + score <= node.score) return;
      node = {here + score, id, static_cast<uint32_t>(at)};
    };
    trie_.prefixes(piece, at, [&](size_t length, TokenId id) {
      offer(length, id, scores_[id]);
      has_single |= length == character;
    });
    if (!has_single) {
      if (unknown_ == kNoToken)
        throw TextError(
            "tokenizer model: the text has a character without a token, and Unigram has no unk_id");
      offer(character, unknown_, unknown_score_);
    }
    at += character;
  }

  ends.clear();
  for (auto end = static_cast<uint32_t>(piece.size()); end > 0; end = nodes[end].begin) ends.push_back(end);
  for (size_t i = ends.size(); i-- > 0;) {
    const auto& node = nodes[ends[i]];
    if (node.id != unknown_) {
      ids.push_back(node.id);
      continue;
    }
    // A run of unknown characters is one unknown token, or the bytes of the run.
    while (i > 0 && nodes[ends[i - 1]].id == unknown_) i--;
    std::string_view run = piece.substr(node.begin, ends[i] - node.begin);
    TokenId whole = vocabulary_.find(run);
    if (whole != kNoToken)
      ids.push_back(whole);
    else if (!byte_fallback_ || !byte_tokens_.append(run, ids))
      ids.push_back(unknown_);
  }
}

}  // namespace rose::text
