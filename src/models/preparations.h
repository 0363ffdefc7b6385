// Kernels that a model will need, compiled on other threads while its weights are loaded.
#pragma once

#include <functional>
#include <future>
#include <set>
#include <string>
#include <vector>

namespace rose::models {

/// One thread at a time may call it. The destructor waits for what runs.
class Preparations {
 public:
  /// Runs `task` on a thread of its own, unless one with this key was added before. It must own what it uses.
  void add(const std::string& key, std::function<void()> task) {
    if (keys_.insert(key).second) tasks_.push_back(std::async(std::launch::async, std::move(task)));
  }
  /// Waits for all; throws the first error.
  void finish() {
    for (auto& task : tasks_) task.get();
    tasks_.clear();
  }

 private:
  std::set<std::string> keys_;
  std::vector<std::future<void>> tasks_;
};

}  // namespace rose::models
