// What the emulator throws: the first thing that a kernel did wrong, where, and by whom.
#pragma once

#include <stdexcept>
#include <string>

namespace rose::emulator {

/// The text names kernel, source line, block, warp and lane; it is meant for whoever wrote the kernel.
class EmulatorError : public std::runtime_error {
 public:
  explicit EmulatorError(const std::string& message) : std::runtime_error(message) {}
};

}  // namespace rose::emulator
