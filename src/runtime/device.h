// Devices and their streams: the one interface behind which a CUDA GPU and the x86 machine look the same.
//
// A Device owns memory and loads programs. A Stream is a queue of work that runs in order; on x86 it runs at
// once on the calling thread and the device's thread pool. Devices may be used by many threads; a Stream,
// Event or Graph by one at a time. Streams, events, buffers, graphs and programs must die before their
// device.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "runtime/launch.h"
#include "runtime/log.h"
#include "runtime/memory.h"
#include "runtime/program.h"
#include "runtime/tensor_map.h"

namespace rose::runtime {

class Stream;
class Event;
class Graph;

struct DeviceProperties {
  enum class Kind { kCuda, kX86 };

  Kind kind = Kind::kX86;
  int index = 0;           // the driver's number; 0 on x86
  std::string name;        // "NVIDIA H200", or the processor's name
  std::string target;      // what code it takes: "sm_90a", "sm_100a", "sm_103a", "x86"
  std::string features;    // x86: what the code may use, part of the program cache's key; empty on GPUs
  int processors = 0;      // streaming multiprocessors; on x86 threads of the pool
  int capability = 0;      // compute capability, 10 × major + minor (90, 100, 103); 0 on x86
  int driver_version = 0;  // CUDA version of the driver, 1000 × major + 10 × minor; 0 on x86
  uint64_t memory_bytes = 0;
  uint64_t l2_bytes = 0;          // second-level cache of a GPU; last-level cache on x86; 0 if unknown
  uint64_t max_shared_bytes = 0;  // of one block, static and dynamic together; 0 on x86
  uint64_t shared_bytes_per_processor = 0;
  int max_threads_per_block = 1;
  int max_threads_per_processor = 1;
  double memory_bytes_per_second = 0;  // theoretical, from clock and bus width; 0 if unknown
  std::string pci_address;             // "0000:1b:00.0"; empty on x86
  bool emulated = false;               // a GPU that is made of software
};

struct MemoryUse {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
  uint64_t pool_used_bytes = 0;      // handed out by the pool
  uint64_t pool_reserved_bytes = 0;  // held by the pool, used or not
};

enum class StreamPriority { kNormal, kHigh };

class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual const DeviceProperties& properties() const = 0;

  virtual std::unique_ptr<Stream> create_stream(StreamPriority priority = StreamPriority::kNormal) = 0;
  /// An event with `timing` can be asked for elapsed time and costs a little more.
  virtual std::unique_ptr<Event> create_event(bool timing = true) = 0;

  /// Pooled memory, at least 256-byte aligned on a GPU and 64-byte aligned on x86, not cleared; 0 bytes give
  /// an empty buffer. Usable on every stream at once. Throws DeviceError (kOutOfMemory).
  virtual Buffer allocate(size_t bytes) = 0;
  /// Pooled memory in the order of `stream`: valid for work queued there later, and given back in its order.
  /// The stream must outlive the buffer.
  virtual Buffer allocate(size_t bytes, Stream& stream) = 0;
  /// Memory outside of the pool, for large and long-lived allocations and for sharing between processes.
  virtual Buffer allocate_dedicated(size_t bytes) = 0;
  virtual HostBuffer allocate_host(size_t bytes) = 0;
  /// Gives pooled memory that nobody uses back to the system.
  virtual void trim_pool() = 0;
  virtual MemoryUse memory_use() = 0;

  /// Makes a source callable. Throws DeviceError: kInvalidProgram with the assembler's log, kDriverTooOld, ….
  /// The usual way to a program is ProgramCache::get.
  virtual std::unique_ptr<Program> load(ProgramSource source) = 0;
  /// Blocks of the program (clusters × blocks of a cluster) that run at the same time on the whole device:
  /// the largest grid of a cooperative launch, and the grid of a persistent kernel.
  virtual uint64_t resident_blocks(const Program& program) = 0;

  /// Checks and encodes. Throws DeviceError: kInvalidArgument (see check_tensor_map), kUnsupported on x86.
  virtual TensorMap encode_tensor_map(const TensorMapSpec& spec) = 0;

  /// Waits for all work of all streams. Throws DeviceError (kLost) if any of it has failed.
  virtual void synchronize() = 0;

 protected:
  Device() = default;
};

class Stream {
 public:
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Queues one launch. Checks count, kind and size of the arguments; throws DeviceError naming the
  /// parameter.
  void launch(const Program& program, Grid grid, std::span<const Argument> arguments);
  void launch(const Program& program, Grid grid, std::initializer_list<Argument> arguments) {
    launch(program, grid, std::span<const Argument>(arguments.begin(), arguments.size()));
  }
  void launch(const PreparedLaunch& prepared) { submit(prepared.packet()); }

  /// Copies queue up and return. The host memory of upload and download must stay alive and, for an
  /// asynchronous copy, come from Device::allocate_host; other host memory is right too, but may block.
  virtual void upload(DevicePointer to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, DevicePointer from, size_t bytes) = 0;
  virtual void copy(DevicePointer to, DevicePointer from, size_t bytes) = 0;
  /// Sets every byte, or every 32-bit word, of `bytes` bytes; fill_words needs a multiple of 4.
  virtual void fill(DevicePointer to, uint8_t value, size_t bytes) = 0;
  virtual void fill_words(DevicePointer to, uint32_t value, size_t bytes) = 0;

  virtual void record(Event& event) = 0;
  /// Work queued here later starts after what `event` has recorded last.
  virtual void wait(const Event& event) = 0;
  virtual void synchronize() = 0;
  /// True when all queued work has ended.
  virtual bool idle() = 0;

  /// From here on work is recorded instead of run, until end_capture makes it a graph. A program that is not
  /// loaded yet may be loaded meanwhile.
  virtual void begin_capture() = 0;
  virtual std::unique_ptr<Graph> end_capture() = 0;
  /// Ends the capture by replacing what `graph` does. True if the graph could be updated in place (same
  /// shape, other arguments), false if it had to be built again; both leave it ready.
  virtual bool end_capture(Graph& graph) = 0;
  /// Queues all of a graph's work.
  virtual void launch(Graph& graph) = 0;

  /// The native handle: a CUstream; null on x86.
  virtual void* handle() = 0;

 protected:
  Stream() = default;
  virtual void submit(const LaunchPacket& packet) = 0;
};

class Event {
 public:
  virtual ~Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// True when the work recorded last has ended, or nothing was recorded.
  virtual bool ready() const = 0;
  virtual void synchronize() const = 0;
  /// Seconds from `start` to this event; both made with timing, recorded and ready.
  virtual double seconds_since(const Event& start) const = 0;

 protected:
  Event() = default;
};

/// Recorded work, launched as one.
class Graph {
 public:
  virtual ~Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  /// Kernels, copies and fills in it.
  virtual size_t node_count() const = 0;

 protected:
  Graph() = default;
};

}  // namespace rose::runtime
