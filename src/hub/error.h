// The exceptions of the room hub: messages say which model, file or server, and what to do.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace rose::hub {

enum class ErrorKind {
  kBadRequest,  // a name or an option means nothing, or the model is not what was asked for; nothing was done
  kFailed,      // network, server, disk
  kInterrupted,  // the caller asked to stop; what can be resumed was kept
};

class HubError : public std::runtime_error {
 public:
  HubError(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// A transfer that broke and may succeed when it is tried again.
class TransientError : public HubError {
 public:
  // `wait_seconds`: what the server asked for (Retry-After), or 0.
  explicit TransientError(const std::string& message, double wait_seconds = 0)
      : HubError(ErrorKind::kFailed, message), wait_seconds_(wait_seconds) {}
  double wait_seconds() const { return wait_seconds_; }

 private:
  double wait_seconds_;
};

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) {
  throw HubError(ErrorKind::kBadRequest, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw HubError(ErrorKind::kFailed, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace rose::hub
