#include "text/tokenizer/added_tokens.h"

#include <algorithm>

#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

bool word_before(std::string_view text, size_t at) {
  return at > 0 && unicode::is_word(unicode::decode(text, unicode::previous(text, at)).point);
}

bool word_at(std::string_view text, size_t at) {
  return at < text.size() && unicode::is_word(unicode::decode(text, at).point);
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer)
    : tokens_(std::move(tokens)) {
  TokenId last = 0;
  base_ = kNoToken;
  for (const auto& token : tokens_) {
    base_ = std::min(base_, token.id);
    last = std::max(last, token.id);
  }
  if (!tokens_.empty()) index_of_.resize(last - base_ + 1);
  normalized_.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); i++) {
    normalized_.push_back(tokens_[i].content);
    if (tokens_[i].normalized && normalizer) normalizer->apply(normalized_.back());
    index_of_[tokens_[i].id - base_] = static_cast<uint32_t>(i + 1);
    by_content_.add(tokens_[i].content, static_cast<TokenId>(i));
  }
  std::vector<Trie::Entry> raw, normal;
  for (size_t i = 0; i < tokens_.size(); i++) {
    if (index_of_[tokens_[i].id - base_] != i + 1) continue;  // replaced by a later token with the same id
    (tokens_[i].normalized ? normal : raw).push_back({normalized_[i], static_cast<uint32_t>(i)});
  }
  raw_ = Trie(std::move(raw));
  normal_ = Trie(std::move(normal));
}

const AddedToken* AddedTokens::find(TokenId id) const {
  if (id < base_ || id - base_ >= index_of_.size() || index_of_[id - base_] == 0) return nullptr;
  return &tokens_[index_of_[id - base_] - 1];
}

bool AddedTokens::is_special(TokenId id) const {
  const AddedToken* token = find(id);
  return token && token->special;
}

const std::string& AddedTokens::normalized_form(const AddedToken& token) const {
  return normalized_[static_cast<size_t>(&token - tokens_.data())];
}

void AddedTokens::split(std::string_view text, bool in_normalized, bool with_special,
                        std::vector<Segment>& out) const {
  const Trie& trie = in_normalized ? normal_ : raw_;
  size_t done = 0;
  for (size_t at = 0; !trie.empty() && at < text.size();) {
    if (!trie.may_start_with(text[at])) {
      at++;
      continue;
    }
    auto found = trie.longest(text, at);
    if (found.length == 0) {
      at++;
      continue;
    }
    size_t begin = at, end = at + found.length;
    at = end;
    const AddedToken& token = tokens_[found.value];
    if (token.special && !with_special) continue;
    if (token.single_word && (word_before(text, begin) || word_at(text, end))) continue;
    if (token.lstrip) {
      while (begin > done) {
        size_t before = unicode::previous(text, begin);
        if (!unicode::is_space(unicode::decode(text, before).point)) break;
        begin = before;
      }
    }
    if (token.rstrip) {
      while (end < text.size()) {
        auto [point, next] = unicode::decode(text, end);
        if (!unicode::is_space(point)) break;
        end = next;
      }
    }
    begin = std::max(begin, done);  // white space that the token before has swallowed
    if (end <= begin) continue;
    if (done < begin) out.push_back({done, begin, kNoToken});
    out.push_back({begin, end, token.id});
    done = end;
  }
  if (done < text.size()) out.push_back({done, text.size(), kNoToken});
}

}  // namespace rose::text
