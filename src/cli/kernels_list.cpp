// `rose kernels list`: the catalog, with every field of every Spec.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/making.h"

namespace rose::cli {
namespace {

// Short names of the targets that a kernel exists on: "sm_90a", "x86" (this machine's features).
std::vector<std::string> targets_of(const kernels::CatalogEntry& entry) {
  std::vector<std::string> names;
  for (const char* name : {"sm_90a", "sm_100a", "sm_103a", "x86"})
    if (entry.runs_on(ir::parse_target(name))) names.push_back(name);
  return names;
}

void print_entry(const kernels::CatalogEntry& entry) {
  fmt::print("{}\n    {}\n    targets   {}\n", entry.name, entry.summary, fmt::join(targets_of(entry), " "));
  size_t width = 0;
  for (const auto& field : entry.fields) width = std::max(width, field.key.size() + field.value.size() + 1);
  for (const auto& field : entry.fields)
    fmt::print("    {:8}  {:{}}  {}\n", &field == &entry.fields.front() ? "spec" : "",
               field.key + "=" + field.value, width, field.help);
  for (const auto& spec : entry.standard)
    fmt::print("    {:8}  {}\n", &spec == &entry.standard.front() ? "standard" : "", spec);
}

nlohmann::ordered_json json_of(const kernels::CatalogEntry& entry) {
  nlohmann::ordered_json fields = nlohmann::ordered_json::array();
  for (const auto& field : entry.fields)
    fields.push_back({{"key", field.key}, {"default", field.value}, {"help", field.help}});
  return {{"name", entry.name},
          {"summary", entry.summary},
          {"targets", targets_of(entry)},
          {"fields", fields},
          {"standard", entry.standard}};
}

struct Options {
  std::vector<std::string> names;
  bool json = false, brief = false;
};

int list(const Options& options) {
  auto entries = entries_named(options.names);
  if (options.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const auto* entry : entries) all.push_back(json_of(*entry));
    fmt::print("{}\n", all.dump(2));
    return kDone;
  }
  size_t width = 0;
  for (const auto* entry : entries) width = std::max(width, entry->name.size());
  for (const auto* entry : entries) {
    if (options.brief)
      fmt::print("{:{}}  {}\n", entry->name, width, entry->summary);
    else
      print_entry(*entry);
  }
  return kDone;
}

}  // namespace

void add_kernels_list(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("list", "List the kernels and the fields of their Specs");
  auto options = std::make_shared<Options>();
  command->add_option("NAME", options->names, "Kernels to list; all when none is named");
  command->add_flag("--brief", options->brief, "One line a kernel");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "A Spec is what a kernel is specialised to. Under `spec` stands each field with its default; give "
      "others\n"
      "to `show` and `bench` as --spec key=value,key=value. `check` goes through the standard Specs.");
  command->callback([&action, options] { action = [options] { return list(*options); }; });
}

}  // namespace rose::cli
