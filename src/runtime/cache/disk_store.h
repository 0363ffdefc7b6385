// Program sources in files, shared by all processes that use the same folder.
//
// A file is named by its key's digest and holds the key, the source and a checksum. It is written beside its
// place and renamed into it, so readers see all of it or nothing; two writers of one key both write the same,
// and the last one stays. Whatever is wrong with a file, the answer is "not there".
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "runtime/cache/key.h"
#include "runtime/log.h"
#include "runtime/program.h"

namespace rose::runtime {

class DiskStore {
 public:
  /// Makes the folder (mode 0700) if need be and removes temporary files older than an hour. A folder that
  /// cannot be made, or that every user may write (its files are executed), switches the store off; that is
  /// logged, not thrown.
  DiskStore(const std::string& folder, LogFunction log);

  /// The stored source. A broken file is logged as a warning and removed. Safe against any content.
  std::optional<ProgramSource> read(const ProgramKey& key);

  /// Publishes a source. A folder that cannot be written (read-only, full) ends the writing of this process
  /// with one debug message; reading goes on.
  void write(const ProgramKey& key, const ProgramSource& source);

  /// Removes the entry of a key, after its code has proved to be useless; `why` is logged as a warning.
  void remove(const ProgramKey& key, const std::string& why);

  /// Folder of the entries, empty when switched off.
  const std::string& folder() const { return folder_; }
  /// Where the entry of a key is or would be.
  std::string path_of(const ProgramKey& key) const;
  uint64_t corrupt() const { return corrupt_.load(std::memory_order_relaxed); }

 private:
  void stop_writing(const std::string& what, int error);
  void clean_temporary_files();
  bool publish(const std::string& temporary, const std::string& bytes, const std::string& path);

  LogFunction log_;
  std::string folder_;
  std::atomic<bool> writable_{true};
  std::atomic<uint64_t> corrupt_{0}, next_temporary_{0};
};

/// $ROSE_CACHE, else $XDG_CACHE_HOME/rose, else $HOME/.cache/rose, else the home of the user's entry in the
/// password file; empty when none of them is there. Like XDG, ignores relative paths (but not in ROSE_CACHE).
std::string default_cache_folder();

}  // namespace rose::runtime
