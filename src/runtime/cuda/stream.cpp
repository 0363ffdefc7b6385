#include <fmt/format.h>

#include "runtime/cuda/objects.h"

namespace rose::runtime::cuda {
namespace {

void check_grid(const ProgramSource& source, Grid grid) {
  // Limits of compute capability 9.0 and later (CUDA programming guide, technical specifications).
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
    throw DeviceError(
        ErrorKind::kInvalidArgument,
        fmt::format("'{}' launched with a grid of {}×{}×{}; the limits are 2147483647×65535×65535",
                    source.entry, grid.x, grid.y, grid.z));
  }
  if (grid.x % source.cluster[0] || grid.y % source.cluster[1] || grid.z % source.cluster[2]) {
    throw DeviceError(
        ErrorKind::kInvalidArgument,
        fmt::format("'{}' launched with a grid of {}×{}×{}, which its clusters of {}×{}×{} do not divide",
                    source.entry, grid.x, grid.y, grid.z, source.cluster[0], source.cluster[1],
                    source.cluster[2]));
  }
}

}  // namespace

CudaStream::CudaStream(Primary primary, StreamPriority priority) : primary_(std::move(primary)) {
  primary_->make_current();
  int least = 0, greatest = 0;
  const Driver& driver = primary_->driver();
  driver.check(primary_->call().context_get_stream_priority_range(&least, &greatest),
               "asking for stream priorities");
  driver.check(primary_->call().stream_create_with_priority(&handle_, kStreamNonBlocking,
                                                            priority == StreamPriority::kHigh ? greatest : 0),
               "creating a stream");
}

CudaStream::~CudaStream() {
  if (primary_->try_make_current()) primary_->call().stream_destroy(handle_);
}

void CudaStream::submit(const LaunchPacket& packet) {
  const Program& program = *packet.program;
  const ProgramSource& source = program.source();
  if (program.home() != primary_.get()) {
    throw DeviceError(ErrorKind::kInvalidArgument, fmt::format("'{}' was loaded on another device than {}",
                                                               source.entry, primary_->name()));
  }
  if (packet.grid.blocks() == 0) return;
  check_grid(source, packet.grid);
  primary_->make_current();
  LaunchAttribute attributes[3];
  LaunchConfig config;
  describe_launch(source, config, attributes);
  config.grid_x = packet.grid.x;
  config.grid_y = packet.grid.y;
  config.grid_z = packet.grid.z;
  config.stream = handle_;
  const Result result =
      primary_->call().launch_kernel_ex(&config, static_cast<const CudaProgram&>(program).function(),
                                        const_cast<void**>(packet.addresses), nullptr);
  if (result != kSuccess) {
    throw primary_->driver().error(
        result,
        fmt::format("launching '{}' with {}×{}×{} blocks of {}×{}×{} threads, {} bytes of shared memory",
                    source.entry, packet.grid.x, packet.grid.y, packet.grid.z, source.threads[0],
                    source.threads[1], source.threads[2], source.shared_bytes));
  }
}

void CudaStream::upload(DevicePointer to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  primary_->make_current();
  primary_->driver().check(primary_->call().copy_to_device_async(to.address, from, bytes, handle_),
                           "copying to the GPU");
}

void CudaStream::download(void* to, DevicePointer from, size_t bytes) {
  if (bytes == 0) return;
  primary_->make_current();
  primary_->driver().check(primary_->call().copy_to_host_async(to, from.address, bytes, handle_),
                           "copying from the GPU");
}

void CudaStream::copy(DevicePointer to, DevicePointer from, size_t bytes) {
  if (bytes == 0) return;
  primary_->make_current();
  primary_->driver().check(primary_->call().copy_async(to.address, from.address, bytes, handle_),
                           "copying on the GPU");
}

void CudaStream::fill(DevicePointer to, uint8_t value, size_t bytes) {
  if (bytes == 0) return;
  primary_->make_current();
  primary_->driver().check(primary_->call().fill_bytes_async(to.address, value, bytes, handle_),
                           "filling memory");
}

void CudaStream::fill_words(DevicePointer to, uint32_t value, size_t bytes) {
  check_word_fill(to, bytes);
  if (bytes == 0) return;
  primary_->make_current();
  primary_->driver().check(primary_->call().fill_words_async(to.address, value, bytes / 4, handle_),
                           "filling memory");
}

void CudaStream::record(Event& event) {
  primary_->make_current();
  primary_->driver().check(
      primary_->call().event_record(native<CudaEvent>(event, "this event").handle(), handle_),
      "recording an event");
}

