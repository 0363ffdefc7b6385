// `rose list` and `rose rm`: the models on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/models.h"
#include "cli/table.h"
#include "hub/local.h"

namespace rose::cli {
namespace {

int list(bool json, bool all) {
  auto models = hub::list_local(hub::settings_from_environment());
  if (!all) std::erase_if(models, [](const hub::LocalModel& model) { return !model.has_weights; });
  if (json) {
    auto result = nlohmann::ordered_json::array();
    for (const auto& model : models)
      result.push_back({{"name", model.name},
                        {"kind", hub::kind_name(model.kind)},
                        {"bytes", model.bytes},
                        {"path", model.path.string()}});
    return write_out(result.dump(2) + "\n") ? kDone : kFailed;
  }
  if (models.empty()) {
    tell("There are no models on this machine yet. Begin with: rose pull smollm2\n");
    return kDone;
  }
  Table table({"model", ">size", "from", "path"});
  for (const auto& model : models)
    table.add({model.name, bytes_text(static_cast<double>(model.bytes)),
               std::string(hub::kind_name(model.kind)), model.path.string()});
  return write_out(table.text()) ? kDone : kFailed;
}

int remove(const std::vector<std::string>& models) {
  auto settings = hub::settings_from_environment();
  for (const auto& model : models)
    fmt::print("{}: removed, {} freed\n", model,
               bytes_text(static_cast<double>(hub::remove_local(model, settings))));
  return kDone;
}

}  // namespace

void add_list(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("list", "Show the models on this machine");
  auto json = std::make_shared<bool>(false), all = std::make_shared<bool>(false);
  command->add_flag("--all", *all,
                    "Also those of the hub's cache that have no safetensors and no GGUF files");
  command->add_flag("--json", *json, "Print JSON: [{name, kind, bytes, path}]");
  command->footer(
      "known: `rose pull` has them by name.  named: a path that was given a name.  hub: org/model, in the "
      "hub's cache.");
  command->callback([&action, json, all] { action = [json, all] { return list(*json, *all); }; });
}

void add_rm(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("rm", "Remove models from this machine");
  auto models = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("MODEL", *models,
                   "Names as `rose list` shows them; a hub model goes with all its revisions")
      ->required();
  command->footer("A named path loses its name only: its files stay.");
  command->callback([&action, models] { action = [models] { return remove(*models); }; });
}

}  // namespace rose::cli
