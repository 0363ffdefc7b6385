#include "hub/local.h"

#include <algorithm>
#include <set>

#include "hub/cache.h"
#include "hub/error.h"
#include "hub/files.h"
#include "hub/lock.h"
#include "hub/model_id.h"
#include "hub/packages.h"
#include "hub/remote.h"
#include "hub/select.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos && is_safe_name(name);
}

// The files below a folder by their relative names, links followed; hidden ones left out.
std::vector<std::pair<std::string, int64_t>> files_below(const fs::path& folder) {
  std::vector<std::pair<std::string, int64_t>> files;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (int64_t size = file_size_or(entry->path()); size >= 0)
      files.emplace_back(entry->path().lexically_relative(folder).string(), size);
  std::ranges::sort(files);
  return files;
}

// GGUF models of a snapshot: first parts.
std::vector<std::string> gguf_models(const fs::path& snapshot) {
  std::set<std::string> models;
  for (const auto& [name, size] : files_below(snapshot))
    if (name.ends_with(".gguf") && !fs::path(name).filename().string().starts_with("mmproj"))
      models.insert(first_part(name));
  return {models.begin(), models.end()};
}

fs::path find_in_hub(const ModelId& id, const Settings& settings) {
  RepoCache cache(settings.hub, id.repo);
  auto commit = cache.commit_of(id.revision);
  if (!commit) {
    auto revisions = cache.revisions();
    std::string there =
        revisions.empty() ? ""
                          : fmt::format("; on this machine are its revisions {}", fmt::join(revisions, ", "));
    refuse("the model {} is not on this machine{}; fetch it: rose pull {}", id.text(), there, id.text());
  }
  fs::path snapshot = cache.snapshot(*commit);
  auto models = gguf_models(snapshot);
  if (!id.quant.empty()) {
    std::vector<std::string> fitting;
    std::ranges::copy_if(models, std::back_inserter(fitting),
                         [&](const std::string& name) { return has_quant(name, id.quant); });
    if (fitting.size() == 1) return snapshot / fitting.front();
    if (fitting.empty())
      refuse("{}: no GGUF file with {} is on this machine; fetch it: rose pull {}", id.repo, id.quant,
             id.text());
    refuse("{}: several GGUF files have {}; give a path: {}", id.repo, id.quant,
           (snapshot / fmt::format("{{{}}}", fmt::join(fitting, ","))).string());
  }
  auto files = files_below(snapshot);
  bool safetensors =
      std::ranges::any_of(files, [](const auto& file) { return file.first.ends_with(".safetensors"); });
  if (safetensors) return snapshot;
  if (models.size() == 1) return snapshot / models.front();
  if (models.empty())
    refuse("{} is on this machine without weights; fetch them: rose pull {}", id.text(), id.text());
  refuse("{} is on this machine with several GGUF files; say which, as in {}:Q4_K_M: {}", id.text(), id.repo,
         fmt::join(models, ", "));
}

std::string missing(const std::string& model, const Settings& settings) {
  if (find_known_model(model))
    return fmt::format("the model {} is not on this machine; fetch it: rose pull {}", model, model);
  std::vector<std::string> known, here;
  for (const auto& entry : known_models()) known.emplace_back(entry.name);
  for (const auto& entry : list_local(settings))
    if (entry.has_weights) here.push_back(entry.name);
  return fmt::format(
      "there is no file, folder or model '{}'. On this machine: {}. `rose pull NAME` fetches {} or a model "
      "org/name of "
      "the Hugging Face hub",
      model, here.empty() ? "none" : fmt::format("{}", fmt::join(here, ", ")), fmt::join(known, ", "));
}

bool has_weights(const std::vector<std::pair<std::string, int64_t>>& files) {
  return std::ranges::any_of(files, [](const auto& file) {
    return file.first.ends_with(".safetensors") || file.first.ends_with(".gguf");
  });
}

LocalModel describe(std::string name, LocalKind kind, const fs::path& path) {
  LocalModel model{std::move(name), kind, path, 0, false};
  std::vector<std::pair<std::string, int64_t>> files;
  if (int64_t size = file_size_or(path); size >= 0)
    files.emplace_back(path.filename().string(), size);
  else
    files = files_below(path);
  for (const auto& file : files) model.bytes += file.second;
  model.has_weights = has_weights(files);
  return model;
}

