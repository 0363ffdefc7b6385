#include "runtime/cache/program_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

#include "runtime/cache/disk_store.h"
#include "runtime/x86/thread_pool.h"

namespace rose::runtime {
namespace {

constexpr size_t kShards = 16;  // a power of two

using Clock = std::chrono::steady_clock;

uint64_t nanoseconds_since(Clock::time_point start) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

struct DigestHash {
  size_t operator()(const Digest& digest) const { return digest.high; }  // the low bits choose the shard
};

}  // namespace

// One key's program, or the work on it.
struct ProgramCache::Entry {
  explicit Entry(std::string key_text) : key(std::move(key_text)), builder(std::this_thread::get_id()) {}

  const std::string key;
  const std::thread::id builder;
  std::unique_ptr<Program> owner;                // written before `program` is
  std::atomic<const Program*> program{nullptr};  // set when ready

  // For those who wait.
  std::mutex mutex;
  std::condition_variable changed;
  std::exception_ptr failure;
};

struct alignas(128) ProgramCache::Shard {
  std::shared_mutex mutex;
  // Digests of different keys can be equal, if hardly ever by chance; the text decides.
  std::unordered_multimap<Digest, std::shared_ptr<Entry>, DigestHash> entries;
  std::atomic<uint64_t> hits{0};

  std::shared_ptr<Entry>* find(const ProgramKey& key) {
    const auto [begin, end] = entries.equal_range(key.digest());
    for (auto it = begin; it != end; ++it) {
      if (it->second->key == key.text()) return &it->second;
    }
    return nullptr;
  }
  void erase(const Entry* entry, const Digest& digest) {
    const auto [begin, end] = entries.equal_range(digest);
    for (auto it = begin; it != end; ++it) {
      if (it->second.get() != entry) continue;
      entries.erase(it);
      return;
    }
  }
};

ProgressFunction progress_to_stderr() {
  return [](size_t done, size_t total, double seconds, bool finished) {
    const bool terminal = ::isatty(STDERR_FILENO);
    // A log file gets one line at the end instead of a hundred rewritten ones.
    if (!terminal && !finished) return;
    const std::string line = fmt::format("{}rose: {} of {} kernels compiled, {:.0f} s{}",
                                         terminal ? "\r" : "", done, total, seconds, finished ? "\n" : "");
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;
  };
}

ProgramCache::ProgramCache(Device& device, CacheOptions options)
    : device_(device), options_(std::move(options)), shards_(std::make_unique<Shard[]>(kShards)) {
  if (!options_.log) options_.log = log_nowhere();
  if (options_.disk) {
    disk_ = std::make_unique<DiskStore>(options_.folder.empty() ? default_cache_folder() : options_.folder,
                                        options_.log);
  }
}

ProgramCache::~ProgramCache() = default;

std::string ProgramCache::folder() const { return disk_ ? disk_->folder() : ""; }

const Program* ProgramCache::find(const ProgramKey& key) {
  Shard& shard = shards_[key.digest().low % kShards];
  const std::shared_lock lock(shard.mutex);
  const auto* entry = shard.find(key);
  const Program* program = entry ? (*entry)->program.load(std::memory_order_acquire) : nullptr;
  if (program) shard.hits.fetch_add(1, std::memory_order_relaxed);
  return program;
}

const Program& ProgramCache::get(const ProgramKey& key, const std::function<ProgramSource()>& build) {
  if (const Program* program = find(key)) return *program;
  return fetch(key, build);
}

// The slow half of get: joins the work on the key, or begins it.
const Program& ProgramCache::fetch(const ProgramKey& key, const std::function<ProgramSource()>& build) {
  Shard& shard = shards_[key.digest().low % kShards];
  std::shared_ptr<Entry> entry;
  bool ours = false;
  {
    const std::unique_lock lock(shard.mutex);
    if (auto* found = shard.find(key)) {
      entry = *found;
    } else {
      entry = std::make_shared<Entry>(key.text());
      shard.entries.emplace(key.digest(), entry);
      ours = true;
    }
  }

  if (!ours) {
    if (const Program* program = entry->program.load(std::memory_order_acquire)) return *program;
    if (entry->builder == std::this_thread::get_id()) {
      throw DeviceError(ErrorKind::kInvalidArgument,
                        fmt::format("building the kernel '{}' asks the cache for itself", key.kernel()));
    }
    waits_.fetch_add(1, std::memory_order_relaxed);
    std::unique_lock lock(entry->mutex);
    entry->changed.wait(lock, [&] { return entry->program.load() || entry->failure; });
    if (entry->failure) std::rethrow_exception(entry->failure);
    return *entry->program.load();
  }

  try {
    entry->owner = make(key, build);
  } catch (...) {
    {
      const std::unique_lock lock(shard.mutex);
      shard.erase(entry.get(), key.digest());
    }
    const std::lock_guard lock(entry->mutex);
    entry->failure = std::current_exception();
    entry->changed.notify_all();
    throw;
  }
  const std::lock_guard lock(entry->mutex);
  entry->program.store(entry->owner.get(), std::memory_order_release);
  entry->changed.notify_all();
  return *entry->owner;
}

std::unique_ptr<Program> ProgramCache::make(const ProgramKey& key,
                                            const std::function<ProgramSource()>& build) {
  const auto load = [&](ProgramSource source) {
    const auto start = Clock::now();
    auto program = device_.load(std::move(source));
    load_nanoseconds_.fetch_add(nanoseconds_since(start), std::memory_order_relaxed);
    return program;
  };

  if (disk_) {
    const auto start = Clock::now();
    auto stored = disk_->read(key);
    disk_nanoseconds_.fetch_add(nanoseconds_since(start), std::memory_order_relaxed);
    if (stored) {
      try {
        auto program = load(std::move(*stored));
        disk_hits_.fetch_add(1, std::memory_order_relaxed);
        return program;
      } catch (const DeviceError& error) {
        if (error.kind() != ErrorKind::kInvalidProgram) throw;
        disk_->remove(key, error.what());
      }
    }
  }

  const auto start = Clock::now();
  ProgramSource source = build();
  build_nanoseconds_.fetch_add(nanoseconds_since(start), std::memory_order_relaxed);
  builds_.fetch_add(1, std::memory_order_relaxed);
  auto program = load(std::move(source));
  // Only what the device has accepted is worth keeping.
  if (disk_) disk_->write(key, program->source());
  report_slow_compiling(key.kernel());
  return program;
}

void ProgramCache::report_slow_compiling(std::string_view kernel) {
  constexpr uint64_t kSecond = 1'000'000'000;
  const uint64_t total = build_nanoseconds_.load() + load_nanoseconds_.load();
  uint64_t reported = reported_nanoseconds_.load();
  if (total < reported + kSecond || warming_.load() > 0) return;
  if (!reported_nanoseconds_.compare_exchange_strong(reported, total)) return;  // another thread says it
  options_.log(LogLevel::kInfo, fmt::format("{} kernels compiled in {:.1f} s, the last one '{}'",
                                            builds_.load(), 1e-9 * static_cast<double>(total), kernel));
}

void ProgramCache::warm(const std::vector<ProgramRequest>& requests) {
  if (requests.empty()) return;
  struct Warming {
    std::atomic<int>& count;
    explicit Warming(std::atomic<int>& c) : count(c) { ++count; }
    ~Warming() { --count; }
  } warming(warming_);
  const size_t wanted = static_cast<size_t>(options_.threads > 0 ? options_.threads : available_processors());
  const size_t count = std::min(wanted, requests.size());
  std::atomic<size_t> next{0};
  size_t done = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  std::condition_variable changed;

  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < requests.size();) {
      std::exception_ptr error;
      try {
        get(requests[i].key, requests[i].build);
      } catch (...) {
        error = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (error && !failure) failure = error;
      ++done;
      changed.notify_one();
    }
  };

