// The CUDA side of the device interface: private to src/runtime/cuda.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cuda/driver.h"
#include "runtime/device.h"

namespace rose::runtime::cuda {

/// The primary context of one GPU. Everything that came from it holds it, so handles never outlive it.
class PrimaryContext {
 public:
  PrimaryContext(std::shared_ptr<const Driver> driver, DeviceNumber device, std::string name);
  ~PrimaryContext();
  PrimaryContext(const PrimaryContext&) = delete;
  PrimaryContext& operator=(const PrimaryContext&) = delete;

  const Driver& driver() const { return *driver_; }
  const Functions& call() const { return driver_->functions(); }
  const std::string& name() const { return name_; }  // "cuda:0 NVIDIA H200", for messages

  /// Other libraries of the process may have changed the calling thread's context, so every entry point sets
  /// it again; the call takes some tens of nanoseconds.
  void make_current() const { driver_->check(call().context_set_current(handle_), "choosing the GPU"); }
  /// For destructors: false when the context or the driver is gone, and every handle with it.
  bool try_make_current() const noexcept { return call().context_set_current(handle_) == kSuccess; }

 private:
  std::shared_ptr<const Driver> driver_;
  DeviceNumber device_;
  std::string name_;
  ContextHandle handle_ = nullptr;
};
using Primary = std::shared_ptr<const PrimaryContext>;

/// Device memory from a CUDA memory pool that keeps what it has, dedicated device memory, and pinned host
/// memory.
class Memory : public MemorySource, public std::enable_shared_from_this<Memory> {
 public:
  Memory(Primary primary, DeviceNumber device, bool pools);
  ~Memory() override;

  Buffer allocate(size_t bytes);
  Buffer allocate_ordered(size_t bytes, StreamHandle stream);
  Buffer allocate_dedicated(size_t bytes);
  HostBuffer allocate_host(size_t bytes);
  void trim();
  MemoryUse use() const;
  void release(void* address, size_t bytes, uint64_t tag) noexcept override;

 private:
  // What `release` must do with an address; any other tag is the stream in whose order it is given back.
  static constexpr uint64_t kPooled = 0, kDedicated = 1, kHost = 2;

  DeviceAddress from_pool(size_t bytes, StreamHandle stream);
  [[noreturn]] void report(Result result, size_t bytes, const char* what) const;
  Buffer own(DeviceAddress address, size_t bytes, uint64_t tag);

  Primary primary_;
  PoolHandle pool_ = nullptr;      // null: this GPU has no pools, everything is dedicated
  StreamHandle stream_ = nullptr;  // never holds work: what is freed in its order can be reused at once
};

class CudaProgram : public Program {
 public:
  CudaProgram(Primary primary, ProgramSource source, uint64_t max_shared_bytes);
  ~CudaProgram() override;
  FunctionHandle function() const { return function_; }

 private:
  void compile();
  void read_attributes();

  Primary primary_;
  ModuleHandle module_ = nullptr;
  FunctionHandle function_ = nullptr;
};

class CudaEvent : public Event {
 public:
  CudaEvent(Primary primary, bool timing);
  ~CudaEvent() override;
  bool ready() const override;
  void synchronize() const override;
  double seconds_since(const Event& start) const override;
  EventHandle handle() const { return handle_; }

 private:
  Primary primary_;
  bool timing_;
  EventHandle handle_ = nullptr;
};

class CudaGraph : public Graph {
 public:
  /// Takes the captured graph's ownership.
  CudaGraph(Primary primary, GraphHandle captured);
  ~CudaGraph() override;
  size_t node_count() const override { return nodes_; }
  /// True when updated in place, false when instantiated again. Takes the captured graph's ownership.
  bool replace(GraphHandle captured);
  GraphExecHandle handle() const { return exec_; }

 private:
  void instantiate(GraphHandle captured);

  Primary primary_;
  GraphExecHandle exec_ = nullptr;
  size_t nodes_ = 0;
};

class CudaStream : public Stream {
 public:
  CudaStream(Primary primary, StreamPriority priority);
  ~CudaStream() override;

  void upload(DevicePointer to, const void* from, size_t bytes) override;
  void download(void* to, DevicePointer from, size_t bytes) override;
  void copy(DevicePointer to, DevicePointer from, size_t bytes) override;
  void fill(DevicePointer to, uint8_t value, size_t bytes) override;
  void fill_words(DevicePointer to, uint32_t value, size_t bytes) override;
  void record(Event& event) override;
  void wait(const Event& event) override;
  void synchronize() override;
  bool idle() override;
  void begin_capture() override;
  std::unique_ptr<Graph> end_capture() override;
  bool end_capture(Graph& graph) override;
  void launch(Graph& graph) override;
  using Stream::launch;
  void* handle() override { return handle_; }

 protected:
  void submit(const LaunchPacket& packet) override;

 private:
  GraphHandle finish_capture();

  Primary primary_;
  StreamHandle handle_ = nullptr;
};

/// Fills the launch attributes that a program asks for and points `config` at them.
/// `attributes` has room for three. The grid is left to the caller.
void describe_launch(const ProgramSource& source, LaunchConfig& config, LaunchAttribute* attributes);

/// The event, graph or stream as one of this backend; throws DeviceError when it is another device kind's.
template <class Native, class Interface>
Native& native(Interface& object, const char* what) {
  auto* found = dynamic_cast<Native*>(&object);
  if (!found)
    throw DeviceError(ErrorKind::kInvalidArgument, std::string(what) + " belongs to another device");
  return *found;
}

}  // namespace rose::runtime::cuda
