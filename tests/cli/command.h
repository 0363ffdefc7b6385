// Runs the built `rose` command as users do.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cli/process.h"

namespace rose::cli::test {

// `environment` holds "NAME=value" settings; "-uNAME", which must come first, removes a variable.
inline ProcessResult rose_command(const std::vector<std::string>& arguments,
                                  const std::vector<std::string>& environment = {}) {
  std::vector<std::string> command{"/usr/bin/env"};
  command.insert(command.end(), environment.begin(), environment.end());
  command.push_back(ROSE_BINARY_DIR "/bin/rose");
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_process(command);
}

// An assembler that says what it is told to: a script in a folder that is removed at the end.
class FakePtxas {
 public:
  // `prints` goes to standard error; the output file (after -o) is made empty.
  FakePtxas(const std::string& prints, int status)
      : script_("ptxas",
                "#!/bin/sh\ncat >&2 <<'END'\n" + prints +
                    "\nEND\nwhile [ $# -gt 1 ]; do [ \"$1\" = -o ] && : > \"$2\"; shift; done\nexit " +
                    std::to_string(status) + "\n") {
    std::filesystem::permissions(script_.path(), std::filesystem::perms::owner_all);
  }
  std::string setting() const { return "ROSE_PTXAS=" + script_.path(); }

 private:
  TemporaryFile script_;
};

}  // namespace rose::cli::test
