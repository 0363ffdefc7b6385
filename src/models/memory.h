// How much memory a machine can still give: what a refusal ahead of time is measured against.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace rose::models {

/// Bytes that processes can still take without swapping: MemAvailable of /proc/meminfo, or less where control
/// groups limit this process; nullopt where the system does not tell. `root`: for tests, where proc/ and sys/
/// lie.
std::optional<int64_t> available_memory(const std::filesystem::path& root = "/");

}  // namespace rose::models
