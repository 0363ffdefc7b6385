#include "runtime/x86/thread_pool.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <system_error>

#include "runtime/error.h"

namespace rose::runtime {
namespace {

// How long a thread looks for work, or for the end of others' work, before it sleeps. Longer than the gap
// between two launches of a forward pass, shorter than anything a person or a scheduler notices.
constexpr auto kSpin = std::chrono::microseconds(50);

// States of a worker. The two sleeping states tell the other side that it must wake somebody.
constexpr uint32_t kIdle = 0;     // looking for work
constexpr uint32_t kAsleep = 1;   // waiting in the kernel for work
constexpr uint32_t kPosted = 2;   // work offered
constexpr uint32_t kRunning = 3;  // work taken
constexpr uint32_t kAwaited = 4;  // work taken, and the caller sleeps until it ends
constexpr uint32_t kStop = 5;

void futex_wait(std::atomic<uint32_t>& word, uint32_t expected) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
void futex_wake(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// Spins until `done` or the time is up; true when done.
template <class Condition>
bool spin_until(Condition done) {
  const auto give_up = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      __builtin_ia32_pause();
    }
  } while (std::chrono::steady_clock::now() < give_up);
  return false;
}

// A range [begin, end) of 32-bit indices in one word, so that taking a part is one compare-and-swap. The word
// is the whole truth about what is left, so a value that comes back later (ABA) does no harm.
constexpr uint64_t pack(uint32_t begin, uint32_t end) { return uint64_t{begin} << 32 | end; }
constexpr uint32_t begin_of(uint64_t range) { return static_cast<uint32_t>(range >> 32); }
constexpr uint32_t end_of(uint64_t range) { return static_cast<uint32_t>(range); }

int affinity_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return static_cast<int>(std::thread::hardware_concurrency());
  return CPU_COUNT(&set);
}

void pin_to_nth_processor(int n) {
  cpu_set_t allowed, one;
  CPU_ZERO(&allowed);
  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- > 0) continue;
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
    return;
  }
}

// Processors that the control group's quota is worth; 0 when there is no quota.
int quota_processors() {
  double quota = 0, period = 0;
  if (std::FILE* file =
          std::fopen("/sys/fs/cgroup/cpu.max", "re")) {  // version 2: "max 100000" or "200000 100000"
    if (std::fscanf(file, "%lf %lf", &quota, &period) != 2) quota = 0;
    std::fclose(file);
  }
  return quota > 0 && period > 0 ? static_cast<int>(std::ceil(quota / period)) : 0;
}

}  // namespace

int available_processors() {
  const int allowed = std::max(1, affinity_processors());
  const int quota = quota_processors();
  return quota > 0 ? std::min(allowed, quota) : allowed;
}

// Each on its own pair of cache lines: the processor fetches lines in pairs.
struct alignas(128) ThreadPool::Worker {
  std::atomic<uint64_t> range{0};
  alignas(128) std::atomic<uint32_t> state{kIdle};
  std::thread thread;
};

ThreadPool::ThreadPool(int threads, bool pin) {
  threads = std::max(1, threads);
  const bool covers_all = threads > 1 && threads == affinity_processors();
  for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>());
  int started = 1;
  try {
    for (int i = 1; i < threads; ++started, ++i) {
      workers_[i]->thread = std::thread([this, i, tie = pin && covers_all] {
        if (tie) pin_to_nth_processor(i);
        live(i);
      });
    }
  } catch (const std::system_error& error) {
    stop();
    throw DeviceError(ErrorKind::kInternal,
                      fmt::format("no more than {} of {} threads can be started: {}; use fewer", started,
                                  threads, error.code().message()));
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  for (auto& worker : workers_) {
    if (!worker->thread.joinable()) continue;
    if (worker->state.exchange(kStop) == kAsleep) futex_wake(worker->state);
    worker->thread.join();
  }
}

void ThreadPool::live(int index) {
  std::atomic<uint32_t>& state = workers_[index]->state;
  for (;;) {
    const auto called = [&] {
      const uint32_t now = state.load(std::memory_order_relaxed);
      return now == kPosted || now == kStop;
    };
    if (!spin_until(called)) {
      uint32_t expected = kIdle;
      if (state.compare_exchange_strong(expected, kAsleep)) {
        while (state.load() == kAsleep) futex_wait(state, kAsleep);
      }
    }
    uint32_t expected = kPosted;
    if (state.compare_exchange_strong(expected, kRunning)) {
      take_part(index);
      expected = kRunning;
      if (!state.compare_exchange_strong(expected, kIdle)) {  // kAwaited
        state.store(kIdle);
        futex_wake(state);
      }
    } else if (expected == kStop) {
      return;
    }  // else the offer was taken back
  }
}

