#include "models/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>

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

std::string gigabytes(int64_t bytes) { return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9); }

}  // namespace

MemoryNeed memory_need(const Checkpoint& checkpoint, const DecoderConfig& c, int64_t cache_tokens) {
  MemoryNeed need;
  need.weights = static_cast<int64_t>(checkpoint.tensors().total_bytes());
  const int64_t tokens = cache_tokens ? cache_tokens : std::min<int64_t>(c.context_length, 4096);
  // Checked: the numbers are the user's and the file's.
  const int64_t per_token = KvCache::bytes_per_token(c);
  need.cache = tokens > kNoLimit / std::max<int64_t>(per_token, 1) ? kNoLimit : tokens * per_token;
  const int64_t row = 2 * c.hidden + (2 * c.q_heads + 2 * c.kv_heads) * c.head_dim + 3 * c.intermediate;
  need.work = 512 * row * 4 + 2 * c.vocab * 4 + (int64_t{64} << 20);
  return need;
}

std::optional<int64_t> available_memory(const std::filesystem::path& root) {
  auto least = of_machine(root);
  for (auto group : {of_group(root / "sys/fs/cgroup", "memory.max", "memory.current", "file"),
                     of_group(root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                              "total_cache")})
    if (group) least = std::min(least.value_or(*group), *group);
  return least;
}

void expect_memory(const Checkpoint& checkpoint, const MemoryNeed& need, std::optional<int64_t> available) {
  if (!available || need.total() <= *available) return;
  fail(
      "{}: running this model takes about {} of memory ({} of weights, {} of KV cache, {} to work in) and {} "
      "are "
      "free; {}",
      checkpoint.files().weights.string(), gigabytes(need.total()), gigabytes(need.weights),
      gigabytes(need.cache), gigabytes(need.work), gigabytes(*available),
      need.weights + need.work <= *available
          ? "a smaller --context takes less"
          : "free some, or take a smaller or more strongly quantised model");
}

}  // namespace rose::models
