// The program cache: from a key to a loaded program without recording the kernel again.
//
// Three places, fastest first: the programs of this process, the files of all processes (DiskStore), and the
// caller's build function. What is built is also published to the files.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cache/key.h"
#include "runtime/device.h"

namespace rose::runtime {

/// Called once a second while ProgramCache::warm works, first after one second, and at its end if it ever was
/// called: so many of so many programs are ready after so many seconds.
using ProgressFunction = std::function<void(size_t done, size_t total, double seconds, bool finished)>;

/// Rewrites one line on standard error: "rose: 12 of 40 kernels compiled, 3 s".
ProgressFunction progress_to_stderr();

struct CacheOptions {
  bool disk = true;
  std::string folder;  // empty: $ROSE_CACHE, else $XDG_CACHE_HOME/rose, else ~/.cache/rose
  int threads = 0;     // of warm(); 0: what the machine allows this process
  ProgressFunction progress = progress_to_stderr();
  LogFunction log = log_to_stderr();
};

struct CacheCounters {
  uint64_t hits = 0;         // answered from this process
  uint64_t disk_hits = 0;    // answered from files
  uint64_t builds = 0;       // answered by the build function
  uint64_t waits = 0;        // answered by another thread that was at it already
  uint64_t corrupt = 0;      // files found broken and removed
  double disk_seconds = 0;   // reading and checking files
  double build_seconds = 0;  // in build functions
  double load_seconds = 0;   // in Device::load
};

struct ProgramRequest {
  ProgramKey key;
  std::function<ProgramSource()> build;
};

class DiskStore;

/// Programs of one device. All functions may be called from many threads.
class ProgramCache {
 public:
  ProgramCache(Device& device, CacheOptions options);
  ~ProgramCache();

  /// The program of `key`; stays valid as long as the cache. Two threads that ask for the same missing key
  /// get the same program: one builds, the other waits. What `build` or the device throws reaches both, and a
  /// later call tries again. `build` must not ask for programs itself. Outside of warm(), a line is logged
  /// whenever compiling has taken another second.
  const Program& get(const ProgramKey& key, const std::function<ProgramSource()>& build);

  /// The program if this process has it, else null. Never waits, reads or builds.
  const Program* find(const ProgramKey& key);

  /// Makes all requested programs ready, on several threads. Throws the first error after all have been
  /// tried.
  void warm(const std::vector<ProgramRequest>& requests);

  CacheCounters counters() const;
  /// The folder of the files; empty when there is none (switched off, or found unusable).
  std::string folder() const;

 private:
  struct Entry;
  struct Shard;

  const Program& fetch(const ProgramKey& key, const std::function<ProgramSource()>& build);
  std::unique_ptr<Program> make(const ProgramKey& key, const std::function<ProgramSource()>& build);
  void report_slow_compiling(std::string_view kernel);

  Device& device_;
  CacheOptions options_;
  std::unique_ptr<DiskStore> disk_;
  std::unique_ptr<Shard[]> shards_;
  std::atomic<uint64_t> disk_hits_{0}, builds_{0}, waits_{0};
  std::atomic<uint64_t> disk_nanoseconds_{0}, build_nanoseconds_{0}, load_nanoseconds_{0};
  std::atomic<uint64_t> reported_nanoseconds_{0};  // compiling time that was logged already
  std::atomic<int> warming_{0};                    // calls of warm() at work; they report themselves
};

}  // namespace rose::runtime
