#include "text/tokenizer/tokenizer_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "text/error.h"

namespace rose::text {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const char* field, std::string_view what) {
  throw TextError(fmt::format("tokenizer_config.json: {} {}", field, what));
}

// "<s>" or {"content": "<s>", ...}
std::optional<std::string> token(const json& config, const char* field) {
  auto found = config.find(field);
  if (found == config.end() || found->is_null()) return std::nullopt;
  const json* value = &*found;
  if (value->is_object() && value->contains("content")) value = &(*value)["content"];
  if (!value->is_string()) fail(field, "must be a string or an object with a string \"content\"");
  return value->get<std::string>();
}

std::optional<bool> flag(const json& config, const char* field) {
  auto found = config.find(field);
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (!found->is_boolean()) fail(field, "must be true or false");
  return found->get<bool>();
}

void read_templates(const json& config, TokenizerConfig& out) {
  auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return;
  if (found->is_string()) {
    out.chat_template = found->get<std::string>();
    return;
  }
  if (!found->is_array()) fail("chat_template", "must be a string or a list of named templates");
  for (const auto& entry : *found) {
    bool whole = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                 entry.contains("template") && entry["template"].is_string();
    if (!whole) fail("chat_template", "must list objects with the strings \"name\" and \"template\"");
    auto name = entry["name"].get<std::string>();
    if (name == "default")
      out.chat_template = entry["template"].get<std::string>();
    else
      out.other_templates[name] = entry["template"].get<std::string>();
  }
}

}  // namespace

TokenizerConfig TokenizerConfig::from_json(std::string_view text) {
  json config = json::parse(text, nullptr, false);
  if (!config.is_object()) throw TextError("tokenizer_config.json: not a JSON object");
  TokenizerConfig out;
  out.bos_token = token(config, "bos_token");
  out.eos_token = token(config, "eos_token");
  out.unk_token = token(config, "unk_token");
  out.pad_token = token(config, "pad_token");
  out.sep_token = token(config, "sep_token");
  out.cls_token = token(config, "cls_token");
  out.add_bos_token = flag(config, "add_bos_token");
  out.add_eos_token = flag(config, "add_eos_token");
  out.clean_up_spaces = flag(config, "clean_up_tokenization_spaces").value_or(false);
  read_templates(config, out);
  // HF writes 10^30 for "no limit".
  auto limit = config.find("model_max_length");
  if (limit != config.end() && limit->is_number() && limit->get<double>() >= 1 && limit->get<double>() < 1e12)
    out.max_length = static_cast<size_t>(limit->get<double>());
  return out;
}

}  // namespace rose::text
