// The one exception of the runtime room: what went wrong with a device, where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace rose::runtime {

/// What a caller may want to react to. The text of the message is for people.
enum class ErrorKind {
  kMissingDriver,      // no libcuda.so.1 on this machine, or it does not load
  kDriverTooOld,       // the driver's CUDA version is below what the target's code needs
  kNoDevice,           // driver present, but no device with this index
  kUnsupportedDevice,  // a GPU that no target of ours describes
  kOutOfMemory,        // device, pinned or host memory
  kLost,               // the context is dead after a fault; only a new process helps
  kInvalidProgram,     // code that the device refuses
  kInvalidArgument,    // the caller's mistake: launch arguments, tensor maps, sizes
  kUnsupported,        // a feature that this device does not have
  kInternal,           // everything else that the driver or the system reports
};

class DeviceError : public std::runtime_error {
 public:
  DeviceError(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace rose::runtime
