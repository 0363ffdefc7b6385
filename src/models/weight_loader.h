// Brings a checkpoint's matrices to a device: threads read the mapped files, convert what the kernels want
// otherwise, and copy through page-locked buffers, while the caller goes on building the model and compiling
// its kernels.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "ir/type.h"
#include "models/checkpoint.h"
#include "runtime/context.h"

namespace rose::models {

struct WeightLoaderOptions {
  int threads = 0;                       // that read and convert; 0: the machine's processors, at most 8
  size_t chunk_bytes = size_t{8} << 20;  // of one copy; each thread has two buffers of this size
  /// Called by finish() every tenth of a second while it waits: bytes that have been taken to the device, and
  /// all queued.
  std::function<void(uint64_t done, uint64_t queued)> progress;
};

/// For WeightLoaderOptions::progress: a line on standard error whenever `interval` has passed, so that short
/// loads say nothing.
std::function<void(uint64_t done, uint64_t queued)> loading_to_stderr(
    std::chrono::milliseconds interval = std::chrono::seconds(2));

/// One thread at a time may call it. Context and checkpoint must outlive it.
class WeightLoader {
 public:
  WeightLoader(runtime::Context& context, const Checkpoint& checkpoint, WeightLoaderOptions options = {});
  /// Waits for copies under way and drops those that have not begun.
  ~WeightLoader();
  WeightLoader(const WeightLoader&) = delete;
  WeightLoader& operator=(const WeightLoader&) = delete;

  /// Queues a tensor, whatever its format in the file: its elements, dense and row-major, as `type` (bf16,
  /// f16 or f32) at `to`, which must stay allocated until finish() or, when the caller gives up, until this
  /// loader is gone. Values are rounded to nearest, ties to even.
  void copy(const weights::Tensor& tensor, runtime::DevicePointer to, ir::Type type = ir::bf16);

  /// The rows of several tensors with rows of one length as one matrix: one tensor below the other, or, with
  /// `group` > 0, `group` rows of the first, as many of the second, and so on again from the first (of equal
  /// shapes, whose rows `group` divides). [sum of rows, row elements] at `to`. `owner` is held until the copy
  /// has arrived: a model that fails halfway takes its buffers down while copies are under way.
  void copy(std::span<const weights::Tensor* const> parts, runtime::DevicePointer to,
            ir::Type type = ir::bf16, int64_t group = 0, std::shared_ptr<const void> owner = nullptr);

  /// Waits until all is on the device, for every stream. Throws WeightsError for a NaN or an infinity in a
  /// tensor and for values beyond f16, DeviceError when the device fails; the rest is then dropped.
  void finish();

  uint64_t queued_bytes() const { return queued_; }  // in the device's types

 private:
  struct Part {                                     // rows of one tensor that go to one place
    std::shared_ptr<const weights::Tensor> tensor;  // a copy: the caller's may be gone by then
    uint64_t first_row, rows;
  };
  struct Job {
    std::vector<Part> parts;  // in the order in which they lie on the device
    runtime::DevicePointer to;
    ir::Type type;
    size_t bytes;
    std::shared_ptr<const void> owner;  // of `to`, or null
  };
  class Worker;

  void queue(Job job);
  void add(Job& pending, const Part& part, size_t row_bytes);
  bool next(Job& job);
  void done(size_t bytes);
  void failed(std::exception_ptr error);

  runtime::Context& context_;
  const Checkpoint& checkpoint_;
  WeightLoaderOptions options_;
  uint64_t queued_ = 0;

  std::mutex mutex_;
  std::condition_variable work_, progress_;
  std::deque<Job> jobs_;
  uint64_t done_ = 0;
  int waiting_ = 0;  // jobs queued or under way
  bool closed_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

/// Throws ModelError unless weights may be converted to this type on the way: bf16, f16, f32.
void check_weight_type(ir::Type type);

}  // namespace rose::models
