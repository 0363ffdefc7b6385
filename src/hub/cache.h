// The hub's own cache of one model, as Hugging Face's libraries lay it out:
//   models--ORG--MODEL/blobs/DIGEST                  the files' contents
//   models--ORG--MODEL/snapshots/COMMIT/NAME         links to them
//   models--ORG--MODEL/refs/REVISION                 the commit that a branch or tag meant when it was pulled
//   .locks/models--ORG--MODEL/DIGEST.lock            held while a blob is fetched
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hub/model_id.h"

namespace rose::hub {

class RepoCache {
 public:
  RepoCache(const std::filesystem::path& hub, const std::string& repo);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path blob(const std::string& digest) const { return folder_ / "blobs" / digest; }
  std::filesystem::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  std::filesystem::path lock(const std::string& digest) const;

  // The commit that was pulled as `revision`; nullopt when it was not.
  std::optional<std::string> commit_of(const std::string& revision) const;
  // What has been pulled: names of refs, and commits that no ref names. Sorted.
  std::vector<std::string> revisions() const;

  // Makes NAME of a snapshot a link to a blob. Throws HubError when a folder on the way is a link, which
  // would lead out of the snapshot.
  void link(const std::string& commit, const std::string& name, const std::string& digest) const;
  void set_ref(const std::string& revision, const std::string& commit) const;

 private:
  std::filesystem::path hub_, folder_;
};

// "org/model" of "models--org--model"; nullopt for another name.
std::optional<std::string> repo_of_folder(const std::string& name);

}  // namespace rose::hub
