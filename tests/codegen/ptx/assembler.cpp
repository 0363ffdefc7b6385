#include "assembler.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace rose::test {
namespace fs = std::filesystem;

std::string find_ptxas() {
  if (const char* given = std::getenv("ROSE_PTXAS")) return given;
  if (const char* path = std::getenv("PATH")) {
    std::stringstream folders(path);
    for (std::string folder; std::getline(folders, folder, ':');)
      if (fs::exists(fs::path(folder) / "ptxas")) return fs::path(folder) / "ptxas";
  }
  const fs::path usual = "/usr/local/cuda/bin/ptxas";
  if (fs::exists(usual)) return usual;
  const fs::path libraries = fs::path(ROSE_SOURCE_DIR) / ".venv" / "lib";
  if (fs::exists(libraries)) {
    for (const auto& python : fs::directory_iterator(libraries)) {
      for (const char* package : {"nvidia/cuda_nvcc/bin/ptxas", "nvidia/cu13/bin/ptxas"}) {
        const fs::path candidate = python.path() / "site-packages" / package;
        if (fs::exists(candidate)) return candidate;
      }
    }
  }
  return "";
}

Assembled assemble(const std::string& ptx, const std::string& architecture, bool verbose) {
  const std::string ptxas = find_ptxas();
  if (ptxas.empty())
    throw std::runtime_error(
        "ptxas was not found: set ROSE_PTXAS, or run scripts/test, which installs it into .venv");
  static std::atomic<int> number{0};
  const fs::path file = fs::temp_directory_path() /
                        ("rose-" + std::to_string(::getpid()) + "-" + std::to_string(number++) + ".ptx");
  std::ofstream(file) << ptx;
  const std::string command = "'" + ptxas + "' -arch=" + architecture + (verbose ? " -v" : "") + " '" +
                              file.string() + "' -o /dev/null 2>&1";
  Assembled result;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot start " + ptxas);
  std::array<char, 4096> buffer;
  while (const auto count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.log.append(buffer.data(), count);
  result.ok = ::pclose(pipe) == 0;
  fs::remove(file);
  return result;
}

}  // namespace rose::test
