#include "text/tokenizer/decoder.h"

#include <algorithm>
#include <type_traits>

#include "text/tokenizer/byte_level.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

using Tokens = std::vector<std::string>;

size_t bytes_of(const Tokens& tokens) {
  size_t bytes = 0;
  for (const auto& token : tokens) bytes += token.size();
  return bytes;
}

// A decoder that is a plain function of the tokens, or of the tokens and their limit.
template <typename Function>
class FunctionDecoder : public Decoder {
 public:
  explicit FunctionDecoder(Function function) : function_(std::move(function)) {}
  void run(Tokens& tokens, size_t limit) const override {
    if constexpr (std::is_invocable_v<const Function&, Tokens&, size_t>)
      function_(tokens, limit);
    else
      function_(tokens);
    check_growth(bytes_of(tokens), limit);
  }

 private:
  Function function_;
};

template <typename Function>
DecoderPtr make(Function function) {
  return std::make_unique<FunctionDecoder<Function>>(std::move(function));
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  size_t at = from.empty() ? std::string::npos : text.find(from);
  if (at == std::string::npos) return;
  std::string out;
  size_t copied = 0;
  for (; at != std::string::npos; at = text.find(from, copied)) {
    out.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  text = out.append(text, copied);
}

// "<0xE2>" -> 0xE2; -1 for everything else.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int value = 0;
  for (char c : token.substr(3, 2)) {
    char lower = static_cast<char>(c | 32);
    int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// A run of byte tokens becomes its text, or one U+FFFD a byte if the run is not valid UTF-8 as a whole.
void byte_fallback(Tokens& tokens) {
  Tokens out;
  std::string run;
  auto flush = [&] {
    if (run.empty()) return;
    if (unicode::is_valid(run))
      out.push_back(run);
    else
      out.insert(out.end(), run.size(), unicode::encode(unicode::kReplacement));
    run.clear();
  };
  for (auto& token : tokens) {
    if (int byte = byte_of(token); byte >= 0) {
      run.push_back(static_cast<char>(byte));
    } else {
      flush();
      out.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(out);
}

void strip(Tokens& tokens, const std::string& content, size_t start, size_t stop) {
  for (auto& token : tokens) {
    size_t begin = 0, end = token.size();
    for (size_t i = 0; i < start && std::string_view(token).substr(begin, end - begin).starts_with(content);
         i++)
      begin += content.size();
    for (size_t i = 0; i < stop && std::string_view(token).substr(begin, end - begin).ends_with(content); i++)
      end -= content.size();
    token = token.substr(begin, end - begin);
  }
}

}  // namespace

void Decoder::apply(std::vector<std::string>& tokens) const {
  // A token may be empty and still become a space.
  run(tokens, growth_limit(bytes_of(tokens) + tokens.size()));
}

std::string clean_up_spaces(std::string text) {
  const std::pair<std::string_view, std::string_view> rules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (auto [from, to] : rules) replace_all(text, from, to);
  return text;
}

DecoderPtr make_byte_level_decoder() {
  return make([](Tokens& tokens) {
    std::string bytes;
    for (const auto& token : tokens) bytes += chars_to_bytes(token).value_or(token);
    tokens = {unicode::replace_invalid(bytes)};
  });
}

DecoderPtr make_byte_fallback_decoder() { return make(byte_fallback); }

DecoderPtr make_fuse_decoder() {
  return make([](Tokens& tokens) {
    std::string all;
    for (const auto& token : tokens) all += token;
    tokens = {std::move(all)};
  });
}

DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop) {
  return make(
      [=, content = unicode::encode(content)](Tokens& tokens) { strip(tokens, content, start, stop); });
}

DecoderPtr make_replace_decoder(Pattern pattern, std::string content) {
  std::shared_ptr<const Normalizer> replace = make_replace(std::move(pattern), std::move(content));
  return make([replace](Tokens& tokens, size_t limit) {
    size_t before = 0;
    for (auto& token : tokens) {
      replace->run(token, limit - before);
      before += token.size();
    }
  });
}

DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup) {
  return make([=](Tokens& tokens) {
    for (size_t i = 0; i < tokens.size(); i++) {
      std::string& token = tokens[i];
      if (i > 0) token = token.starts_with(prefix) ? token.substr(prefix.size()) : " " + token;
      if (cleanup) token = clean_up_spaces(std::move(token));
    }
  });
}

DecoderPtr make_metaspace_decoder(char32_t replacement, bool drops_first) {
  std::string mark = unicode::encode(replacement);
  return make([=](Tokens& tokens) {
    for (size_t i = 0; i < tokens.size(); i++) replace_all(tokens[i], mark, i == 0 && drops_first ? "" : " ");
  });
}

DecoderPtr make_bpe_decoder(std::string suffix) {
  return make([=](Tokens& tokens) {
    for (size_t i = 0; i < tokens.size(); i++)
      replace_all(tokens[i], suffix, i + 1 == tokens.size() ? "" : " ");
  });
}

DecoderPtr make_ctc_decoder(std::string pad, std::string delimiter, bool cleanup) {
  return make([=](Tokens& tokens) {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (auto& token : tokens) {
      replace_all(token, pad, "");
      if (!cleanup) continue;
      token = clean_up_spaces(std::move(token));
      replace_all(token, delimiter, " ");
    }
    std::erase(tokens, "");
  });
}

DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts) {
  auto shared = std::make_shared<std::vector<DecoderPtr>>(std::move(parts));
  return make([shared](Tokens& tokens, size_t limit) {
    for (const auto& part : *shared) part->run(tokens, limit);
  });
}

DecoderPtr make_space_joining_decoder() {
  return make([](Tokens& tokens) {
    for (size_t i = 1; i < tokens.size(); i++) tokens[i].insert(0, " ");
  });
}

}  // namespace rose::text
