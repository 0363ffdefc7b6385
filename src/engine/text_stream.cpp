#include "engine/text_stream.h"

#include <algorithm>

namespace rose::engine {

TextStream::TextStream(const text::Tokenizer& tokenizer, std::vector<std::string> stop_strings)
    : detokenizer_(tokenizer), stop_strings_(std::move(stop_strings)) {
  std::erase(stop_strings_, "");
}

std::string TextStream::push(int32_t token) {
  if (stopped_) return "";
  pending_ += detokenizer_.push(static_cast<text::TokenId>(token));
  return release(false);
}

std::string TextStream::finish() {
  if (stopped_) return "";
  pending_ += detokenizer_.finish();
  return release(true);
}

std::string TextStream::release(bool all) {
  size_t keep = 0;  // bytes at the end that may become a stop string
  for (const auto& stop : stop_strings_) {
    if (size_t at = pending_.find(stop); at != std::string::npos) {
      stopped_ = true;
      pending_.resize(at);
      all = true;
    }
    if (all) continue;
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > keep; --n)
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
  }
  if (all) keep = 0;
  std::string out = pending_.substr(0, pending_.size() - keep);
  pending_.erase(0, out.size());
  return out;
}

}  // namespace rose::engine
