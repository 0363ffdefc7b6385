// `rose info`: what a model is, without running it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/models.h"
#include "cli/table.h"
#include "models/encoder.h"
#include "models/memory_plan.h"
#include "models/sentence.h"
#include "models/text_head.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  bool json = false, tensors = false;
};

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::ranges::count(list, name) > 0;
}

void add_decoder(const models::Checkpoint& checkpoint, nlohmann::ordered_json& json) {
  auto c = models::read_decoder_config(checkpoint);
  json["context_length"] = c.context_length;
  json["vocabulary"] = c.vocab;
  json["layers"] = c.layers, json["hidden_size"] = c.hidden, json["feed_forward_size"] = c.intermediate;
  json["heads"] = c.q_heads, json["kv_heads"] = c.kv_heads, json["head_dim"] = c.head_dim;
  if (c.window) json["sliding_window"] = c.window;
  json["kv_cache_bytes_per_token"] = models::KvCache::bytes_per_token(c);
  const int64_t tokens = std::min<int64_t>(c.context_length, 4096);
  auto plan = models::plan_memory(models::Compute{}, checkpoint, c, models::Precision::kFast, tokens, 1);
  json["memory"] = {{"tokens", tokens},
                    {"weights_bytes", plan.weights},
                    {"kv_cache_bytes", plan.cache},
                    {"work_bytes", plan.workspace},
                    {"total_bytes", plan.need()}};
}

void add_encoder(const models::Checkpoint& checkpoint, nlohmann::ordered_json& json) {
  auto c = models::read_encoder_config(checkpoint);
  auto sentence = models::read_sentence_config(checkpoint);
  json["context_length"] = std::min(c.max_tokens, sentence.max_tokens.value_or(c.max_tokens));
  json["vocabulary"] = c.vocab;
  json["layers"] = c.layers, json["hidden_size"] = c.hidden, json["feed_forward_size"] = c.intermediate;
  json["heads"] = c.heads;
  if (models::is_classifier(checkpoint)) {
    json["labels"] = models::read_classifier_config(checkpoint).labels;
    json["kind"] = json["labels"].size() == 1 ? "rerank" : "classify";
    return;
  }
  std::vector<std::string> poolings;
  for (auto pooling : sentence.pooling) poolings.emplace_back(models::pooling_name(pooling));
  json["pooling"] = fmt::format("{}", fmt::join(poolings, ", ")), json["normalize"] = sentence.normalize;
}

nlohmann::ordered_json describe(const models::Checkpoint& checkpoint, bool tensors) {
  nlohmann::ordered_json json;
  json["name"] = checkpoint.name();
  json["path"] = std::filesystem::absolute(checkpoint.files().weights).string();
  json["architecture"] = checkpoint.architecture();
  json["parameters"] = checkpoint.tensors().total_elements();
  bool decoder = contains(models::decoder_architectures(), checkpoint.architecture());
  bool encoder = contains(models::encoder_architectures(), checkpoint.architecture());
  json["kind"] = decoder ? "generate" : encoder ? "embed" : "unknown to ROSE";
  if (decoder) add_decoder(checkpoint, json);
  if (encoder) add_encoder(checkpoint, json);
  json["weights_bytes"] = checkpoint.tensors().total_bytes();
  for (auto [format, bytes] : checkpoint.tensors().bytes_by_format())
    json["formats"][std::string(weights::name(format))] = bytes;
  if (decoder || encoder) {
    models::Vocabulary vocabulary(checkpoint);
    json["tokens"] = vocabulary.tokenizer().id_limit();
    json["stop_tokens"] = nlohmann::ordered_json::object();
    for (int32_t id : vocabulary.stop_tokens())
      json["stop_tokens"][std::string(vocabulary.tokenizer().id_to_token(static_cast<uint32_t>(id)))] = id;
    json["chat_template"] = vocabulary.has_template() ? nlohmann::ordered_json(vocabulary.template_source())
                                                      : nlohmann::ordered_json(nullptr);
  }
  if (tensors)
    for (const auto& t : checkpoint.tensors())
      json["tensors"].push_back({{"name", t.name},
                                 {"format", weights::name(t.format)},
                                 {"shape", t.shape},
                                 {"bytes", t.bytes.size()}});
  return json;
}

void print(const nlohmann::ordered_json& json) {
  for (const auto& [key, value] : json.items()) {
    if (key == "tensors" || key == "formats" || key == "chat_template") continue;
    if (key == "memory") {
      fmt::print("{:<26}{} for {} tokens: {} of weights, {} of KV cache, {} to work in\n", "memory",
                 bytes_text(value["total_bytes"]), value["tokens"].get<int64_t>(),
                 bytes_text(value["weights_bytes"]), bytes_text(value["kv_cache_bytes"]),
                 bytes_text(value["work_bytes"]));
      continue;
    }
    std::string name = key;
    std::ranges::replace(name, '_', ' ');
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (key.find("bytes") != std::string::npos) text = bytes_text(value.get<double>());
    fmt::print("{:<26}{}\n", name, text);
  }
  for (const auto& [format, bytes] : json["formats"].items())
    fmt::print("{:<26}{}\n", "  " + format, bytes_text(bytes.get<double>()));
  if (json.contains("chat_template") && json["chat_template"].is_string())
    fmt::print("\nchat template\n{}\n", json["chat_template"].get<std::string>());
  if (!json.contains("tensors")) return;
  Table table({"tensor", "format", "shape", ">bytes"});
  for (const auto& t : json["tensors"])
    table.add({t["name"], t["format"], t["shape"].dump(), bytes_text(t["bytes"].get<double>())});
  fmt::print("\n{}", table.text());
}

int info(const Options& o) {
  auto checkpoint = models::Checkpoint::open(find_model_path(o.model.model));
  auto json = describe(checkpoint, o.tensors);
  if (o.json)
    return write_out(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n")
               ? kDone
               : kFailed;
  print(json);
  return kDone;
}

}  // namespace

void add_info(CLI::App& parent, Action& action) {
  CLI::App* command =
      parent.add_subcommand("info", "Show what a model is: architecture, sizes, tokens, chat template");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model, false);
  command->add_flag("--tensors", o->tensors, "List every tensor");
  command->add_flag("--json", o->json, "Print JSON");
  command->footer("Example:\n  rose info smollm2 --tensors");
  command->callback([&action, o] { action = [o] { return info(*o); }; });
}

}  // namespace rose::cli
