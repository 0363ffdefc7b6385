// What running a model takes from a machine's memory, and a refusal ahead of time instead of a machine that
// swaps or a kernel that ends the program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "models/decoder.h"

namespace rose::models {

/// Bytes, as they are on x86: packed weights take what the file takes.
struct MemoryNeed {
  int64_t weights = 0, cache = 0, work = 0;
  int64_t total() const { return weights + cache + work; }
};
/// `cache_tokens`: of the KV cache; 0: as EngineOptions.
MemoryNeed memory_need(const Checkpoint& checkpoint, const DecoderConfig& config, int64_t cache_tokens);

/// Bytes that processes can still take without swapping: MemAvailable of /proc/meminfo, or less where control
/// groups limit this process; nullopt where the system does not tell. `root`: for tests, where proc/ and sys/
/// lie.
std::optional<int64_t> available_memory(const std::filesystem::path& root = "/");

/// Throws ModelError with both numbers when the need is more than `available` (default: available_memory()).
void expect_memory(const Checkpoint& checkpoint, const MemoryNeed& need,
                   std::optional<int64_t> available = available_memory());

}  // namespace rose::models
