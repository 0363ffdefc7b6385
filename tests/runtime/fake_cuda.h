// A CUDA driver made of ordinary memory, to test our side of the interface without a GPU: it hands out
// handles, runs "kernels" that write down how they were called, and fails where it is told to.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cuda/driver.h"

namespace rose::runtime {

struct FakeLaunch {
  std::string entry;
  unsigned grid[3], block[3], shared_bytes;
  std::vector<cuda::LaunchAttribute> attributes;
  std::vector<uint64_t> slots;  // the first 8 bytes of each argument
};

/// What the driver shows and has seen. Reset by every FakeCuda. Calls may come from several threads; tests
/// look at it in one.
struct FakeState {
  // Set by tests.
  int version = 13000;
  int devices = 1;
  int capability = 90;
  std::string name = "Fake H200";
  size_t memory = size_t{1} << 30;
  bool pools = true;
  std::string info_log, error_log;
  int registers = 32, local_bytes = 0, static_shared = 1024;
  size_t parameter_count = 0;  // of every kernel
  bool late_copies = false;    // copies to the device run when their stream or an event is waited for
  std::map<std::string, cuda::Result> fail;  // function name without "cu" → result of its next calls
  std::map<std::string, int> fail_times;     // how often; missing: always

  // Seen.
  std::vector<FakeLaunch> launches;
  std::vector<std::string> calls;  // names of the calls that change something
  std::map<int, int> function_attributes;
  std::string image;
  int live_handles = 0;   // streams, events, modules, graphs, pools, contexts
  size_t live_bytes = 0;  // of device and pinned memory
};

class FakeCuda {
 public:
  FakeCuda();
  FakeState& operator*();
  FakeState* operator->() { return &**this; }
  /// A driver that uses the state as it is now.
  std::shared_ptr<const cuda::Driver> driver();
  cuda::Functions functions();
};

}  // namespace rose::runtime