void CudaStream::wait(const Event& event) {
  primary_->make_current();
  primary_->driver().check(
      primary_->call().stream_wait_event(handle_, native<const CudaEvent>(event, "this event").handle(), 0),
      "waiting for an event");
}

void CudaStream::synchronize() {
  primary_->make_current();
  primary_->driver().check(primary_->call().stream_synchronize(handle_),
                           fmt::format("waiting for {}", primary_->name()));
}

bool CudaStream::idle() {
  primary_->make_current();
  const Result result = primary_->call().stream_query(handle_);
  if (result == kNotReady) return false;
  primary_->driver().check(result, "asking whether a stream is idle");
  return true;
}

void CudaStream::begin_capture() {
  primary_->make_current();
  // Relaxed: the program cache may load a missing program, and other threads may allocate, while we capture.
  // Neither becomes part of the graph.
  primary_->driver().check(primary_->call().stream_begin_capture(handle_, kCaptureRelaxed),
                           "beginning a capture");
}

GraphHandle CudaStream::finish_capture() {
  primary_->make_current();
  GraphHandle captured = nullptr;
  primary_->driver().check(primary_->call().stream_end_capture(handle_, &captured), "ending a capture");
  if (!captured) {
    throw DeviceError(ErrorKind::kInvalidArgument,
                      "the capture was spoiled by a call that cannot be captured");
  }
  return captured;
}

std::unique_ptr<Graph> CudaStream::end_capture() {
  return std::make_unique<CudaGraph>(primary_, finish_capture());
}

bool CudaStream::end_capture(Graph& graph) {
  auto& ours = native<CudaGraph>(graph, "this graph");
  return ours.replace(finish_capture());
}

void CudaStream::launch(Graph& graph) {
  primary_->make_current();
  primary_->driver().check(
      primary_->call().graph_launch(native<CudaGraph>(graph, "this graph").handle(), handle_),
      "launching a graph");
}

CudaEvent::CudaEvent(Primary primary, bool timing) : primary_(std::move(primary)), timing_(timing) {
  primary_->make_current();
  primary_->driver().check(
      primary_->call().event_create(&handle_, timing ? kEventDefault : kEventDisableTiming),
      "creating an event");
}

CudaEvent::~CudaEvent() {
  if (primary_->try_make_current()) primary_->call().event_destroy(handle_);
}

bool CudaEvent::ready() const {
  primary_->make_current();
  const Result result = primary_->call().event_query(handle_);
  if (result == kNotReady) return false;
  primary_->driver().check(result, "asking whether an event is ready");
  return true;
}

void CudaEvent::synchronize() const {
  primary_->make_current();
  primary_->driver().check(primary_->call().event_synchronize(handle_), "waiting for an event");
}

double CudaEvent::seconds_since(const Event& start) const {
  const auto& first = native<const CudaEvent>(start, "the start event");
  if (!timing_ || !first.timing_) {
    throw DeviceError(ErrorKind::kInvalidArgument,
                      "elapsed time asked of an event that was created without timing");
  }
  primary_->make_current();
  float milliseconds = 0;
  primary_->driver().check(primary_->call().event_elapsed_time(&milliseconds, first.handle_, handle_),
                           "reading elapsed time (both events must be recorded and ready)");
  return milliseconds * 1e-3;
}

CudaGraph::CudaGraph(Primary primary, GraphHandle captured) : primary_(std::move(primary)) {
  instantiate(captured);
}

CudaGraph::~CudaGraph() {
  if (exec_ && primary_->try_make_current()) primary_->call().graph_exec_destroy(exec_);
}

void CudaGraph::instantiate(GraphHandle captured) {
  GraphExecHandle exec = nullptr;
  Result result = primary_->call().graph_get_nodes(captured, nullptr, &nodes_);
  if (result == kSuccess) result = primary_->call().graph_instantiate(&exec, captured, 0);
  primary_->call().graph_destroy(captured);
  primary_->driver().check(result, "instantiating a graph");
  if (exec_) primary_->call().graph_exec_destroy(exec_);
  exec_ = exec;
}

bool CudaGraph::replace(GraphHandle captured) {
  GraphUpdateResult outcome = {};
  const Result result = primary_->call().graph_exec_update(exec_, captured, &outcome);
  if (result == kSuccess) {
    const Result count = primary_->call().graph_get_nodes(captured, nullptr, &nodes_);
    primary_->call().graph_destroy(captured);
    primary_->driver().check(count, "counting the nodes of a graph");
    return true;
  }
  if (result != kGraphUpdateFailure) {
    primary_->call().graph_destroy(captured);
    primary_->driver().check(result, "updating a graph");
  }
  instantiate(captured);
  return false;
}

}  // namespace rose::runtime::cuda
