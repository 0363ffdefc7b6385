#include "weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "weights/error.h"

namespace rose::weights {
namespace {

// Closes the descriptor on every way out; the mapping outlives it.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

// Calls madvise on the pages that lie wholly or partly (`inner` false) or only wholly (`inner` true) in
// `part`.
void advise(std::span<const std::byte> part, int advice, bool inner) {
  if (part.empty()) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto begin = reinterpret_cast<uintptr_t>(part.data());
  auto end = begin + part.size();
  begin = (inner ? begin + page - 1 : begin) / page * page;
  end = (inner ? end : end + page - 1) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a named pipe without a writer would wait for ever; it is refused just below.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) fail(path, "", "cannot open the file: {}", std::strerror(errno));

  struct stat status{};
  if (::fstat(file.value, &status) != 0)
    fail(path, "", "cannot read the file's size: {}", std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail(path, "", "is a folder where a file was expected");
  if (!S_ISREG(status.st_mode)) fail(path, "", "is not a regular file, so it cannot be memory-mapped");
  if (status.st_size < 0 || static_cast<uintmax_t>(status.st_size) > SIZE_MAX) {
    fail(path, "", "has {} bytes, more than this machine can address", status.st_size);
  }

  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile(path, {}));
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.value, 0);
  if (start == MAP_FAILED) fail(path, "", "cannot map {} bytes: {}", size, std::strerror(errno));
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, {static_cast<const std::byte*>(start), size}));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

// Hints fail without harm (for example on a file system that ignores them), so their results are not looked
// at.
void MappedFile::prefetch(std::span<const std::byte> part) const { advise(part, MADV_WILLNEED, false); }
void MappedFile::release(std::span<const std::byte> part) const { advise(part, MADV_DONTNEED, true); }

}  // namespace rose::weights
