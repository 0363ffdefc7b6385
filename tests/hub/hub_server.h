// Starts tests/hub/server.py, a small hub with models that misbehave, and ends it.
#pragma once

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace rose::hub::test {

inline constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

// A program that runs beside the test. Ended at the latest by the destructor.
class Program {
 public:
  // `errors`: the file that standard error goes to; empty: where ours goes.
  explicit Program(const std::vector<std::string>& command, const std::string& errors = "") {
    std::array<int, 2> in{}, out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
      throw std::runtime_error("pipe2");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (!errors.empty())
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                       0600);
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    int error = ::posix_spawnp(&child_, words[0], &actions, nullptr, words.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]), ::close(out[1]);
    input_ = in[1], output_ = out[0];
    if (error != 0) throw std::runtime_error("cannot start " + command[0]);
  }
  ~Program() {
    close_input();
    if (child_ > 0) ::kill(child_, SIGTERM), wait();
    ::close(output_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) { ::kill(child_, number); }
  void close_input() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
  }
  std::string read_line() {
    std::string line;
    for (char c = 0; ::read(output_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  // The exit status, or 128 + the signal that ended it.
  int wait() {
    int status = 0;
    if (child_ > 0) ::waitpid(child_, &status, 0);
    child_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t child_ = 0;
  int input_ = -1, output_ = -1;
};

class HubServer {
 public:
  HubServer() : program_({"python3", ROSE_SOURCE_DIR "/tests/hub/server.py"}) {
    auto ports = nlohmann::json::parse(program_.read_line());
    port_ = ports["hub"], cdn_port_ = ports["cdn"];
  }
  std::string endpoint() const { return fmt::format("http://127.0.0.1:{}", port_); }
  int cdn_port() const { return cdn_port_; }

 private:
  Program program_;
  int port_ = 0, cdn_port_ = 0;
};

// A folder that is removed at the end.
class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "rose-hub-XXXXXX").string()) {
    if (!::mkdtemp(path_.data())) throw std::runtime_error("mkdtemp");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path path() const { return path_; }

 private:
  std::string path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace rose::hub::test
