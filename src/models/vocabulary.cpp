#include "models/vocabulary.h"

#include <algorithm>
#include <optional>

#include "text/tokenizer/gguf_vocabulary.h"
#include "weights/gguf_tokenizer.h"

namespace rose::models {
namespace {

std::vector<int32_t> as_int32(const std::vector<text::TokenId>& ids) { return {ids.begin(), ids.end()}; }

// "eos_token" of tokenizer_config.json: a text, or an object with one.
std::string token_text(const nlohmann::json& config, const char* key) {
  auto found = config.find(key);
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string())
    return (*found)["content"].get<std::string>();
  return "";
}

// "eos_token_id" of config.json and generation_config.json: a number or a list.
void add_ids(const nlohmann::json& config, std::vector<int32_t>& ids) {
  auto found = config.find("eos_token_id");
  if (found == config.end()) return;
  for (const auto& id : found->is_array() ? *found : nlohmann::json::array({*found}))
    if (id.is_number_integer()) ids.push_back(id.get<int32_t>());
}

}  // namespace

Vocabulary::Vocabulary(const Checkpoint& checkpoint) {
  if (checkpoint.is_gguf())
    from_gguf(checkpoint);
  else
    from_folder(checkpoint);
  if (!template_source_.empty()) template_ = std::make_unique<text::ChatTemplate>(template_source_);
  std::ranges::sort(stop_tokens_);
  stop_tokens_.erase(std::ranges::unique(stop_tokens_).begin(), stop_tokens_.end());
}

void Vocabulary::from_gguf(const Checkpoint& checkpoint) {
  auto facts = weights::read_tokenizer(checkpoint.metadata());
  text::GgufVocabulary v;
  v.model = facts.model, v.pre = facts.pre;
  v.bos = facts.bos, v.eos = facts.eos, v.unknown = facts.unknown, v.separator = facts.separator;
  v.padding = facts.padding, v.cls = facts.classify;
  v.add_bos = facts.add_bos, v.add_eos = facts.add_eos, v.add_space_prefix = facts.add_space_prefix;
  v.precompiled_charsmap = facts.precompiled_charsmap;
  auto text_of = [&](std::optional<uint32_t> id) {
    return id ? std::string(facts.tokens.at(*id)) : std::string();
  };
  bos_text_ = text_of(facts.bos), eos_text_ = text_of(facts.eos);
  for (auto id : {facts.eos, facts.end_of_turn, facts.end_of_message})
    if (id) stop_tokens_.push_back(static_cast<int32_t>(*id));
  template_source_ = facts.chat_template;
  v.tokens = std::move(facts.tokens), v.scores = std::move(facts.scores);
  v.token_types = std::move(facts.types), v.merges = std::move(facts.merges);
  tokenizer_ = text::tokenizer_from_gguf(v);
}

void Vocabulary::from_folder(const Checkpoint& checkpoint) {
  const auto& files = checkpoint.files();
  if (!files.tokenizer) fail("{}: has no tokenizer.json", files.folder.string());
  tokenizer_ = text::Tokenizer::from_json(read_text(*files.tokenizer));
  add_ids(checkpoint.config(), stop_tokens_);
  if (files.generation_config) add_ids(read_json(*files.generation_config), stop_tokens_);
  if (files.tokenizer_config) {
    auto config = read_json(*files.tokenizer_config);
    bos_text_ = token_text(config, "bos_token"), eos_text_ = token_text(config, "eos_token");
    if (auto found = config.find("chat_template"); found != config.end() && found->is_string())
      template_source_ = found->get<std::string>();
    if (auto id = tokenizer_->token_to_id(eos_text_); id && !eos_text_.empty())
      stop_tokens_.push_back(static_cast<int32_t>(*id));
  }
  if (files.chat_template) template_source_ = read_text(*files.chat_template);
}

std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
  return as_int32(tokenizer_->encode(text));
}

std::vector<int32_t> Vocabulary::encode_chat(std::string_view text) const {
  return as_int32(tokenizer_->encode(text, {.add_special_tokens = false}));
}

std::string Vocabulary::chat_prompt(const std::vector<Message>& messages) const {
  if (!template_) fail("the model has no chat template; use --raw to complete the text as it is");
  nlohmann::ordered_json variables;
  variables["messages"] = nlohmann::ordered_json::array();
  for (const auto& m : messages) variables["messages"].push_back({{"role", m.role}, {"content", m.content}});
  variables["add_generation_prompt"] = true;
  variables["bos_token"] = bos_text_, variables["eos_token"] = eos_text_;
  return template_->render(variables);
}

}  // namespace rose::models
