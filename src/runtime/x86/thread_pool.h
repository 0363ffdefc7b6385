// A pool of threads for fork-join work of a few microseconds: the blocks of one x86 kernel launch.
//
// The caller takes part. Every thread starts with a contiguous share of the range, takes pieces from its
// front, and when it has none left takes the back half of another thread's rest. Threads that are asleep are
// woken, but not waited for: what they have not begun, the others do.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace rose::runtime {

class ThreadPool {
 public:
  /// `threads` counts the caller; at least 1. With `pin`, and only when the pool has a thread for every
  /// processor that this process may use, each thread but the caller's is tied to one processor; failures are
  /// ignored. Throws DeviceError when the system does not grant so many.
  explicit ThreadPool(int threads, bool pin = true);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()); }

  /// Calls body(worker, begin, end) so that every index of [0, count) is in exactly one call, and returns
  /// when all calls have. `worker` is below threads(); calls with the same worker never overlap. The first
  /// exception of a body is thrown again here; the rest of the range may then be skipped. Several threads may
  /// call this: their ranges run one after another. From inside a body the range runs on the calling thread
  /// alone.
  template <class Body>
  void for_each_range(int64_t count, Body&& body) {
    using Callable = std::remove_reference_t<Body>;
    run(count, const_cast<void*>(static_cast<const void*>(&body)),
        [](void* self, int worker, int64_t begin, int64_t end) {
          (*static_cast<Callable*>(self))(worker, begin, end);
        });
  }

 private:
  using Call = void (*)(void* self, int worker, int64_t begin, int64_t end);
  struct Worker;

  void run(int64_t count, void* self, Call call);
  void fork_join(int64_t base, uint32_t count);
  void take_part(int worker);
  bool take_own(int worker);
  bool steal(int worker);
  void execute(int worker, uint32_t begin, uint32_t end);
  void live(int worker);
  void stop();
  int worker_of_this_thread() const;

  std::vector<std::unique_ptr<Worker>> workers_;  // 0 is whoever calls

  // The job at hand. Written between jobs only, under the mutex.
  std::mutex mutex_;
  std::atomic<std::thread::id> caller_;
  void* self_ = nullptr;
  Call call_ = nullptr;
  int64_t base_ = 0;
  int participants_ = 0;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
};

/// Processors that this process may use: its affinity mask, cut to its control group's quota; at least 1.
int available_processors();

}  // namespace rose::runtime
