#include "models/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace rose::models {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max() / 4;

// The first number of a file; nothing for "max" and for files that are not there.
std::optional<int64_t> number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  int64_t value = 0;
  if (in >> value && value >= 0 && value < kNoLimit) return value;
  return std::nullopt;
}

std::optional<int64_t> of_machine(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string key, unit; file >> key;) {
    int64_t value = 0;
    if (key == "MemAvailable:" && file >> value) return value * 1024;
    std::getline(file, unit);
  }
  return std::nullopt;
}

// What a control group leaves: version 2, then version 1. What it counts as used includes cached files, which
// the kernel gives back when it must.
std::optional<int64_t> of_group(const std::filesystem::path& folder, const char* limit, const char* used,
                                const char* cached) {
  auto most = number_in(folder / limit), now = number_in(folder / used);
  if (!most || !now) return std::nullopt;
  int64_t files = 0, value = 0;
  std::ifstream stat(folder / "memory.stat");
  for (std::string key; stat >> key >> value;)
    if (key == cached) files = value;
  return std::max<int64_t>(*most - std::max<int64_t>(*now - files, 0), 0);
}

}  // namespace

std::optional<int64_t> available_memory(const std::filesystem::path& root) {
  auto least = of_machine(root);
  for (auto group : {of_group(root / "sys/fs/cgroup", "memory.max", "memory.current", "file"),
                     of_group(root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                              "total_cache")})
    if (group) least = std::min(least.value_or(*group), *group);
  return least;
}

}  // namespace rose::models
