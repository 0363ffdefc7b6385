// The x86 machine as a device: host memory, and blocks of a kernel spread over a pool of threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/device.h"

namespace rose::runtime {

/// An x86 object in memory, ready to be called. `owner` keeps its code alive.
struct LoadedObject {
  X86Entry entry = nullptr;
  std::shared_ptr<void> owner;
};

/// Makes a relocatable ELF object callable and finds its entry; throws any std::exception that says what is
/// wrong with it. Called from several threads at once. codegen/x86 supplies it.
using ObjectLoader = std::function<LoadedObject(std::string_view object, std::string_view entry)>;

struct X86DeviceOptions {
  int threads = 0;       // of the pool, the caller's included; 0: what the machine allows this process
  bool pin = true;       // tie the pool's threads to processors where that can only help (see ThreadPool)
  std::string features;  // what the code generator may use; empty: detected (ir::host_features)
  ObjectLoader loader;   // without one, load() throws
  LogFunction log = log_nowhere();
};

std::unique_ptr<Device> open_x86_device(X86DeviceOptions options);

/// What this machine is as a device with `threads` threads (0: all that it allows), without starting any.
DeviceProperties x86_device_properties(int threads = 0);

}  // namespace rose::runtime
