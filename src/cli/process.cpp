#include "cli/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/cli.h"

namespace rose::cli {
namespace fs = std::filesystem;
namespace {

bool executable(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

// Where pip puts NVIDIA's tools inside a virtual environment.
std::string find_in_environment(const fs::path& root, const std::string& name) {
  std::error_code ignored;
  for (const auto& python : fs::directory_iterator(root / "lib", ignored))
    for (const char* package : {"cu13", "cuda_nvcc", "cuda_nvdisasm", "cuda_cuobjdump", "nvdisasm"}) {
      fs::path candidate = python.path() / "site-packages" / "nvidia" / package / "bin" / name;
      if (executable(candidate)) return candidate;
    }
  return "";
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw CliError(fmt::format("cannot make a pipe: {}", std::strerror(errno)), kFailed);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  int error = ::posix_spawn(&child, command.at(0).c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    throw CliError(fmt::format("cannot start {}: {}", command[0], std::strerror(error)), kFailed);
  }

  ProcessResult result;
  char buffer[4096];
  for (;;) {
    ssize_t count = ::read(ends[0], buffer, sizeof buffer);
    if (count > 0)
      result.output.append(buffer, static_cast<size_t>(count));
    else if (count == 0 || errno != EINTR)
      break;
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string find_tool(const std::string& name) {
  std::string variable = "ROSE_";
  for (char c : name) variable += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const char* given = std::getenv(variable.c_str()); given && *given) {
    if (!executable(given)) throw CliError(fmt::format("{}={} is no executable file", variable, given));
    return given;
  }
  if (const char* path = std::getenv("PATH")) {
    std::stringstream folders(path);
    for (std::string folder; std::getline(folders, folder, ':');)
      if (executable(fs::path(folder) / name)) return fs::path(folder) / name;
  }
  if (fs::path usual = fs::path("/usr/local/cuda/bin") / name; executable(usual)) return usual;

  std::vector<fs::path> environments;
  if (const char* active = std::getenv("VIRTUAL_ENV")) environments.emplace_back(active);
  environments.emplace_back(".venv");
  std::error_code ignored;
  fs::path self = fs::read_symlink("/proc/self/exe", ignored);  // CHECKOUT/build/release/bin/rose
  environments.push_back(self.parent_path().parent_path().parent_path().parent_path() / ".venv");
  for (const auto& root : environments)
    if (std::string found = find_in_environment(root, name); !found.empty()) return found;
  return "";
}

TemporaryFile::TemporaryFile(const std::string& name, const std::string& content) {
  std::error_code ignored;
  fs::path root = fs::temp_directory_path(ignored);
  folder_ = (root / "rose-XXXXXX").string();
  if (!::mkdtemp(folder_.data()))
    throw CliError(fmt::format("cannot make a folder in {}: {}", root.string(), std::strerror(errno)),
                   kFailed);
  path_ = folder_ + "/" + name;
  write_file(path_, content);
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) throw CliError("cannot read " + path, kFailed);
  return content.str();
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) throw CliError("cannot write " + path, kFailed);
}

}  // namespace rose::cli
