#include "models/vocabulary.h"

#include <algorithm>
#include <optional>

#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/tokenizer_config.h"
#include "weights/gguf_tokenizer.h"

namespace rose::models {
namespace {

std::vector<int32_t> as_int32(const std::vector<text::TokenId>& ids) { return {ids.begin(), ids.end()}; }

// What `make` returns; a TextError becomes one that names the file too.
template <typename Make>
auto in_file(const std::string& place, Make make) {
  try {
    return make();
  } catch (const text::TextError& error) {
    throw text::TextError(fmt::format("{}: {}", place, error.what()));
  }
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
  try {
    if (!template_source_.empty())
      template_ =
          in_file(template_place_, [&] { return std::make_unique<text::ChatTemplate>(template_source_); });
  } catch (const text::TextError& error) {  // the model can still complete text
    template_error_ = error.what();
  }
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
  const std::string file = checkpoint.files().weights.string();
  template_source_ = facts.chat_template, template_place_ = file;
  v.tokens = std::move(facts.tokens), v.scores = std::move(facts.scores);
  v.token_types = std::move(facts.types), v.merges = std::move(facts.merges);
  tokenizer_ = in_file(file, [&] { return text::tokenizer_from_gguf(v); });
}

void Vocabulary::from_folder(const Checkpoint& checkpoint) {
  const auto& files = checkpoint.files();
  if (!files.tokenizer) fail("{}: has no tokenizer.json", files.folder.string());
  const std::string folder = files.folder.string();
  tokenizer_ = in_file(folder, [&] { return text::Tokenizer::from_json(read_text(*files.tokenizer)); });
  add_ids(checkpoint.config(), stop_tokens_);
  if (files.generation_config) add_ids(read_object(*files.generation_config), stop_tokens_);
  if (files.tokenizer_config) {
    auto config =
        in_file(folder, [&] { return text::TokenizerConfig::from_json(read_text(*files.tokenizer_config)); });
    bos_text_ = config.bos_token.value_or(""), eos_text_ = config.eos_token.value_or("");
    template_source_ = config.chat_template.value_or(""), template_place_ = files.tokenizer_config->string();
    if (auto id = tokenizer_->token_to_id(eos_text_); id && !eos_text_.empty())
      stop_tokens_.push_back(static_cast<int32_t>(*id));
  }
  if (files.chat_template)
    template_source_ = read_text(*files.chat_template), template_place_ = files.chat_template->string();
}

std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
  return as_int32(tokenizer_->encode(text));
}

std::vector<int32_t> Vocabulary::encode_chat(std::string_view text) const {
  return as_int32(tokenizer_->encode(text, {.add_special_tokens = false}));
}

std::string Vocabulary::chat_prompt(const std::vector<Message>& messages) const {
  if (!template_error_.empty()) fail("{}; --raw completes the text without it", template_error_);
  if (!template_) fail("the model has no chat template; use --raw to complete the text as it is");
  nlohmann::ordered_json variables;
  variables["messages"] = nlohmann::ordered_json::array();
  for (const auto& m : messages) variables["messages"].push_back({{"role", m.role}, {"content", m.content}});
  variables["add_generation_prompt"] = true;
  variables["bos_token"] = bos_text_, variables["eos_token"] = eos_text_;
  return in_file(template_place_, [&] { return template_->render(variables); });
}

}  // namespace rose::models
