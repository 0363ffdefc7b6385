// One device with its program cache, its default stream and its log: what the rest of ROSE is given instead
// of process globals.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/cache/program_cache.h"
#include "runtime/cuda/device.h"
#include "runtime/device.h"
#include "runtime/x86/device.h"

namespace rose::runtime {

struct ContextOptions {
  /// "auto" (the first GPU that works, else the x86 machine with a note why), "cuda", "cuda:1", "x86",
  /// "emulator" (a small Hopper GPU made of software, which checks what kernels do).
  std::string device = "auto";
  X86DeviceOptions x86;  // its log is replaced by the one below
  CacheOptions cache;    // its log is replaced by the one below
  LogFunction log = log_to_stderr();
  std::shared_ptr<const cuda::Driver> driver;  // already opened; null: open libcuda.so.1
};

class Context {
 public:
  /// Throws DeviceError when the device asked for cannot be opened ("auto" always finds one), and
  /// kInvalidArgument for another device text.
  explicit Context(ContextOptions options);

  Device& device() { return *device_; }
  const DeviceProperties& properties() const { return device_->properties(); }
  ProgramCache& cache() { return *cache_; }
  /// A stream of the device for whoever needs only one; used by one thread at a time.
  Stream& stream() { return *stream_; }
  const LogFunction& log() const { return log_; }

 private:
  LogFunction log_;
  // In this order: the device dies last.
  std::unique_ptr<Device> device_;
  std::unique_ptr<ProgramCache> cache_;
  std::unique_ptr<Stream> stream_;
};

/// One line a device that Context can open, for people: "cuda:0  NVIDIA H200, sm_90a, 132 processors, 141
/// GB". A missing or unusable driver is one line saying so.
std::vector<std::string> describe_devices();

}  // namespace rose::runtime
