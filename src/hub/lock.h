// One process at a time: locks on files, which vanish with the process.
#pragma once

#include <filesystem>
#include <string>

#include "hub/settings.h"

namespace rose::hub {

class FileLock {
 public:
  // Waits for the lock of `path`, whose file and folder are made; says so once, naming `what`. The locks are
  // those of flock(2), which Hugging Face's libraries take too. Throws HubError, kInterrupted when asked to
  // stop.
  FileLock(const std::filesystem::path& path, const std::string& what, const Events& events);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace rose::hub
