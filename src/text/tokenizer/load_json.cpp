// Reading a tokenizer.json. The vocabulary and the merges are most of the file, so they are read by a cursor
// straight into flat tables; the other sections are small and become a JSON tree first.
#include <fmt/format.h>

#include <map>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/json_scanner.h"
#include "text/tokenizer/merge_reader.h"
#include "text/tokenizer/parts_json.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/unigram.h"
#include "text/tokenizer/wordpiece.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

using nlohmann::json;
constexpr std::string_view kDocument = "tokenizer.json";
constexpr const char* kPrefix = "model.continuing_subword_prefix";

// {"token": id, ...}
Vocabulary read_vocabulary(JsonScanner& scanner) {
  Vocabulary::Builder vocabulary;
  vocabulary.reserve(scanner.left() / 16,
                     scanner.left() / 4);  // about; memory that is not used is not touched
  scanner.object([&](std::string_view token) {
    vocabulary.add(token, scanner.unsigned_integer(), scanner.readable(token));
  });
  return vocabulary.build();
}

// [["a", "b"], ...], or as older files have it, ["a b", ...]
BpeMerges read_merges(JsonScanner& scanner, const Vocabulary& vocabulary, size_t prefix_length) {
  MergeReader reader(vocabulary, prefix_length, scanner.left() / 24, [](size_t rank, std::string_view token) {
    throw TextError(
        fmt::format("tokenizer.json: model.merges[{}] needs the token \"{}\", which model.vocab lacks", rank,
                    token.substr(0, 100)));
  });
  scanner.array([&] {
    auto& [left, right] = reader.buffers();
    if (scanner.peek() == '[') {
      scanner.expect('[');
      std::string_view first = scanner.string(left);
      scanner.expect(',');
      std::string_view second = scanner.string(right);
      scanner.expect(']');
      return reader.add({first, scanner.readable(first)}, {second, scanner.readable(second)});
    }
    std::string_view line = scanner.string(left);
    if (line.starts_with("#version")) return;
    size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
      scanner.fail("a merge must be two tokens with one space between them");
    const size_t readable = scanner.readable(line);
    reader.add({line.substr(0, space), readable}, {line.substr(space + 1), readable - space - 1});
  });
  return reader.take();
}

/// The members of the document as unparsed text; those of "model" under "model.NAME". Found in one pass,
/// since the file may be tens of megabytes; what is largest, vocabulary and merges, is read in the same pass
/// where it can be.
class Sections {
 public:
  explicit Sections(std::string_view text) {
    JsonScanner scanner(text, kDocument);
    auto record = [&](const std::string& key) {
      scanner.peek();
      const size_t begin = scanner.offset();
      if (!read_early(key, scanner)) scanner.value();
      members_[key] = {text.substr(begin, scanner.offset() - begin), begin};
    };
    scanner.object([&](std::string_view key) {
      std::string name(key);
      if (name == "model" && scanner.peek() == '{')
        scanner.object([&](std::string_view inner) { record("model." + std::string(inner)); });
      else
        record(name);
    });
    if (scanner.peek() != '\0') scanner.fail("text behind the end");
  }

  bool has(const std::string& key) const {
    auto found = members_.find(key);
    return found != members_.end() && found->second.text != "null";
  }
  JsonScanner scan(const std::string& key) const {
    auto found = members_.find(key);
    if (found == members_.end()) throw TextError(fmt::format("tokenizer.json: {} is missing", key));
    return {found->second.text, kDocument, found->second.offset};
  }
  /// The section as a tree; null if it is missing.
  json tree(const std::string& key) const {
    auto found = members_.find(key);
    if (found == members_.end()) return nullptr;
    json tree = json::parse(found->second.text, nullptr, false);
    if (tree.is_discarded()) throw TextError(fmt::format("tokenizer.json: {} is not valid JSON", key));
    return tree;
  }
  std::string text_or(const std::string& key, std::string fallback) const {
    if (!has(key)) return fallback;
    std::string buffer;
    return std::string(scan(key).string(buffer));
  }
  bool flag(const std::string& key) const { return has(key) && scan(key).boolean(); }

  /// "model.vocab" as {"token": id, ...}. Only once.
  Vocabulary take_vocabulary() {
    if (vocabulary_) return std::move(*vocabulary_);
    JsonScanner scanner = scan("model.vocab");
    return read_vocabulary(scanner);
  }
  /// "model.merges" of take_vocabulary(). Only once.
  BpeMerges take_merges(const Vocabulary& vocabulary, const std::string& prefix) {
    if (merges_ && prefix == early_prefix_) return std::move(*merges_);
    JsonScanner scanner = scan("model.merges");
    return read_merges(scanner, vocabulary, prefix.size());
  }

 private:
  struct Member {
    std::string_view text;
    size_t offset;
  };

  // Whether the value is one that can be read now, and has been. Of a key given twice the last counts.
  bool read_early(const std::string& key, JsonScanner& scanner) {
    if (key == "model.vocab") {
      vocabulary_.reset(), merges_.reset();
      if (scanner.peek() != '{') return false;
      vocabulary_ = read_vocabulary(scanner);
      return true;
    }
    if (key != "model.merges") return false;
    merges_.reset();
    if (scanner.peek() != '[' || !vocabulary_ || text_or("model.type", "BPE") != "BPE") return false;
    early_prefix_ = text_or(kPrefix, "");
    merges_ = read_merges(scanner, *vocabulary_, early_prefix_.size());
    return true;
  }

  std::map<std::string, Member> members_;
  std::optional<Vocabulary> vocabulary_;
  std::optional<BpeMerges> merges_;
  std::string early_prefix_;  ///< that merges_ was read with
};