// How to name one of several GGUF models: by its quantisation, the last word of its name, if that means it
// alone; else by its path.
std::string gguf_name(const ModelId& id, const std::string& gguf, const std::vector<std::string>& all,
                      const fs::path& snapshot) {
  std::string stem = gguf.substr(0, gguf.rfind(".gguf"));
  if (size_t parts = stem.rfind("-00001-of-"); parts != std::string::npos) stem.resize(parts);
  ModelId full{id.repo, id.revision, stem.substr(stem.find_last_of("-./") + 1)};
  auto fits =
      std::ranges::count_if(all, [&](const std::string& name) { return has_quant(name, full.quant); });
  bool readable = full.quant.find_first_not_of(
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  return fits == 1 && readable && !full.quant.empty() ? full.text() : (snapshot / gguf).string();
}

void list_hub(const Settings& settings, std::vector<LocalModel>& models) {
  std::error_code error;
  for (fs::directory_iterator entry(settings.hub, error), end; !error && entry != end;
       entry.increment(error)) {
    auto repo = repo_of_folder(entry->path().filename());
    if (!repo || !parse_model_id(*repo)) continue;
    RepoCache cache(settings.hub, *repo);
    for (const auto& revision : cache.revisions()) {
      auto commit = cache.commit_of(revision);
      if (!commit) continue;
      fs::path snapshot = cache.snapshot(*commit);
      ModelId id{*repo, revision, ""};
      auto model = describe(id.text(), LocalKind::kHub, snapshot);
      auto ggufs = gguf_models(snapshot);
      auto files = files_below(snapshot);
      bool safetensors =
          std::ranges::any_of(files, [](const auto& file) { return file.first.ends_with(".safetensors"); });
      if (safetensors || ggufs.size() < 2) {
        models.push_back(model);
        continue;
      }
      for (const auto& gguf : ggufs) {
        int64_t bytes = 0;
        for (const auto& [name, size] : files)
          if (first_part(name) == gguf) bytes += size;
        models.push_back(
            {gguf_name(id, gguf, ggufs, snapshot), LocalKind::kHub, snapshot / gguf, bytes, true});
      }
    }
  }
}

}  // namespace

std::string_view kind_name(LocalKind kind) {
  switch (kind) {
    case LocalKind::kKnown:
      return "known";
    case LocalKind::kNamed:
      return "named";
    case LocalKind::kHub:
      return "hub";
  }
  return "";
}

fs::path find_local(const std::string& model, const Settings& settings) {
  std::error_code ignored;
  if (fs::exists(model, ignored)) return model;
  if (is_plain_name(model)) {
    fs::path place = settings.models / model;
    if (fs::exists(place, ignored)) {
      if (!fs::is_symlink(place, ignored)) return place;
      fs::path real = fs::canonical(place, ignored);
      return real.empty() ? place : real;
    }
    if (fs::is_symlink(place, ignored))
      refuse("the model {} is named for {}, which is not there any more", model,
             fs::read_symlink(place, ignored).string());
  }
  if (auto id = parse_model_id(model)) return find_in_hub(*id, settings);
  refuse("{}", missing(model, settings));
}

std::vector<LocalModel> list_local(const Settings& settings) {
  std::vector<LocalModel> models;
  std::error_code error, ignored;
  for (fs::directory_iterator entry(settings.models, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename();
    if (!is_plain_name(name)) continue;
    bool named = entry->is_symlink(ignored);
    fs::path path = named ? fs::read_symlink(entry->path(), ignored) : entry->path();
    if (named || entry->is_directory(ignored))
      models.push_back(describe(name, named ? LocalKind::kNamed : LocalKind::kKnown, path));
  }
  list_hub(settings, models);
  std::ranges::sort(models, [](const LocalModel& a, const LocalModel& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  return models;
}

void name_path(const std::string& name, const fs::path& path, const Settings& settings) {
  if (!is_plain_name(name))
    refuse("'{}' is no name for a model; use letters, digits, '-', '_' and '.'", name);
  if (find_known_model(name))
    refuse("'{}' is the name of a model that `rose pull {}` fetches; choose another with --name", name, name);
  make_folders(settings.models);
  fs::path place = settings.models / name;
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(place, ignored)) && !fs::is_symlink(place, ignored))
    refuse("{} is there already and is no name; choose another with --name", place.string());
  publish_link(fs::canonical(path), place);
}

int64_t remove_local(const std::string& model, const Settings& settings) {
  std::error_code error;
  fs::path place;
  if (is_plain_name(model)) {
    place = settings.models / model;
    if (fs::is_symlink(place, error)) {
      remove_file(place);
      return 0;
    }
  } else if (auto id = parse_model_id(model)) {
    if (id->revision != "main" || !id->quant.empty())
      refuse("{}: a hub model is removed with all its revisions: rose rm {}", model, id->repo);
    place = RepoCache(settings.hub, id->repo).folder();
  }
  if (place.empty() || !fs::is_directory(place, error))
    refuse("there is no model '{}' here; `rose list` shows what there is", model);
  int64_t bytes = 0;
  for (fs::recursive_directory_iterator entry(place, error), end; !error && entry != end;
       entry.increment(error))
    if (!entry->is_symlink(error) && entry->is_regular_file(error))
      bytes += static_cast<int64_t>(entry->file_size(error));
  // Renamed first, so that nobody sees half of it.
  fs::path aside = place.parent_path() / fmt::format(".{}.removed", place.filename().string());
  fs::remove_all(aside, error);
  rename_file(place, aside);
  fs::remove_all(aside, error);
  if (error) fail("cannot remove {}: {}", aside.string(), error.message());
  return bytes;
}

}  // namespace rose::hub
