// Building a tokenizer from the metadata of a GGUF file.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/merge_reader.h"
#include "text/tokenizer/sentencepiece_bpe.h"
#include "text/tokenizer/unigram.h"
#include "text/tokenizer/wordpiece.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

// Values of tokenizer.ggml.token_type.
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

// The cuts that the models behind the names of tokenizer.ggml.pre were trained with, from their
// tokenizer.json.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Cut {
  std::vector<PreTokenizerPtr> steps;
  bool ignore_merges = false;
  bool nfc = false;
};

PreTokenizerPtr isolate(std::string_view pattern) {
  return make_split(Pattern::regex(pattern), SplitBehavior::kIsolated, false);
}

Cut cut_of(const std::string& pre) {
  Cut cut;
  auto one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), pre) != names.end();
  };
  bool gpt2_words = false;
  if (one_of({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "lfm2", "dbrx",
              "smaug-bpe", "chatglm-bpe", "glm4"})) {
    cut.steps.push_back(isolate(kLlama3));
    cut.ignore_merges = !one_of({"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"});
  } else if (one_of({"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"})) {
    cut.steps.push_back(isolate(kQwen2));
    cut.nfc = true;
  } else if (one_of({"gpt-4o", "llama4"})) {
    cut.steps.push_back(isolate(kO200k));
    cut.ignore_merges = true;
  } else if (pre == "tekken") {
    cut.steps.push_back(isolate(kTekken));
    cut.ignore_merges = true;
  } else if (pre == "deepseek-v3") {
    cut.steps.push_back(isolate(R"(\p{N}{1,3})"));
    cut.steps.push_back(isolate("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"));
    cut.steps.push_back(isolate(kDeepSeekWords));
  } else if (one_of({"smollm", "starcoder", "refact", "command-r", "codeshell"})) {
    cut.steps.push_back(make_digits(true));
    gpt2_words = true;
  } else if (one_of({"gpt-2", "phi-2", "mpt", "olmo", "exaone", "jina-es", "jina-de", "jina-v1-en",
                     "jina-v2-es", "jina-v2-de", "jina-v2-code", "roberta-bpe", "gigachat", "trillion",
                     ""})) {
    gpt2_words = true;
  } else {
    throw TextError(
        fmt::format("tokenizer.ggml.pre: the pre-tokenizer \"{}\" is not known to ROSE; use the model's "
                    "tokenizer.json instead",
                    pre));
  }
  cut.steps.push_back(make_byte_level(false, gpt2_words, true));
  return cut;
}

class Loader {
 public:
  explicit Loader(const GgufVocabulary& source) : source_(source) {
    size_t count = source.tokens.size();
    if (count == 0) throw TextError("tokenizer.ggml.tokens: missing or empty");
    auto fits = [&](size_t size, const char* key) {
      if (size != 0 && size != count)
        throw TextError(fmt::format("tokenizer.ggml.{}: has {} entries for {} tokens", key, size, count));
    };
    fits(source.scores.size(), "scores");
    fits(source.token_types.size(), "token_type");
    for (auto id : {source.bos, source.eos, source.unknown, source.separator, source.padding, source.cls})
      if (id && *id >= count)
        throw TextError(fmt::format("tokenizer.ggml: the special token id {} is not below {}", *id, count));
  }

  std::unique_ptr<Tokenizer> load() {
    if (source_.model == "gpt2")
      load_gpt2();
    else if (source_.model == "llama" || source_.model == "gemma4")
      load_llama();
    else if (source_.model == "bert")
      load_bert();
    else if (source_.model == "t5")
      load_t5();
    else
      throw TextError(
          fmt::format("tokenizer.ggml.model: \"{}\" is not a known kind of tokenizer", source_.model));
    add_special_tokens();
    return std::make_unique<Tokenizer>(std::move(parts_));
  }

 private:
  int32_t type_of(size_t id) const { return source_.token_types.empty() ? kNormal : source_.token_types[id]; }

  Vocabulary vocabulary() const {
    Vocabulary::Builder out;
    out.reserve(source_.tokens.size(), source_.tokens.size() * 12);
    for (size_t id = 0; id < source_.tokens.size(); id++)
      is_space_run(id) ? out.add(written(id), static_cast<TokenId>(id))
                       : out.add(source_.tokens[id], static_cast<TokenId>(id));
    return checked(std::move(out));
  }

