#include "runtime/log.h"

#include <unistd.h>

#include <string>

namespace rose::runtime {
namespace {

const char* level_prefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "rose: debug: ";
    case LogLevel::kInfo:
      return "rose: ";
    case LogLevel::kWarning:
      return "rose: warning: ";
    case LogLevel::kError:
      return "rose: error: ";
  }
  return "rose: ";
}

}  // namespace

LogFunction log_to_stderr(LogLevel minimum) {
  return [minimum](LogLevel level, std::string_view message) {
    if (level < minimum) return;
    // One write a message, so that messages of several threads and processes do not mix.
    std::string line = level_prefix(level);
    line.append(message);
    line += '\n';
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nowhere left to report it
  };
}

LogFunction log_nowhere() {
  return [](LogLevel, std::string_view) {};
}

}  // namespace rose::runtime
