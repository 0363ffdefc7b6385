#include "weights/gguf_tokenizer.h"

#include <cstring>
#include <limits>

#include "weights/error.h"

namespace rose::weights {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";
constexpr std::string_view kTemplateKey = "tokenizer.chat_template";

std::string ggml(std::string_view name) { return std::string(kPrefix).append(name); }

template <typename T>
void expect_one_each(const MetaData& metadata, const std::string& key, const std::vector<T>& list,
                     size_t tokens) {
  if (!list.empty() && list.size() != tokens) {
    fail(metadata.file(), "key " + quote_name(key), "has {} entries, but there are {} tokens", list.size(),
         tokens);
  }
}

// The first of the keys that is present; files spell some of them in two ways.
std::optional<uint32_t> token_id(const MetaData& metadata, std::initializer_list<std::string_view> names,
                                 size_t tokens) {
  for (std::string_view name : names) {
    const std::string key = ggml(name);
    auto id = metadata.find_unsigned(key);
    if (!id) continue;
    if (*id >= tokens)
      fail(metadata.file(), "key " + quote_name(key), "{} is not the id of one of the {} tokens", *id,
           tokens);
    return static_cast<uint32_t>(*id);
  }
  return std::nullopt;
}

std::vector<int32_t> token_types(const MetaData& metadata) {
  std::vector<int32_t> types;
  const std::string key = ggml("token_type");
  auto take = [&](int64_t type) {
    if (type < 0 || type > std::numeric_limits<int32_t>::max()) {
      fail(metadata.file(), "key " + quote_name(key), "holds {}, which is no token type", type);
    }
    types.push_back(static_cast<int32_t>(type));
  };
  const MetaValue* found = metadata.find(key);
  const MetaArray* array = found ? std::get_if<MetaArray>(&found->value) : nullptr;
  if (array && array->element == MetaType::kI32) {  // as all files have it: without a copy of 64-bit numbers
    types.reserve(array->count);
    for (size_t at = 0; at < array->numbers.size(); at += sizeof(int32_t)) {
      int32_t type = 0;
      std::memcpy(&type, array->numbers.data() + at, sizeof type);
      take(type);
    }
    return types;
  }
  for (int64_t type : metadata.integers(key)) take(type);
  return types;
}

// SentencePiece's character map is stored as an array of bytes.
std::string_view bytes_of(const MetaData& metadata, const std::string& key) {
  const MetaValue* found = metadata.find(key);
  if (!found) return {};
  const auto* array = std::get_if<MetaArray>(&found->value);
  if (!array || (array->element != MetaType::kU8 && array->element != MetaType::kI8)) {
    fail(metadata.file(), "key " + quote_name(key), "must be an array of bytes");
  }
  return {reinterpret_cast<const char*>(array->numbers.data()), array->numbers.size()};
}

void read_templates(const MetaData& metadata, GgufTokenizer& tokenizer) {
  tokenizer.chat_template = metadata.text_or(kTemplateKey, "");
  for (const auto& [key, value] : metadata.entries()) {
    if (key.size() <= kTemplateKey.size() + 1 || !key.starts_with(kTemplateKey) ||
        key[kTemplateKey.size()] != '.')
      continue;
    tokenizer.named_chat_templates.emplace(key.substr(kTemplateKey.size() + 1), metadata.text_at(key));
  }
}

}  // namespace

GgufTokenizer read_tokenizer(const MetaData& metadata) {
  GgufTokenizer t;
  t.model = metadata.text_at(ggml("model"));
  t.pre = metadata.text_or(ggml("pre"), "");

  const auto tokens = metadata.texts(ggml("tokens"));
  if (tokens.empty()) fail(metadata.file(), "key " + quote_name(ggml("tokens")), "is missing or empty");
  if (tokens.size() > std::numeric_limits<int32_t>::max()) {
    fail(metadata.file(), "key " + quote_name(ggml("tokens")), "has {} entries, more than token ids can name",
         tokens.size());
  }
  t.tokens.assign(tokens.begin(), tokens.end());
  t.scores = metadata.reals(ggml("scores"));
  expect_one_each(metadata, ggml("scores"), t.scores, tokens.size());
  t.types = token_types(metadata);
  expect_one_each(metadata, ggml("token_type"), t.types, tokens.size());
  const auto merges = metadata.texts(ggml("merges"));
  t.merges.assign(merges.begin(), merges.end());
  t.segment_count = metadata.unsigned_or(ggml("token_type_count"), 0);

  auto id = [&](auto... names) { return token_id(metadata, {names...}, tokens.size()); };
  t.bos = id("bos_token_id");
  t.eos = id("eos_token_id");
  t.end_of_turn = id("eot_token_id");
  t.end_of_message = id("eom_token_id");
  t.unknown = id("unknown_token_id");
  t.separator = id("seperator_token_id", "separator_token_id");  // the specification misspells it
  t.padding = id("padding_token_id");
  t.mask = id("mask_token_id");
  t.classify = id("cls_token_id");
  t.fill_prefix = id("fim_pre_token_id", "prefix_token_id");
  t.fill_suffix = id("fim_suf_token_id", "suffix_token_id");
  t.fill_middle = id("fim_mid_token_id", "middle_token_id");

  t.add_bos = metadata.find_boolean(ggml("add_bos_token"));
  t.add_eos = metadata.find_boolean(ggml("add_eos_token"));
  t.add_separator = metadata.find_boolean(ggml("add_sep_token"));
  t.add_space_prefix = metadata.find_boolean(ggml("add_space_prefix"));
  t.remove_extra_whitespaces = metadata.find_boolean(ggml("remove_extra_whitespaces"));

  t.precompiled_charsmap = bytes_of(metadata, ggml("precompiled_charsmap"));
  t.huggingface_json = metadata.text_or("tokenizer.huggingface.json", "");
  read_templates(metadata, t);
  return t;
}

}  // namespace rose::weights