  // Tokens change only by whole characters on their way into the vocabulary, so it shows whether they were
  // valid.
  Vocabulary checked(Vocabulary::Builder tokens) const {
    if (!tokens.is_valid_utf8())
      for (size_t id = 0; id < source_.tokens.size(); id++)
        if (!unicode::is_valid(source_.tokens[id]))
          throw TextError(fmt::format("tokenizer.ggml.tokens[{}]: not valid UTF-8", id));
    return tokens.build();
  }

  // Gemma's runs of spaces are user-defined tokens, which GGUF writes with real spaces. HF has them as
  // ordinary pieces of marks that join before all others, so that is what they become here.
  bool is_space_run(size_t id) const {
    std::string_view token = source_.tokens[id];
    return source_.model != "gpt2" && type_of(id) == kUserDefined && token.size() > 1 &&
           token.find_first_not_of(' ') == std::string_view::npos;
  }
  std::string written(size_t id) const {
    std::string text(source_.tokens[id]);
    if (!is_space_run(id)) return text;
    text.clear();
    for (size_t i = 0; i < source_.tokens[id].size(); i++) text += "\u2581";
    return text;
  }

  void add_special_tokens() {
    for (size_t id = 0; id < source_.tokens.size(); id++) {
      int32_t type = type_of(id);
      bool control = type == kControl || type == kUnknown;
      if ((!control && type != kUserDefined) || source_.tokens[id].empty()) continue;
      AddedToken token;
      token.id = static_cast<TokenId>(id);
      token.content = written(id);
      token.normalized = false;
      token.special = control;
      parts_.added_tokens.push_back(std::move(token));
    }
  }

  // <bos> A <eos>, each if wanted.
  void frame(bool bos_by_default, bool eos_by_default, std::optional<uint32_t> first,
             std::optional<uint32_t> last) {
    using Kind = PostProcessor::Item::Kind;
    bool with_first = source_.add_bos.value_or(bos_by_default) && first,
         with_last = source_.add_eos.value_or(eos_by_default) && last;
    std::vector<PostProcessor::Item> single, pair;
    auto add = [&](Kind kind, bool pair_only, uint32_t type, std::optional<uint32_t> id) {
      PostProcessor::Item item{kind, type, {}};
      if (id) item.tokens.push_back(*id);
      if (!pair_only) single.push_back(item);
      pair.push_back(item);
    };
    if (with_first) add(Kind::kTokens, false, 0, first);
    add(Kind::kFirst, false, 0, std::nullopt);
    if (with_last) add(Kind::kTokens, false, 0, last);
    add(Kind::kSecond, true, 1, std::nullopt);
    if (with_last) add(Kind::kTokens, true, 1, last);
    parts_.post_processor = PostProcessor(std::move(single), std::move(pair));
  }

  void load_gpt2() {
    Vocabulary tokens = vocabulary();
    MergeReader merges(tokens, 0, source_.merges.size(), [](size_t rank, std::string_view) {
      throw TextError(
          fmt::format("tokenizer.ggml.merges[{}]: needs a token that is not in the vocabulary", rank));
    });
    for (size_t rank = 0; rank < source_.merges.size(); rank++) {
      std::string_view line = source_.merges[rank];
      size_t space = line.find(' ', 1);
      if (space == std::string_view::npos)
        throw TextError(fmt::format("tokenizer.ggml.merges[{}]: has no space in it", rank));
      merges.add({line.substr(0, space), line.size()}, {line.substr(space + 1), line.size() - space - 1});
    }
    BpeMerges rules = merges.take();
    Cut cut = cut_of(source_.pre);
    BpeOptions options;
    options.maps_bytes = true;
    options.ignore_merges = cut.ignore_merges;
    parts_.model = std::make_unique<Bpe>(std::move(tokens), std::move(rules), options);
    parts_.pre_tokenizer = make_pre_tokenizer_sequence(std::move(cut.steps));
    if (cut.nfc) parts_.normalizer = make_unicode_form(unicode::Form::kNfc);
    parts_.decoder = make_byte_level_decoder();
    parts_.decodes_bytes = true;
    frame(source_.pre == "llama-bpe", false, source_.bos, source_.eos);
  }

