// Where the runtime says what it does: one function given by the owner of a Context, standard error if none.
#pragma once

#include <functional>
#include <string_view>

namespace rose::runtime {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Receives one message, without a line break at its end. May be called from several threads at once.
using LogFunction = std::function<void(LogLevel, std::string_view)>;

/// A log that writes messages of at least `minimum` to standard error, each as one line "rose: warning: …".
LogFunction log_to_stderr(LogLevel minimum = LogLevel::kInfo);

/// A log that drops everything.
LogFunction log_nowhere();

}  // namespace rose::runtime
