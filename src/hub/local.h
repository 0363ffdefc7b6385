// The models on this machine: finding one by whatever name it was pulled, listing and removing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/settings.h"

namespace rose::hub {

// The folder or file of a model: a path that exists; a name below `settings.models` (a known model, or a path
// that was given a name); or org/model[@revision][:quant] in the hub's cache. Throws HubError that says what
// to pull.
std::filesystem::path find_local(const std::string& model, const Settings& settings);

enum class LocalKind { kKnown, kNamed, kHub };  // pulled by its own name; a path with a name; from the hub
std::string_view kind_name(LocalKind kind);     // "known", "named", "hub"

struct LocalModel {
  std::string name;  // what to type as MODEL
  LocalKind kind = LocalKind::kKnown;
  std::filesystem::path path;
  int64_t bytes = 0;         // of all its files; of a revision for the hub's
  bool has_weights = false;  // safetensors or GGUF
};

// Sorted by kind and name. The hub's models appear once a revision and GGUF file.
std::vector<LocalModel> list_local(const Settings& settings);

// Gives a folder or file that exists a name; the files stay where they are. Throws HubError when the name is
// taken by something that is no such name, or is none.
void name_path(const std::string& name, const std::filesystem::path& path, const Settings& settings);

// Removes what `model` names and says how many bytes were freed. A named path loses its name and keeps its
// files; a hub model goes with all its revisions. Throws HubError when there is none.
int64_t remove_local(const std::string& model, const Settings& settings);

}  // namespace rose::hub