  void need_scores() const {
    if (source_.scores.empty()) throw TextError("tokenizer.ggml.scores: missing");
  }

  void spaces_to_marks(bool prefix) {
    std::vector<NormalizerPtr> steps;
    if (prefix) steps.push_back(make_prepend("\u2581"));
    steps.push_back(make_replace(Pattern::literal(" "), "\u2581"));
    parts_.normalizer = make_normalizer_sequence(std::move(steps));
  }

  void marks_to_spaces(bool prefix) {
    std::vector<DecoderPtr> steps;
    steps.push_back(make_replace_decoder(Pattern::literal("\u2581"), " "));
    steps.push_back(make_byte_fallback_decoder());
    steps.push_back(make_fuse_decoder());
    if (prefix) steps.push_back(make_strip_decoder(' ', 1, 0));
    parts_.decoder = make_decoder_sequence(std::move(steps));
  }

  void load_llama() {
    need_scores();
    std::vector<float> scores = source_.scores;
    std::vector<bool> mergeable(source_.tokens.size());
    for (size_t id = 0; id < source_.tokens.size(); id++) {
      int32_t type = type_of(id);
      bool special = type == kControl || type == kUnknown || type == kUnused || type == kByte;
      mergeable[id] = !special && !source_.tokens[id].empty();
      if (is_space_run(id)) scores[id] = std::numeric_limits<float>::max();
    }
    parts_.model = std::make_unique<SentencePieceBpe>(vocabulary(), std::move(mergeable), std::move(scores),
                                                      source_.unknown.value_or(kNoToken));
    bool prefix = source_.add_space_prefix.value_or(true);
    spaces_to_marks(prefix);
    marks_to_spaces(prefix);
    frame(true, false, source_.bos, source_.eos);
  }

  void load_t5() {
    need_scores();
    std::vector<NormalizerPtr> steps;
    if (!source_.precompiled_charsmap.empty())
      steps.push_back(make_precompiled(source_.precompiled_charsmap));
    steps.push_back(make_replace(Pattern::regex(" {2,}"), " "));
    parts_.normalizer = make_normalizer_sequence(std::move(steps));
    bool prefix = source_.add_space_prefix.value_or(true);
    parts_.pre_tokenizer =
        make_metaspace(U'\u2581', prefix ? PrependScheme::kAlways : PrependScheme::kNever, true);
    std::vector<double> scores(source_.scores.begin(), source_.scores.end());
    parts_.model =
        std::make_unique<Unigram>(vocabulary(), std::move(scores), source_.unknown.value_or(kNoToken), true);
    marks_to_spaces(prefix);
    frame(false, true, source_.bos, source_.eos);
  }

  // GGUF writes word beginnings as SentencePiece does ("▁the") and continuations plainly ("ing").
  void load_bert() {
    Vocabulary::Builder tokens;
    tokens.reserve(source_.tokens.size(), source_.tokens.size() * 12);
    for (size_t id = 0; id < source_.tokens.size(); id++) {
      std::string_view token = source_.tokens[id];
      constexpr std::string_view kMark = "\u2581";
      bool plain =
          type_of(id) != kNormal || (token.starts_with('[') && token.ends_with(']') && token.size() > 2);
      std::string text(token);
      if (token.starts_with(kMark))
        text = token.substr(kMark.size());
      else if (!plain)
        text = "##" + text;
      tokens.add(text, static_cast<TokenId>(id));
    }
    std::string unknown(source_.unknown ? source_.tokens[*source_.unknown] : "[UNK]");
    parts_.model = std::make_unique<WordPiece>(checked(std::move(tokens)), unknown, "##", 100);
    parts_.normalizer = make_bert_normalizer({});
    parts_.pre_tokenizer = make_bert_pre_tokenizer();
    parts_.decoder = make_wordpiece_decoder("##", true);
    frame(true, true, source_.cls ? source_.cls : source_.bos,
          source_.separator ? source_.separator : source_.eos);
  }

  const GgufVocabulary& source_;
  TokenizerParts parts_;
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary) {
  return Loader(vocabulary).load();
}

}  // namespace rose::text