int ThreadPool::worker_of_this_thread() const {
  const std::thread::id self = std::this_thread::get_id();
  if (caller_.load(std::memory_order_relaxed) == self) return 0;
  for (size_t i = 1; i < workers_.size(); ++i) {
    if (workers_[i]->thread.get_id() == self) return static_cast<int>(i);
  }
  return -1;
}

void ThreadPool::run(int64_t count, void* self, Call call) {
  if (count <= 0) return;
  if (const int nested = worker_of_this_thread(); nested >= 0) {
    call(self, nested, 0, count);
    return;
  }
  const std::lock_guard lock(mutex_);
  struct Caller {
    std::atomic<std::thread::id>& id;
    explicit Caller(std::atomic<std::thread::id>& slot) : id(slot) { id.store(std::this_thread::get_id()); }
    ~Caller() { id.store({}); }
  } caller(caller_);
  if (threads() == 1 || count == 1) {
    call(self, 0, 0, count);
    return;
  }
  self_ = self;
  call_ = call;
  failed_ = false;
  constexpr int64_t kRound = 0xffffffff;  // indices are 32-bit inside of a round
  for (int64_t base = 0; base < count && !failed_; base += kRound) {
    fork_join(base, static_cast<uint32_t>(std::min(kRound, count - base)));
  }
  if (failed_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::fork_join(int64_t base, uint32_t count) {
  base_ = base;
  participants_ = static_cast<int>(std::min<uint32_t>(count, static_cast<uint32_t>(threads())));
  const auto border = [&](int i) {
    return static_cast<uint32_t>(uint64_t{count} * static_cast<uint64_t>(i) /
                                 static_cast<uint64_t>(participants_));
  };
  // All shares first: a thread that starts at once may already take from the others.
  for (int i = 0; i < participants_; ++i) {
    workers_[i]->range.store(pack(border(i), border(i + 1)), std::memory_order_relaxed);
  }
  for (int i = 1; i < participants_; ++i) {
    std::atomic<uint32_t>& state = workers_[i]->state;
    if (state.exchange(kPosted) == kAsleep) futex_wake(state);
  }
  take_part(0);
  for (int i = 1; i < participants_; ++i) {
    std::atomic<uint32_t>& state = workers_[i]->state;
    uint32_t expected = kPosted;
    if (state.compare_exchange_strong(expected, kIdle)) continue;  // never came; its share is done
    if (spin_until([&] { return state.load(std::memory_order_acquire) == kIdle; })) continue;
    expected = kRunning;
    if (!state.compare_exchange_strong(expected, kAwaited)) continue;  // just ended
    while (state.load(std::memory_order_acquire) == kAwaited) futex_wait(state, kAwaited);
  }
}

void ThreadPool::take_part(int worker) {
  do {
    while (take_own(worker)) {
    }
  } while (steal(worker));
}

bool ThreadPool::take_own(int worker) {
  std::atomic<uint64_t>& own = workers_[worker]->range;
  uint64_t range = own.load(std::memory_order_relaxed);
  for (;;) {
    const uint32_t begin = begin_of(range), end = end_of(range);
    if (begin >= end) return false;
    // A quarter at a time: few swaps, and most of the rest stays for others to take.
    const uint32_t piece = std::max<uint32_t>(1, (end - begin) / 4);
    if (own.compare_exchange_weak(range, pack(begin + piece, end), std::memory_order_relaxed)) {
      execute(worker, begin, begin + piece);
      return true;
    }
  }
}

bool ThreadPool::steal(int worker) {
  for (int i = 1; i < participants_; ++i) {
    std::atomic<uint64_t>& other = workers_[(worker + i) % participants_]->range;
    uint64_t range = other.load(std::memory_order_relaxed);
    for (;;) {
      const uint32_t begin = begin_of(range), end = end_of(range);
      if (begin >= end) break;
      const uint32_t middle = begin + (end - begin) / 2;
      if (other.compare_exchange_weak(range, pack(begin, middle), std::memory_order_relaxed)) {
        workers_[worker]->range.store(pack(middle, end), std::memory_order_relaxed);
        return true;
      }
    }
  }
  return false;
}

void ThreadPool::execute(int worker, uint32_t begin, uint32_t end) {
  if (failed_.load(std::memory_order_relaxed)) return;
  try {
    call_(self_, worker, base_ + begin, base_ + end);
  } catch (...) {
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
}

}  // namespace rose::runtime
