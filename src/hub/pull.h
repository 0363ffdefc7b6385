// Bringing a model onto this machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/select.h"
#include "hub/settings.h"

namespace rose::hub {

struct PullRequest {
  std::string model;    // a known name, org/model[@revision][:quant], or a path
  Selection selection;  // for models of the hub; its quant is taken from `model`
  std::string name;     // for paths: the name to give; empty: the path's own
  bool verify = false;  // hash what is already there
};

struct PulledFile {
  std::string name, digest;
  int64_t bytes = 0;
  std::string state;  // "present", "fetched" or "resumed"
};

struct PullResult {
  std::string name, kind;        // what to type as MODEL; "known", "hub" or "named"
  std::filesystem::path path;    // the folder or file
  std::string revision, commit;  // of the hub's
  std::vector<PulledFile> files;
  int64_t bytes = 0, fetched_bytes = 0;
};

// Throws HubError, and WeightsError for a path that holds no model.
PullResult pull(const PullRequest& request, const Settings& settings, const Events& events);

}  // namespace rose::hub
