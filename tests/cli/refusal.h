// How the command must refuse what is wrong: one line that names file and field, an exit code, nothing else.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/process.h"

namespace rose::cli::test {

// `rose` with the tests' own cache of kernels, ended by a signal (status 128 + 9) if it should hang.
inline ProcessResult rose_in_time(const std::vector<std::string>& arguments,
                                  const std::vector<std::string>& environment = {}) {
  std::vector<std::string> command{
      "/usr/bin/timeout", "-s", "KILL", "120", "/usr/bin/env", "ROSE_CACHE=" ROSE_BINARY_DIR "/test-cache"};
  command.insert(command.end(), environment.begin(), environment.end());
  command.push_back(ROSE_BINARY_DIR "/bin/rose");
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_process(command);
}

// Sanitizers reserve more address space than a limit on it would grant.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// A script of bash, in which $ROSE is the program.
inline ProcessResult bash_in_time(const std::string& script) {
  return run_process({"/usr/bin/timeout", "-s", "KILL", "120", "/usr/bin/env",
                      "ROSE=" ROSE_BINARY_DIR "/bin/rose", "ROSE_CACHE=" ROSE_BINARY_DIR "/test-cache",
                      "/bin/bash", "-c", script});
}

inline std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += word.substr(0, 100) + " ";
  return text;
}

inline void expect_refusal(const ProcessResult& result, const std::vector<std::string>& words,
                           const std::string& what) {
  EXPECT_TRUE(result.status == 1 || result.status == 2) << what << ": exit code " << result.status << "\n"
                                                        << result.output.substr(0, 2000);
  const std::string& text = result.output;
  EXPECT_TRUE(text.starts_with("rose: error: ")) << what << ": " << text.substr(0, 2000);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << what << ": more than a line: " << text.substr(0, 2000);
  EXPECT_LT(text.size(), 1000u) << what;
  for (const auto& word : words) EXPECT_THAT(text, testing::HasSubstr(word)) << what;
  for (const char* leak :
       {"json.exception", "std::", "basic_string", "vector::", "bad_alloc", "_M_", "map::at"})
    EXPECT_THAT(text, testing::Not(testing::HasSubstr(leak))) << what;
}

}  // namespace rose::cli::test
