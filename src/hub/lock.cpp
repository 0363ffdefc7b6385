#include "hub/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "hub/error.h"
#include "hub/files.h"
#include "hub/retry.h"

namespace rose::hub {
namespace {

// False when somebody removed the file while we waited: then the lock is one of nothing.
bool still_there(int file, const std::filesystem::path& path) {
  struct stat held{}, named{};
  return ::fstat(file, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::string& what, const Events& events) {
  make_folders(path.parent_path());
  bool told = false;
  for (;;) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) fail("cannot open the lock {}: {}", path.string(), std::strerror(errno));
    while (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) {
        ::close(file_);
        fail("cannot lock {}: {}", path.string(), std::strerror(errno));
      }
      if (!told) events.say(fmt::format("another process is fetching {}; waiting for it", what));
      told = true;
      try {
        pause(0.1, events);
      } catch (...) {
        ::close(file_);
        throw;
      }
    }
    if (still_there(file_, path)) return;
    ::close(file_);
  }
}

FileLock::~FileLock() { ::close(file_); }

}  // namespace rose::hub
