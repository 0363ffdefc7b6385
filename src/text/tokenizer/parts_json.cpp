#include "text/tokenizer/parts_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/error.h"
#include "text/tokenizer/base64.h"
#include "text/tokenizer/json_fields.h"

namespace rose::text {
namespace {

using nlohmann::json;

// {"String": "..."} or {"Regex": "..."}
Pattern pattern_of(const JsonFields& fields, const std::string& section) {
  JsonFields pattern(fields.object("pattern"), section + ".pattern");
  if (pattern.has("String")) return Pattern::literal(pattern.text("String"));
  try {
    return Pattern::regex(pattern.text("Regex"));
  } catch (const TextError& error) {
    fields.fail("pattern", error.what());
  }
}

SplitBehavior behavior_of(const JsonFields& fields, const char* fallback) {
  std::string name = fields.text_or("behavior", fallback);
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fields.fail("behavior", fmt::format("\"{}\" is not a known behaviour", name));
}

PrependScheme scheme_of(const JsonFields& fields) {
  std::string name = fields.text_or("prepend_scheme", "always");
  if (fields.optional_flag("add_prefix_space") == false) return PrependScheme::kNever;
  if (name == "always") return PrependScheme::kAlways;
  if (name == "first") return PrependScheme::kFirst;
  if (name == "never") return PrependScheme::kNever;
  fields.fail("prepend_scheme", fmt::format("\"{}\" is not a known scheme", name));
}

template <typename Part, typename Convert>
std::vector<Part> sequence_of(const json& list, Convert convert) {
  std::vector<Part> parts;
  for (const auto& element : list) parts.push_back(convert(element));
  return parts;
}

}  // namespace

NormalizerPtr normalizer_from_json(const json& section) {
  if (section.is_null()) return nullptr;
  JsonFields fields(section, "normalizer");
  std::string type = fields.type();
  using unicode::Form;
  if (type == "Sequence")
    return make_normalizer_sequence(
        sequence_of<NormalizerPtr>(fields.array("normalizers"), [&](const json& part) {
          if (part.is_null()) fields.fail("normalizers", "must not have null in it");
          return normalizer_from_json(part);
        }));
  if (type == "NFC") return make_unicode_form(Form::kNfc);
  if (type == "NFD") return make_unicode_form(Form::kNfd);
  if (type == "NFKC") return make_unicode_form(Form::kNfkc);
  if (type == "NFKD") return make_unicode_form(Form::kNfkd);
  if (type == "Lowercase") return make_lowercase();
  if (type == "StripAccents") return make_strip_accents();
  if (type == "Nmt") return make_nmt();
  if (type == "ByteLevel") return make_byte_level_normalizer();
  if (type == "Strip")
    return make_strip(fields.flag_or("strip_left", true), fields.flag_or("strip_right", true));
  if (type == "Replace")
    return make_replace(pattern_of(fields, "normalizer.Replace"), fields.text("content"));
  if (type == "Prepend") return make_prepend(fields.text("prepend"));
  if (type == "Precompiled") {
    if (!fields.has("precompiled_charsmap")) return make_normalizer_sequence({});
    auto map = base64_decode(fields.text("precompiled_charsmap"));
    if (!map) fields.fail("precompiled_charsmap", "is not base64");
    return make_precompiled(*map);
  }
  if (type == "BertNormalizer") {
    bool lowercase = fields.flag_or("lowercase", true);
    return make_bert_normalizer({fields.flag_or("clean_text", true),
                                 fields.flag_or("handle_chinese_chars", true),
                                 fields.optional_flag("strip_accents").value_or(lowercase), lowercase});
  }
  fields.fail("type", fmt::format("\"{}\" is not a known normalizer", type));
}

PreTokenizerPtr pre_tokenizer_from_json(const json& section, bool raw_bytes) {
  if (section.is_null()) return nullptr;
  JsonFields fields(section, "pre_tokenizer");
  std::string type = fields.type();
  if (type == "Sequence")
    return make_pre_tokenizer_sequence(
        sequence_of<PreTokenizerPtr>(fields.array("pretokenizers"), [&](const json& part) {
          if (part.is_null()) fields.fail("pretokenizers", "must not have null in it");
          return pre_tokenizer_from_json(part, raw_bytes);
        }));
  if (type == "Split")
    return make_split(pattern_of(fields, "pre_tokenizer.Split"), behavior_of(fields, "Isolated"),
                      fields.flag_or("invert", false));
  if (type == "ByteLevel")
    return make_byte_level(fields.flag_or("add_prefix_space", true), fields.flag_or("use_regex", true),
                           raw_bytes);
  if (type == "Metaspace")
    return make_metaspace(fields.character_or("replacement", U'\u2581'), scheme_of(fields),
                          fields.flag_or("split", true));
  if (type == "Whitespace") return make_whitespace();
  if (type == "WhitespaceSplit") return make_whitespace_split();
  if (type == "BertPreTokenizer") return make_bert_pre_tokenizer();
  if (type == "Punctuation") return make_punctuation(behavior_of(fields, "Isolated"));
  if (type == "Digits") return make_digits(fields.flag_or("individual_digits", false));
  if (type == "CharDelimiterSplit") return make_char_delimiter(fields.character_or("delimiter", ' '));
  if (type == "FixedLength") {
    uint32_t length = fields.number_or("length", 5);
    if (length == 0) fields.fail("length", "must not be 0");
    return make_fixed_length(length);
  }
  fields.fail("type", fmt::format("\"{}\" is not a known pre-tokenizer", type));
}

bool ends_in_byte_level(const json& section) {
  if (!section.is_object() || !section.contains("type")) return false;
  if (section["type"] == "ByteLevel") return true;
  if (section["type"] != "Sequence" || !section.contains("pretokenizers")) return false;
  const auto& parts = section["pretokenizers"];
  if (!parts.is_array() || parts.empty() || !ends_in_byte_level(parts.back())) return false;
  return std::none_of(parts.begin(), parts.end() - 1, [](const json& part) {
    return !part.is_object() || part.value("type", json()) == "ByteLevel" ||
           part.value("type", json()) == "Sequence";
  });
}

bool is_byte_level(const json& section) {
  return section.is_object() && section.value("type", json()) == "ByteLevel";
}

DecoderPtr decoder_from_json(const json& section) {
  if (section.is_null()) return nullptr;
  JsonFields fields(section, "decoder");
  std::string type = fields.type();
  if (type == "Sequence")
    return make_decoder_sequence(sequence_of<DecoderPtr>(fields.array("decoders"), [&](const json& part) {
      if (part.is_null()) fields.fail("decoders", "must not have null in it");
      return decoder_from_json(part);
    }));
  if (type == "ByteLevel") return make_byte_level_decoder();
  if (type == "ByteFallback") return make_byte_fallback_decoder();
  if (type == "Fuse") return make_fuse_decoder();
  if (type == "Strip")
    return make_strip_decoder(fields.character_or("content", ' '), fields.number_or("start", 0),
                              fields.number_or("stop", 0));
  if (type == "Replace")
    return make_replace_decoder(pattern_of(fields, "decoder.Replace"), fields.text("content"));
  if (type == "WordPiece")
    return make_wordpiece_decoder(fields.text_or("prefix", "##"), fields.flag_or("cleanup", true));
  if (type == "Metaspace")
    return make_metaspace_decoder(fields.character_or("replacement", U'\u2581'),
                                  scheme_of(fields) != PrependScheme::kNever);
  if (type == "BPEDecoder") return make_bpe_decoder(fields.text_or("suffix", "</w>"));
  if (type == "CTC")
    return make_ctc_decoder(fields.text_or("pad_token", "<pad>"), fields.text_or("word_delimiter_token", "|"),
                            fields.flag_or("cleanup", true));
  fields.fail("type", fmt::format("\"{}\" is not a known decoder", type));
}

}  // namespace rose::text
