// Kernels that a model will need, compiled on other threads while its weights are loaded.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace rose::models {

/// One thread at a time may call it.
class Preparations {
 public:
  /// `threads`: 0: the machine's processors, at most 16.
  explicit Preparations(int threads = 0);
  /// Drops what has not begun and waits for what has.
  ~Preparations();
  Preparations(const Preparations&) = delete;
  Preparations& operator=(const Preparations&) = delete;

  /// Queues `task`, unless one with this key was added before. It must own what it uses.
  void add(const std::string& key, std::function<void()> task);
  /// Waits for all; throws the first error.
  void finish();

 private:
  void work();

  size_t most_threads_;
  std::set<std::string> keys_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  size_t unfinished_ = 0;  // queued or under way
  bool closed_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace rose::models
