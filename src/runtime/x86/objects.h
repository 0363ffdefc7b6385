// The x86 side of the device interface: private to src/runtime/x86, but for what the emulated device shares
// (streams and events over host memory).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/device.h"
#include "runtime/x86/device.h"
#include "runtime/x86/thread_pool.h"

namespace rose::runtime::x86 {

/// Host memory, 64-byte aligned; large blocks ask for huge pages. Counts what is handed out.
class HostMemory : public MemorySource, public std::enable_shared_from_this<HostMemory> {
 public:
  ~HostMemory() override;
  Buffer allocate(size_t bytes);
  /// For what lives long and is read again and again, as weights are: small blocks share huge pages too.
  Buffer allocate_lasting(size_t bytes);
  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  void release(void* address, size_t bytes, uint64_t tag) noexcept override;

 private:
  struct Chunk;  // a few huge pages

  std::atomic<uint64_t> used_{0};
  std::mutex mutex_;
  Chunk* open_ = nullptr;  // the one that lasting blocks are cut from
};

/// The threads and the memory that running blocks use; shared by a device and its streams.
class Machine {
 public:
  Machine(int threads, bool pin) : pool_(threads, pin), scratch_(static_cast<size_t>(pool_.threads())) {}

  int threads() const { return pool_.threads(); }
  /// `arguments` as the entry wants them, the grid's size included.
  void run(X86Entry entry, const uint64_t* arguments, Grid grid, uint64_t scratch_bytes);

 private:
  // A worker's scratch memory is touched by that worker alone: the pool never runs two calls of one worker at
  // once.
  void* scratch(int worker, uint64_t bytes);

  ThreadPool pool_;
  std::shared_ptr<HostMemory> memory_ = std::make_shared<HostMemory>();
  std::vector<Buffer> scratch_;
};

class X86Program : public Program {
 public:
  X86Program(ProgramSource source, const void* home, const ObjectLoader& loader);
  X86Entry entry() const { return object_.entry; }

 private:
  LoadedObject object_;
};

class X86Event : public Event {
 public:
  explicit X86Event(bool timing) : timing_(timing) {}
  bool ready() const override { return true; }
  void synchronize() const override {}
  double seconds_since(const Event& start) const override;
  void mark() {
    recorded_ = true;
    time_ = std::chrono::steady_clock::now();
  }

 private:
  bool timing_, recorded_ = false;
  std::chrono::steady_clock::time_point time_;
};

/// A graph is the list of what was recorded.
class X86Graph : public Graph {
 public:
  explicit X86Graph(std::vector<std::function<void()>> steps) : steps_(std::move(steps)) {}
  size_t node_count() const override { return steps_.size(); }
  void replace(std::vector<std::function<void()>> steps) { steps_ = std::move(steps); }
  const std::vector<std::function<void()>>& steps() const { return steps_; }
  void run() const {
    for (const auto& step : steps_) step();
  }

 private:
  std::vector<std::function<void()>> steps_;
};

/// A stream over host memory: runs everything at once on the calling thread, or records it. How a launch runs
/// is its children's.
class HostStream : public Stream {
 public:
  explicit HostStream(const void* home) : home_(home) {}

  void upload(DevicePointer to, const void* from, size_t bytes) override;
  void download(void* to, DevicePointer from, size_t bytes) override;
  void copy(DevicePointer to, DevicePointer from, size_t bytes) override;
  void fill(DevicePointer to, uint8_t value, size_t bytes) override;
  void fill_words(DevicePointer to, uint32_t value, size_t bytes) override;
  void record(Event& event) override;
  void wait(const Event&) override {}  // whatever was recorded has run
  void synchronize() override {}
  bool idle() override { return true; }
  void begin_capture() override;
  std::unique_ptr<Graph> end_capture() override;
  bool end_capture(Graph& graph) override;
  void launch(Graph& graph) override;
  using Stream::launch;
  void* handle() override { return nullptr; }

 protected:
  /// Throws DeviceError for programs of other devices and for grids of more than 2^63 blocks.
  void check_launch(const LaunchPacket& packet) const;
  bool capturing() const { return capturing_; }
  template <class Step>
  void run_or_record(Step step) {
    if (capturing_) {
      recorded_.emplace_back(std::move(step));
    } else {
      step();
    }
  }

 private:
  std::vector<std::function<void()>> finish_capture();

  const void* home_;
  bool capturing_ = false;
  std::vector<std::function<void()>> recorded_;
};

/// Launches run on the pool, too.
class X86Stream : public HostStream {
 public:
  X86Stream(std::shared_ptr<Machine> machine, const void* home)
      : HostStream(home), machine_(std::move(machine)) {}

 protected:
  void submit(const LaunchPacket& packet) override;

 private:
  std::shared_ptr<Machine> machine_;
};

}  // namespace rose::runtime::x86
