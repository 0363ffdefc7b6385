#include "hub/files.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "hub/error.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void complain(const char* action, const fs::path& path, int error) {
  if (error == ENOSPC || error == EDQUOT)
    fail("cannot {} {}: the disk is full; free some space and run this again: what has arrived is kept",
         action, path.string());
  fail("cannot {} {}: {}", action, path.string(), std::strerror(error));
}

std::string unique_suffix() {
  static int count = 0;
  return fmt::format(".{}.{}.new", ::getpid(), ++count);
}

}  // namespace

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) complain("make the folder", folder, error.value());
}

void remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) complain("remove", path, errno);
}

void rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) complain("put in place", to, errno);
}

void publish_link(const fs::path& target, const fs::path& path) {
  std::error_code ignored;
  if (fs::is_symlink(path, ignored) && fs::read_symlink(path, ignored) == target) return;
  fs::path fresh = path.string() + unique_suffix();
  if (::symlink(target.c_str(), fresh.c_str()) != 0) complain("make the link", fresh, errno);
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    int error = errno;
    ::unlink(fresh.c_str());
    complain("make the link", path, error);
  }
}

void publish_text(const std::string& text, const fs::path& path) {
  fs::path fresh = path.string() + unique_suffix();
  {
    OutputFile file(fresh, true);
    file.write(text);
  }
  rename_file(fresh, path);
}

int64_t file_size_or(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return -1;
  auto size = fs::file_size(path, error);
  return error ? -1 : static_cast<int64_t>(size);
}

void need_space(const fs::path& folder, int64_t bytes) {
  struct statvfs system{};
  if (::statvfs(folder.c_str(), &system) != 0) return;  // unknown: writing will tell
  auto available = static_cast<double>(system.f_bavail) * static_cast<double>(system.f_frsize);
  if (static_cast<double>(bytes) > available)
    fail(
        "{} has {:.1f} GB free and {:.1f} GB are needed; free some space, or set HF_HOME or ROSE_HOME to a "
        "folder on "
        "another disk",
        folder.string(), available / 1e9, static_cast<double>(bytes) / 1e9);
}

OutputFile::OutputFile(const fs::path& path, bool anew) : path_(path) {
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (anew ? O_TRUNC : 0),
                 0666);
  if (file_ < 0) complain("write", path, errno);
}

OutputFile::~OutputFile() { ::close(file_); }

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) complain("write", path_, errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void OutputFile::sync() {
  if (::fdatasync(file_) != 0 && errno != EINVAL) complain("write", path_, errno);
}

}  // namespace rose::hub
