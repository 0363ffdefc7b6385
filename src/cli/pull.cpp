// `rose pull`: brings models onto this machine.
#include "hub/pull.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/models.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "hub/packages.h"
#include "hub/settings.h"

namespace rose::cli {
namespace {

struct Options {
  std::vector<std::string> models;
  hub::PullRequest request;
  bool json = false, quiet = false;
};

nlohmann::ordered_json json_of(const hub::PullResult& result) {
  nlohmann::ordered_json json{{"name", result.name}, {"kind", result.kind}, {"path", result.path.string()}};
  if (!result.commit.empty()) json["revision"] = result.revision, json["commit"] = result.commit;
  json["bytes"] = result.bytes, json["fetched_bytes"] = result.fetched_bytes;
  json["files"] = nlohmann::ordered_json::array();
  for (const auto& file : result.files) {
    nlohmann::ordered_json entry{{"name", file.name}, {"bytes", file.bytes}, {"state", file.state}};
    if (!file.digest.empty()) entry[file.digest.size() == 64 ? "sha256" : "git_sha1"] = file.digest;
    json["files"].push_back(std::move(entry));
  }
  return json;
}

std::string text_of(const hub::PullResult& result) {
  std::string fetched =
      result.fetched_bytes > 0
          ? fmt::format(", {} fetched", bytes_text(static_cast<double>(result.fetched_bytes)))
          : ", all there already";
  if (result.kind == "named") fetched = "";
  return fmt::format("{}: {} in {}{}\n", result.name, bytes_text(static_cast<double>(result.bytes)),
                     result.path.string(), fetched);
}

int pull(const Options& o) {
  auto settings = hub::settings_from_environment();
  settings.user_agent = "rose";
  if (o.models.size() > 1 && !o.request.name.empty()) throw CliError("--name: give one path at a time");
  Interruption interruption;
  nlohmann::ordered_json json{{"models", nlohmann::ordered_json::array()}};
  for (const auto& model : o.models) {
    Progress progress(o.quiet);
    auto request = o.request;
    request.model = model;
    auto result = hub::pull(request, settings, progress.events([&] { return interruption.requested(); }));
    progress.finish();
    json["models"].push_back(json_of(result));
    if (!o.json && !write_out(text_of(result))) return kFailed;
  }
  if (o.json && !write_out(json.dump(2) + "\n")) return kFailed;
  return kDone;
}

std::string footer() {
  std::string text = "Names:\n";
  for (const auto& model : hub::known_models()) text += fmt::format("  {:<12} {}\n", model.name, model.title);
  return text +
         "Anything else is org/model[@revision][:quant] of the Hugging Face hub, or a path, which gets a "
         "name.\n\n"
         "Examples:\n"
         "  rose pull smollm2 minilm\n"
         "  rose pull HuggingFaceTB/SmolLM2-360M-Instruct\n"
         "  rose pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M\n"
         "  rose pull ./my-model --name mine\n\n"
         "Of the hub come safetensors with configuration and tokenizer, or one GGUF file. Ctrl-C keeps what "
         "has arrived;\n"
         "the same command goes on from there.\n\n"
         "Environment:\n"
         "  HF_TOKEN         for private and gated models; sent to the hub alone, never where it redirects "
         "to\n"
         "  HF_ENDPOINT      another hub than https://huggingface.co\n"
         "  HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT    as in Hugging Face's own "
         "libraries\n"
         "  ROSE_HOME        folder of the named models (else ~/.cache/rose)\n"
         "  SSL_CERT_FILE    trusted certificates;   https_proxy, no_proxy: the way out";
}

}  // namespace

void add_pull(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("pull", "Bring a model onto this machine");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->models, "A name, org/model[@revision][:quant], or a path")->required();
  auto& selection = o->request.selection;
  command->add_option("--file", selection.file, "The GGUF file to take of a model that has several");
  command
      ->add_option("--include", selection.include,
                   "Take the files that match this glob; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--exclude", selection.exclude, "Leave these out; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--name", o->request.name, "The name that a path gets; else its own");
  command->add_flag("--verify", o->request.verify,
                    "Also hash what is here already, and fetch again what is damaged");
  command->add_flag("--quiet,-q", o->quiet, "No progress");
  command->add_flag("--json", o->json,
                    "Print JSON: models[{name, kind, path, revision, commit, bytes, fetched_bytes, files}]");
  command->footer(footer());
  command->callback([&action, o] { action = [o] { return pull(*o); }; });
}

}  // namespace rose::cli
