#include "weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

std::shared_ptr<const MappedFile> MappedFile::repeat(const std::filesystem::path& path,
                                                     std::span<const std::byte> pattern, size_t bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  if (bytes == 0) return std::shared_ptr<const MappedFile>(new MappedFile(path, {}));
  if (pattern.empty() || (pattern.size() % page != 0 && pattern.size() < bytes))
    fail(path, "", "a pattern of {} bytes cannot be repeated: it needs whole pages of {}", pattern.size(),
         page);
  Descriptor memory{::memfd_create("rose-weights", MFD_CLOEXEC)};
  if (memory.value < 0 || ::ftruncate(memory.value, static_cast<off_t>(pattern.size())) != 0)
    fail(path, "", "cannot get {} bytes of memory: {}", pattern.size(), std::strerror(errno));
  for (size_t at = 0; at < pattern.size();) {
    const ssize_t written =
        ::pwrite(memory.value, pattern.data() + at, pattern.size() - at, static_cast<off_t>(at));
    if (written <= 0)
      fail(path, "", "cannot fill {} bytes of memory: {}", pattern.size(), std::strerror(errno));
    at += static_cast<size_t>(written);
  }
  // One range of addresses first, so that nothing else can lie between the repetitions.
  void* start = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) fail(path, "", "cannot map {} bytes: {}", bytes, std::strerror(errno));
  std::shared_ptr<const MappedFile> whole(
      new MappedFile(path, {static_cast<const std::byte*>(start), bytes}));
  for (size_t at = 0; at < bytes; at += pattern.size()) {
    const size_t part = std::min(pattern.size(), bytes - at);
    if (::mmap(static_cast<std::byte*>(start) + at, part, PROT_READ, MAP_SHARED | MAP_FIXED, memory.value,
               0) == MAP_FAILED)
      fail(path, "", "cannot map {} bytes in parts of {}: {} (vm.max_map_count limits their number)", bytes,
           pattern.size(), std::strerror(errno));
  }
  return whole;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

// Hints fail without harm (for example on a file system that ignores them), so their results are not looked
// at.
void MappedFile::prefetch(std::span<const std::byte> part) const { advise(part, MADV_WILLNEED, false); }
void MappedFile::release(std::span<const std::byte> part) const { advise(part, MADV_DONTNEED, true); }

}  // namespace rose::weights
