#include "runtime/x86/host.h"

#include <unistd.h>

#include <fstream>

namespace rose::runtime {
namespace {

// The text after the colon of the first line that starts with `key`; empty if there is none.
std::string field(const char* file, const std::string& key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

uint64_t kilobytes(const std::string& text) {
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || value > (uint64_t{1} << 50)) break;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value * 1024;
}

}  // namespace

std::string processor_name() {
  const std::string name = field("/proc/cpuinfo", "model name");
  return name.empty() ? "x86-64 processor" : name;
}

uint64_t last_level_cache_bytes() {
  const long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return static_cast<uint64_t>(l3 > 0 ? l3 : l2 > 0 ? l2 : 0);
}

uint64_t host_memory_bytes() { return kilobytes(field("/proc/meminfo", "MemTotal")); }
uint64_t free_host_memory_bytes() { return kilobytes(field("/proc/meminfo", "MemAvailable")); }

}  // namespace rose::runtime
