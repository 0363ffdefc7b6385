#include "text/tokenizer/normalizer.h"

#include <type_traits>

#include "text/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

using unicode::append;

// A normaliser that is a plain function of the text, or of the text and its limit.
template <typename Function>
class FunctionNormalizer : public Normalizer {
 public:
  explicit FunctionNormalizer(Function function) : function_(std::move(function)) {}
  void run(std::string& text, size_t limit) const override {
    if constexpr (std::is_invocable_v<const Function&, std::string&, size_t>)
      function_(text, limit);
    else
      function_(text);
    check_growth(text.size(), limit);
  }

 private:
  Function function_;
};

template <typename Function>
NormalizerPtr make(Function function) {
  return std::make_unique<FunctionNormalizer<Function>>(std::move(function));
}

// Rewrites the text one code point at a time: write(out, point).
template <typename Write>
void rewrite(std::string& text, Write write) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = unicode::decode(text, at);
    write(out, point);
    at = next;
  }
  text = std::move(out);
}

void strip(std::string& text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    auto [point, next] = unicode::decode(text, begin);
    if (!unicode::is_space(point)) break;
    begin = next;
  }
  while (right && begin < end) {
    size_t last = unicode::previous(text, end);
    if (!unicode::is_space(unicode::decode(text, last).point)) break;
    end = last;
  }
  text = text.substr(begin, end - begin);
}

// The CJK Unified Ideographs blocks that BERT's original tokenizer lists.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void bert(std::string& text, const BertNormalizerOptions& options) {
  if (options.clean_text || options.handle_chinese_chars) {
    rewrite(text, [&](std::string& out, char32_t point) {
      if (options.clean_text) {
        if (unicode::contains(unicode::kBertRemoved, point)) return;
        if (unicode::is_space(point)) point = ' ';
      }
      if (options.handle_chinese_chars && is_chinese(point)) {
        out.push_back(' ');
        append(out, point);
        out.push_back(' ');
      } else {
        append(out, point);
      }
    });
  }
  if (options.strip_accents) {
    text = unicode::normalize(text, unicode::Form::kNfd);
    rewrite(text, [](std::string& out, char32_t point) {
      if (point < 128 || !unicode::contains(unicode::kNonSpacingMark, point)) append(out, point);
    });
  }
  if (options.lowercase) text = unicode::lowercase(text);
}

// sentencepiece's "nmt" rules: control characters go, odd spaces become ' '.
void nmt(std::string& out, char32_t c) {
  bool removed =
      (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  if (removed) return;
  bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
               c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  append(out, space ? U' ' : c);
}

}  // namespace

void check_growth(size_t bytes, size_t limit) {
  if (bytes > limit)
    throw TextError("tokenizer: its steps make a text grow without end; the file is broken or hostile");
}

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  if (text.empty()) return regex("");
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(std::string_view expression) {
  Pattern pattern;
  pattern.regex_ = std::make_shared<const regex::Regex>(expression);
  return pattern;
}

NormalizerPtr make_unicode_form(unicode::Form form) {
  return make([form](std::string& text) {
    if (!unicode::is_surely_normalized(text, form)) text = unicode::normalize(text, form);
  });
}

NormalizerPtr make_lowercase() {
  return make([](std::string& text) { text = unicode::lowercase(text); });
}

NormalizerPtr make_strip(bool left, bool right) {
  return make([=](std::string& text) { strip(text, left, right); });
}

NormalizerPtr make_strip_accents() {
  return make([](std::string& text) {
    rewrite(text, [](std::string& out, char32_t point) {
      if (!unicode::contains(unicode::kCombiningMark, point)) append(out, point);
    });
  });
}

NormalizerPtr make_nmt() {
  return make([](std::string& text) { rewrite(text, nmt); });
}

NormalizerPtr make_byte_level_normalizer() {
  return make([](std::string& text) { text = bytes_to_chars(text); });
}

NormalizerPtr make_replace(Pattern pattern, std::string content) {
  return make([pattern = std::move(pattern), content = std::move(content)](std::string& text, size_t limit) {
    std::string out;
    size_t copied = 0;
    pattern.each_match(text, 0, text.size(), [&](size_t begin, size_t end) {
      out.append(text, copied, begin - copied).append(content);
      copied = end;
      check_growth(out.size(), limit);
    });
    if (copied == 0 && out.empty()) return;
    out.append(text, copied);
    text = std::move(out);
  });
}

NormalizerPtr make_prepend(std::string prefix) {
  return make([prefix = std::move(prefix)](std::string& text) {
    if (!text.empty()) text.insert(0, prefix);
  });
}

NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> parts) {
  auto shared = std::make_shared<std::vector<NormalizerPtr>>(std::move(parts));
  return make([shared](std::string& text, size_t limit) {
    for (const auto& part : *shared) part->run(text, limit);
  });
}

NormalizerPtr make_bert_normalizer(BertNormalizerOptions options) {
  return make([options](std::string& text) { bert(text, options); });
}

}  // namespace rose::text
