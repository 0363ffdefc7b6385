#include "text/tokenizer/detokenizer.h"

#include "text/unicode/utf8.h"

namespace rose::text {

std::string Detokenizer::push_bytes(std::string_view bytes) {
  pending_ += bytes;
  // Everything but a character that the end cuts short can go out.
  std::string out;
  size_t at = 0;
  while (at < pending_.size()) {
    auto seen = unicode::inspect(pending_, at);
    if (seen.kind == unicode::Sequence::kTruncated) break;
    if (seen.kind == unicode::Sequence::kValid)
      out.append(pending_, at, seen.length);
    else
      unicode::append(out, unicode::kReplacement);
    at += seen.length;
  }
  pending_.erase(0, at);
  return out;
}

// Other decoders look at neighbours (a first token loses its space, byte tokens join), so the text of a token
// is the difference that it makes to the decoding of a few tokens before it. While the difference ends in
// U+FFFD a character is incomplete and the token waits.
std::string Detokenizer::push(TokenId id) {
  if (skip_special_tokens_ && tokenizer_.is_special(id)) return {};
  if (auto bytes = tokenizer_.token_bytes(id)) return push_bytes(*bytes);
  window_.push_back(id);
  std::span<const TokenId> all(window_);
  std::string before = tokenizer_.decode(all.first(shown_), skip_special_tokens_);
  std::string after = tokenizer_.decode(all, skip_special_tokens_);
  constexpr size_t kLongestWait = 16;  // tokens; a stream of invalid bytes must not wait for ever
  bool incomplete = after.ends_with(unicode::encode(unicode::kReplacement)) || after.size() < before.size();
  if (incomplete && window_.size() - shown_ < kLongestWait) return {};
  // A byte that spoils its whole run changes what has been shown; then only the new tokens count.
  std::string out = after.starts_with(before) ? after.substr(before.size())
                                              : tokenizer_.decode(all.subspan(shown_), skip_special_tokens_);
  window_.erase(window_.begin(), window_.begin() + static_cast<long>(shown_));
  shown_ = window_.size();
  return out;
}

std::string Detokenizer::finish() {
  if (!pending_.empty()) {
    std::string rest = unicode::replace_invalid(pending_);
    pending_.clear();
    return rest;
  }
  std::span<const TokenId> all(window_);
  std::string before = tokenizer_.decode(all.first(shown_), skip_special_tokens_);
  std::string after = tokenizer_.decode(all, skip_special_tokens_);
  bool waiting = window_.size() > shown_;
  window_.clear();
  shown_ = 0;
  if (!waiting) return {};
  return after.starts_with(before) ? after.substr(before.size()) : after;
}

}  // namespace rose::text