  const auto start = Clock::now();
  const auto report = [&](size_t ready, bool finished) {
    if (options_.progress) {
      options_.progress(ready, requests.size(), std::chrono::duration<double>(Clock::now() - start).count(),
                        finished);
    }
  };
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < count; ++i) threads.emplace_back(work);
  bool reported = false;
  std::unique_lock lock(mutex);
  for (auto tick = start + std::chrono::seconds(1); done < requests.size();) {
    if (changed.wait_until(lock, tick, [&] { return done == requests.size(); })) break;
    const size_t ready = done;
    lock.unlock();  // the callback may be slow, or ask the cache
    report(ready, false);
    reported = true;
    tick += std::chrono::seconds(1);
    lock.lock();
  }
  lock.unlock();
  threads.clear();
  if (reported) report(requests.size(), true);
  if (failure) std::rethrow_exception(failure);
}

CacheCounters ProgramCache::counters() const {
  CacheCounters counters;
  for (size_t i = 0; i < kShards; ++i) counters.hits += shards_[i].hits.load(std::memory_order_relaxed);
  counters.disk_hits = disk_hits_.load(std::memory_order_relaxed);
  counters.builds = builds_.load(std::memory_order_relaxed);
  counters.waits = waits_.load(std::memory_order_relaxed);
  counters.corrupt = disk_ ? disk_->corrupt() : 0;
  counters.disk_seconds = 1e-9 * static_cast<double>(disk_nanoseconds_.load(std::memory_order_relaxed));
  counters.build_seconds = 1e-9 * static_cast<double>(build_nanoseconds_.load(std::memory_order_relaxed));
  counters.load_seconds = 1e-9 * static_cast<double>(load_nanoseconds_.load(std::memory_order_relaxed));
  return counters;
}

}  // namespace rose::runtime
