// Runs other programs (NVIDIA's assembler and disassembler) and finds them.
#pragma once

#include <string>
#include <vector>

namespace rose::cli {

struct ProcessResult {
  int status = 0;      // exit status, or 128 + the signal that ended it
  std::string output;  // standard output and standard error together
};

// Runs command[0] (a path) with the other strings as arguments, without a shell, and waits. Throws CliError
// (kFailed) when it cannot be started.
ProcessResult run_process(const std::vector<std::string>& command);

// The path of one of NVIDIA's tools: the environment variable ROSE_<NAME> in capitals, else PATH, else
// /usr/local/cuda/bin, else a Python package in a .venv here, beside this checkout's build, or in the folder
// named by VIRTUAL_ENV. Empty when there is none. Throws CliError when the variable names no executable file.
std::string find_tool(const std::string& name);

// A file in a fresh folder of its own, both removed at the end.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& content);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }
  std::string beside(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_, path_;
};

std::string read_file(const std::string& path);                        // throws CliError (kFailed)
void write_file(const std::string& path, const std::string& content);  // the same

}  // namespace rose::cli