bool has_all_bytes(const Vocabulary& vocabulary) {
  for (int byte = 0; byte < 256; byte++)
    if (vocabulary.find(unicode::encode(byte_to_char(static_cast<unsigned char>(byte)))) == kNoToken)
      return false;
  return true;
}

std::unique_ptr<const Model> read_bpe(Sections& document, bool after_byte_level, bool& raw_bytes) {
  BpeOptions options;
  options.unknown_token = document.text_or("model.unk_token", "");
  options.subword_prefix = document.text_or(kPrefix, "");
  options.word_suffix = document.text_or("model.end_of_word_suffix", "");
  options.fuse_unknown = document.flag("model.fuse_unk");
  options.byte_fallback = document.flag("model.byte_fallback");
  options.ignore_merges = document.flag("model.ignore_merges");
  Vocabulary vocabulary = document.take_vocabulary();
  BpeMerges merges = document.take_merges(vocabulary, options.subword_prefix);
  bool drops_unknown = options.unknown_token.empty() && !options.byte_fallback;
  bool plain = options.subword_prefix.empty() && options.word_suffix.empty();
  raw_bytes = options.maps_bytes = after_byte_level && plain && (drops_unknown || has_all_bytes(vocabulary));
  return std::make_unique<Bpe>(std::move(vocabulary), std::move(merges), std::move(options));
}

// [["piece", score], ...]
std::unique_ptr<const Model> read_unigram(const Sections& document) {
  Vocabulary::Builder vocabulary;
  std::vector<double> scores;
  JsonScanner scanner = document.scan("model.vocab");
  std::string buffer;
  scanner.array([&] {
    scanner.expect('[');
    vocabulary.add(scanner.string(buffer), static_cast<TokenId>(scores.size()));
    scanner.expect(',');
    scores.push_back(scanner.number());
    scanner.expect(']');
  });
  TokenId unknown =
      document.has("model.unk_id") ? document.scan("model.unk_id").unsigned_integer() : kNoToken;
  return std::make_unique<Unigram>(vocabulary.build(), std::move(scores), unknown,
                                   document.flag("model.byte_fallback"));
}

// Files of old versions do not name the kind of their model.
std::string model_type(const Sections& document) {
  if (document.has("model.type")) return document.text_or("model.type", "");
  if (document.has("model.merges")) return "BPE";
  if (document.has(kPrefix)) return "WordPiece";
  return document.has("model.vocab") && document.scan("model.vocab").peek() == '[' ? "Unigram" : "WordLevel";
}

std::unique_ptr<const Model> read_model(Sections& document, bool after_byte_level, bool& raw_bytes) {
  std::string type = model_type(document);
  if (type == "BPE") return read_bpe(document, after_byte_level, raw_bytes);
  if (type == "Unigram") return read_unigram(document);
  if (type == "WordPiece") {
    uint32_t limit = document.has("model.max_input_chars_per_word")
                         ? document.scan("model.max_input_chars_per_word").unsigned_integer()
                         : 100;
    return std::make_unique<WordPiece>(document.take_vocabulary(),
                                       document.text_or("model.unk_token", "[UNK]"),
                                       document.text_or(kPrefix, "##"), limit);
  }
  if (type == "WordLevel")
    return std::make_unique<WordLevel>(document.take_vocabulary(),
                                       document.text_or("model.unk_token", "<unk>"));
  throw TextError(fmt::format("tokenizer.json: model.type \"{}\" is not a known model", type));
}

// The id of an added token is the vocabulary's if the token is there; else the next free one. The "id" that
// the file gives is not consulted, as HF does not either.
std::vector<AddedToken> read_added_tokens(const Sections& document, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  if (!document.has("added_tokens")) return tokens;
  JsonScanner scanner = document.scan("added_tokens");
  Vocabulary seen;
  auto next_id = static_cast<TokenId>(vocabulary.size());
  std::string buffer;
  scanner.array([&] {
    AddedToken token;
    scanner.object([&](std::string_view key) {
      if (key == "content")
        token.content = scanner.string(buffer);
      else if (key == "single_word")
        token.single_word = scanner.boolean();
      else if (key == "lstrip")
        token.lstrip = scanner.boolean();
      else if (key == "rstrip")
        token.rstrip = scanner.boolean();
      else if (key == "normalized")
        token.normalized = scanner.boolean();
      else if (key == "special")
        token.special = scanner.boolean();
      else
        scanner.value();
    });
    if (token.content.empty()) return;
    TokenId before = seen.find(token.content);  // its place in the list
    token.id = before == kNoToken ? vocabulary.find(token.content) : tokens[before].id;
    if (token.id == kNoToken) token.id = next_id++;
    seen.add(token.content, static_cast<TokenId>(tokens.size()));
    tokens.push_back(std::move(token));
  });
  return tokens;
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view text) {
  if (!unicode::is_valid(text)) throw TextError("tokenizer.json: the file is not valid UTF-8");
  Sections document(text);
  json pre_tokenizer = document.tree("pre_tokenizer"), decoder = document.tree("decoder");
  TokenizerParts parts;
  bool raw_bytes = false;
  parts.model = read_model(document, ends_in_byte_level(pre_tokenizer), raw_bytes);
  parts.normalizer = normalizer_from_json(document.tree("normalizer"));
  parts.pre_tokenizer = pre_tokenizer_from_json(pre_tokenizer, raw_bytes);
  parts.post_processor = post_processor_from_json(document.tree("post_processor"));
  parts.decoder = decoder_from_json(decoder);
  parts.decodes_bytes = is_byte_level(decoder);
  parts.added_tokens = read_added_tokens(document, parts.model->vocabulary());
  return std::make_unique<Tokenizer>(std::move(parts));
}

}  // namespace rose::text
