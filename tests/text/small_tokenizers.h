// Tokenizers small enough to follow by hand, as tokenizer.json texts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace rose::text {

using Json = nlohmann::json;

inline Json added(const char* content, bool special = true, bool normalized = false) {
  return {{"id", 0},         {"content", content}, {"single_word", false},    {"lstrip", false},
          {"rstrip", false}, {"special", special}, {"normalized", normalized}};
}

/// Byte-level BPE with the 256 byte tokens and a few merges: "he", "ll", "hell", "hello", " w", "é".
inline Json byte_level_json() {
  Json vocabulary = Json::object();
  int next = 0;
  auto add = [&](const std::string& token) {
    if (!vocabulary.contains(token)) vocabulary[token] = next++;
  };
  // GPT-2's alphabet: visible bytes are themselves, the others U+0100 and up.
  int shifted = 0x100;
  for (int byte = 0; byte < 256; byte++) {
    bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    int point = visible ? byte : shifted++;
    std::string text;
    if (point < 0x80) {
      text.push_back(static_cast<char>(point));
    } else {
      text.push_back(static_cast<char>(0xC0 | point >> 6));
      text.push_back(static_cast<char>(0x80 | (point & 0x3F)));
    }
    add(text);
  }
  Json merges = Json::array();
  const std::pair<const char*, const char*> rules[] = {{"h", "e"},    {"l", "l"}, {"he", "ll"},
                                                       {"hell", "o"}, {"Ġ", "w"}, {"Ã", "©"}};
  for (auto [left, right] : rules) {
    add(std::string(left) + right);
    merges.push_back({left, right});
  }
  return {{"version", "1.0"},
          {"added_tokens", {added("<|end|>"), added("<think>", false)}},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

/// SentencePiece-style BPE over "▁", a, b with byte fallback.
inline Json sentencepiece_json() {
  Json vocabulary = {{"<unk>", 0}, {"<s>", 1}};
  int next = 2;
  for (int byte = 0; byte < 256; byte++) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocabulary[name] = next++;
  }
  for (const char* token : {"▁", "a", "b", "▁a", "ab", "▁ab"}) vocabulary[token] = next++;
  return {{"added_tokens", {added("<s>")}},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "▁"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single",
             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
              {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
            {"pair",
             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
              {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
              {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocabulary},
            {"merges", {"▁ a", "a b", "▁ ab"}}}}};
}

inline Json bert_json() {
  Json vocabulary = Json::object();
  int next = 0;
  for (const char* token :
       {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "hello", "!", "世", "##a"})
    vocabulary[token] = next++;
  return {{"added_tokens", {added("[PAD]"), added("[UNK]"), added("[CLS]"), added("[SEP]")}},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", true},
            {"lowercase", true}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor", {{"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}}},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", vocabulary}}}};
}

inline Json unigram_json() {
  Json vocabulary = Json::array();
  const std::pair<const char*, double> pieces[] = {{"<unk>", 0.0}, {"▁", -3.0},  {"a", -2.0},   {"b", -2.5},
                                                   {"ab", -3.0},   {"▁a", -4.0}, {"▁ab", -7.1}, {"ba", -9.0}};
  for (auto [piece, score] : pieces) vocabulary.push_back(Json::array({piece, score}));
  Json metaspace = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", true}};
  return {{"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", metaspace},
          {"post_processor", nullptr},
          {"decoder", metaspace},
          {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocabulary}}}};
}

}  // namespace rose::text
