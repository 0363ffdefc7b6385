// The one exception of the engine room: a request that cannot be served, and why.
#pragma once

#include <stdexcept>

namespace rose::engine {

/// The message says what was wrong with the request and what to do.
class EngineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace rose::engine
