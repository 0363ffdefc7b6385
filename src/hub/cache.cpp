#include "hub/cache.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "hub/digest.h"
#include "hub/error.h"
#include "hub/files.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

std::string folder_name(const std::string& repo) {
  size_t slash = repo.find('/');
  return "models--" + repo.substr(0, slash) + "--" + repo.substr(slash + 1);
}

std::optional<std::string> read_ref(const fs::path& path) {
  std::string commit;
  std::ifstream(path) >> commit;
  if (is_hex(commit, 40)) return commit;
  return std::nullopt;
}

}  // namespace

RepoCache::RepoCache(const fs::path& hub, const std::string& repo)
    : hub_(hub), folder_(hub / folder_name(repo)) {}

fs::path RepoCache::lock(const std::string& digest) const {
  return hub_ / ".locks" / folder_.filename() / (digest + ".lock");
}

std::optional<std::string> RepoCache::commit_of(const std::string& revision) const {
  std::error_code ignored;
  auto commit = read_ref(folder_ / "refs" / revision);
  if (!commit && is_hex(revision, 40)) commit = revision;
  if (commit && fs::is_directory(snapshot(*commit), ignored)) return commit;
  return std::nullopt;
}

std::vector<std::string> RepoCache::revisions() const {
  std::set<std::string> names, commits;
  std::error_code error;
  const fs::path refs = folder_ / "refs";
  for (fs::recursive_directory_iterator entry(refs, error), end; !error && entry != end;
       entry.increment(error))
    if (auto commit = read_ref(entry->path()))
      names.insert(entry->path().lexically_relative(refs).string()), commits.insert(*commit);
  error.clear();
  for (fs::directory_iterator entry(folder_ / "snapshots", error), end; !error && entry != end;
       entry.increment(error))
    if (std::string commit = entry->path().filename(); !commits.contains(commit)) names.insert(commit);
  return {names.begin(), names.end()};
}

void RepoCache::link(const std::string& commit, const std::string& name, const std::string& digest) const {
  fs::path folder = snapshot(commit), up = "../..";
  make_folders(folder);
  const fs::path relative(name);
  for (const auto& part : relative.parent_path()) {
    folder /= part, up /= "..";
    std::error_code ignored;
    if (fs::is_symlink(folder, ignored))
      fail("{} is a link where a folder should be; remove it and run this again", folder.string());
    make_folders(folder);
  }
  publish_link(up / "blobs" / digest, folder / relative.filename());
}

void RepoCache::set_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit) return;
  fs::path path = folder_ / "refs" / revision;
  make_folders(path.parent_path());
  if (read_ref(path) != commit) publish_text(commit, path);
}

std::optional<std::string> repo_of_folder(const std::string& name) {
  constexpr std::string_view kPrefix = "models--";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::string rest = name.substr(kPrefix.size());
  size_t middle = rest.find("--");
  if (middle == std::string::npos) return rest;  // a model of old without an organisation
  return rest.substr(0, middle) + "/" + rest.substr(middle + 2);
}

}  // namespace rose::hub
