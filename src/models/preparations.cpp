#include "models/preparations.h"

#include <algorithm>

namespace rose::models {

Preparations::Preparations(int threads)
    : most_threads_(threads > 0 ? static_cast<size_t>(threads)
                                : std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16)) {}

Preparations::~Preparations() {
  {
    const std::lock_guard lock(mutex_);
    tasks_.clear();
    closed_ = true;
  }
  changed_.notify_all();
}

void Preparations::add(const std::string& key, std::function<void()> task) {
  if (!keys_.insert(key).second) return;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    ++unfinished_;
  }
  if (threads_.size() < most_threads_) threads_.emplace_back([this] { work(); });
  changed_.notify_all();
}

void Preparations::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return unfinished_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Preparations::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      task();
    } catch (...) {
      failure = std::current_exception();
    }
    task = nullptr;  // what it owns dies before finish() returns
    lock.lock();
    if (failure && !failure_) failure_ = failure;
    --unfinished_;
    changed_.notify_all();
  }
}

}  // namespace rose::models
