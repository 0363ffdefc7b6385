#include "runtime/x86/host.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "runtime/x86/device.h"

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

// AMX registers need a permission of the system (arch_prctl ARCH_REQ_XCOMP_PERM, feature 18), which the
// process keeps.
bool system_permits_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
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

std::string host_features() {
  std::string list;
  const auto add = [&](bool present, const char* name) {
    if (present) list += (list.empty() ? "" : ",") + std::string(name);
  };
  // __builtin_cpu_supports also checks that the system saves the registers.
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx2"), "avx2");
  add(__builtin_cpu_supports("fma"), "fma");
  add(__builtin_cpu_supports("f16c"), "f16c");
  add(__builtin_cpu_supports("bmi2"), "bmi2");
  add(__builtin_cpu_supports("avxvnni"), "avxvnni");
  add(__builtin_cpu_supports("avx512f"), "avx512f");
  add(__builtin_cpu_supports("avx512bw"), "avx512bw");
  add(__builtin_cpu_supports("avx512dq"), "avx512dq");
  add(__builtin_cpu_supports("avx512vl"), "avx512vl");
  add(__builtin_cpu_supports("avx512vbmi"), "avx512vbmi");
  add(__builtin_cpu_supports("avx512vnni"), "avx512vnni");
  add(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
  add(__builtin_cpu_supports("avx512fp16"), "avx512fp16");
  if (__builtin_cpu_supports("amx-tile") && system_permits_amx()) {
    add(true, "amx-tile");
    add(__builtin_cpu_supports("amx-bf16"), "amx-bf16");
    add(__builtin_cpu_supports("amx-int8"), "amx-int8");
  }
  return list;
}

}  // namespace rose::runtime
