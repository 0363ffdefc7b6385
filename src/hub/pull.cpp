#include "hub/pull.h"

#include <algorithm>

#include "hub/cache.h"
#include "hub/download.h"
#include "hub/error.h"
#include "hub/files.h"
#include "hub/local.h"
#include "hub/lock.h"
#include "hub/packages.h"
#include "weights/model_folder.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

void refuse_selection(const PullRequest& request, const char* what) {
  const auto& s = request.selection;
  if (!s.include.empty() || !s.exclude.empty() || !s.file.empty())
    refuse("{}: --include, --exclude and --file are for models of the hub, not for {}", request.model, what);
}

PullResult pull_known(const KnownModel& model, const PullRequest& request, const Settings& settings,
                      const Events& events) {
  refuse_selection(request, "known names");
  PullResult result{std::string(model.name), "known", settings.models / model.name, "", "", {}, 0, 0};
  FileLock lock(settings.models / ".lock", std::string(model.name), events);
  std::string problem = check_known_model(model, result.path, request.verify), state = "present";
  if (!problem.empty()) {
    std::error_code ignored;
    if (fs::exists(result.path, ignored))
      events.say(fmt::format("{}: fetching it again: {}", model.name, problem));
    if (settings.offline) fail("{}: HF_HUB_OFFLINE forbids the network, and {}", model.name, problem);
    install_known_model(model, settings, events);
    state = "fetched";
  }
  for (const auto& file : model.files) {
    result.files.push_back({std::string(file.path), std::string(file.sha256), file.size, state});
    result.bytes += file.size;
  }
  if (state == "fetched") result.fetched_bytes = result.bytes;
  return result;
}

PullResult pull_path(const PullRequest& request, const Settings& settings) {
  refuse_selection(request, "paths");
  const fs::path path = fs::canonical(request.model);
  auto files = weights::find_model(path);
  auto tensors = weights::open_tensors(files);
  PullResult result{request.name, "named", path, "", "", {}, 0, 0};
  if (result.name.empty()) {
    result.name = fs::is_directory(path) ? path.filename().string() : path.stem().string();
    for (char& c : result.name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  name_path(result.name, path, settings);
  result.bytes = tensors.total_bytes();
  result.files.push_back({files.weights.filename().string(), "", result.bytes, "present"});
  return result;
}

// Fetches the chosen files one after the other and shows them in a snapshot once all are there.
class HubPull {
 public:
  HubPull(const ModelId& id, const PullRequest& request, const Settings& settings, const Events& events)
      : id_(id),
        request_(request),
        settings_(settings),
        events_(events),
        http_(settings, events),
        cache_(settings.hub, id.repo) {}

  PullResult run() {
    const RemoteModel model = fetch_listing(http_, settings_, events_, id_);
    Selection selection = request_.selection;
    if (!id_.quant.empty()) selection.quant = id_.quant;
    Chosen chosen = select_files(model.files, selection, id_);
    if (!chosen.note.empty()) events_.say(chosen.note);
    for (auto& file : chosen.files) {
      complete(file, http_, settings_, events_, id_, model.commit);
      result_.bytes += file.size;
    }
    need_room(chosen.files);
    for (const auto& file : chosen.files) fetch(file, model.commit);
    for (const auto& file : chosen.files) cache_.link(model.commit, file.name, file.digest);
    cache_.set_ref(id_.revision, model.commit);
    result_.name = id_.text(), result_.kind = "hub";
    result_.path = cache_.snapshot(model.commit);
    if (!chosen.gguf.empty()) result_.path /= chosen.gguf;
    result_.revision = id_.revision, result_.commit = model.commit;
    return std::move(result_);
  }

 private:
  void need_room(const std::vector<RemoteFile>& files) const {
    int64_t bytes = 0;
    for (const auto& file : files) {
      fs::path blob = cache_.blob(file.digest);
      if (file_size_or(blob) == file.size) continue;
      bytes += file.size - std::clamp<int64_t>(file_size_or(blob.string() + ".incomplete"), 0, file.size);
    }
    make_folders(cache_.folder() / "blobs");
    need_space(cache_.folder() / "blobs", bytes);
  }

  void fetch(const RemoteFile& file, const std::string& commit) {
    BlobRequest blob{id_,
                     file,
                     file_url(settings_, id_, commit, file.name),
                     settings_.token,
                     cache_.blob(file.digest),
                     request_.verify};
    FileLock lock(cache_.lock(file.digest), fmt::format("{} of {}", file.name, id_.repo), events_);
    int64_t first = -1, last = 0;  // bytes of the file that were here at first and are now
    BlobState state = fetch_blob(blob, http_, settings_, events_, [&](int64_t arrived) {
      if (first < 0) first = arrived;
      last = arrived;
      if (events_.progress) events_.progress({file.name, arrived, file.size, done_ + arrived, result_.bytes});
    });
    done_ += file.size;
    const char* names[] = {"present", "fetched", "resumed"};
    result_.files.push_back({file.name, file.digest, file.size, names[static_cast<int>(state)]});
    if (state != BlobState::kPresent) result_.fetched_bytes += last - std::max<int64_t>(0, first);
  }

  const ModelId& id_;
  const PullRequest& request_;
  const Settings& settings_;
  const Events& events_;
  Http http_;
  RepoCache cache_;
  PullResult result_;
  int64_t done_ = 0;  // bytes of the files that are finished
};

PullResult pull_offline(const ModelId& id, const Settings& settings) {
  fs::path path;
  try {
    path = find_local(id.text(), settings);
  } catch (const HubError& error) {
    fail("HF_HUB_OFFLINE forbids the network, and {}", error.what());
  }
  RepoCache cache(settings.hub, id.repo);
  return {id.text(), "hub", path, id.revision, cache.commit_of(id.revision).value_or(""), {}, 0, 0};
}

}  // namespace

PullResult pull(const PullRequest& request, const Settings& settings, const Events& events) {
  std::error_code ignored;
  const bool is_path = fs::exists(request.model, ignored);
  if (!request.name.empty() && !is_path)
    refuse("--name is for paths; '{}' is none that exists", request.model);
  if (const KnownModel* model = find_known_model(request.model))
    return pull_known(*model, request, settings, events);
  if (is_path) return pull_path(request, settings);
  if (auto id = parse_model_id(request.model)) {
    if (settings.offline) return pull_offline(*id, settings);
    return HubPull(*id, request, settings, events).run();
  }
  std::vector<std::string_view> known;
  for (const auto& model : known_models()) known.push_back(model.name);
  refuse(
      "'{}' is no model to pull: known names are {}; others are written org/model[@revision][:quant] as on "
      "huggingface.co, or "
      "are paths that exist",
      request.model, fmt::join(known, ", "));
}

}  // namespace rose::hub
