// Helpers of the runtime tests: temporary folders, captured logs, and an x86 device whose "objects" name
// functions of the test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device.h"
#include "runtime/x86/device.h"

namespace rose::runtime {

/// A folder that lives as long as the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "rose-runtime-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Keeps what is logged.
class LogKeeper {
 public:
  LogFunction function() {
    return [this](LogLevel level, std::string_view text) {
      const std::lock_guard lock(mutex_);
      messages_.emplace_back(level, std::string(text));
    };
  }
  size_t count(LogLevel level) const {
    const std::lock_guard lock(mutex_);
    size_t n = 0;
    for (const auto& message : messages_) n += message.first == level;
    return n;
  }
  std::string all() const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& message : messages_) text += message.second + "\n";
    return text;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<LogLevel, std::string>> messages_;
};

/// The text of the DeviceError that `action` throws, and its kind; fails the test when it throws none.
template <class Action>
std::pair<ErrorKind, std::string> error_of(Action action) {
  try {
    action();
  } catch (const DeviceError& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::kInternal, "(nothing was thrown)"};
}

/// An x86 device on which the code "call ADDRESS" is the function at that address.
std::unique_ptr<Device> open_test_device(int threads);

/// A source whose code is `function`.
ProgramSource source_of(X86Entry function, std::vector<ParameterInfo> parameters, uint64_t scratch_bytes = 0);

}  // namespace rose::runtime
