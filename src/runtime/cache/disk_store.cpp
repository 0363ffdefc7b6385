#include "runtime/cache/disk_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "runtime/cache/serialize.h"

namespace rose::runtime {
namespace {

// The layout of an entry; a new layout gets a new folder name, so old and new programs can share a cache
// folder.
constexpr const char* kLayoutFolder = "v1";
constexpr char kMagic[8] = {'R', 'O', 'S', 'E', 'P', 'R', 'G', '1'};
struct Header {
  char magic[8];
  uint64_t key_bytes;
  uint64_t source_bytes;
  uint64_t checksum_low, checksum_high;  // XXH3-128 of key and source
};
static_assert(sizeof(Header) == 40);

constexpr off_t kLargestEntry = off_t{256} << 20;
constexpr time_t kTemporaryLife = 3600;  // seconds; no build takes that long

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

// The whole file; nothing if it is not there or cannot be read.
std::optional<std::string> contents(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status;
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  // A file too large is as broken as an empty one.
  if (status.st_size > kLargestEntry) return std::string();
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(descriptor, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(done));
  }
  return true;
}

std::string pack(const ProgramKey& key, const ProgramSource& source) {
  const std::string body = key.text() + to_bytes(source);
  const Digest checksum = digest_of(body);
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.key_bytes = key.text().size();
  header.source_bytes = body.size() - key.text().size();
  header.checksum_low = checksum.low;
  header.checksum_high = checksum.high;
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + body;
}

// The source in the bytes of an entry, or what is wrong with them.
std::optional<ProgramSource> unpack(std::string_view bytes, const ProgramKey& key, std::string& wrong) {
  const auto broken = [&](const char* what) {
    wrong = what;
    return std::nullopt;
  };
  Header header;
  if (bytes.size() < sizeof(header)) return broken("it is too short");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return broken("it does not begin like an entry");
  const std::string_view body = bytes.substr(sizeof(header));
  if (header.key_bytes > body.size() || header.source_bytes != body.size() - header.key_bytes) {
    return broken("its length is wrong");
  }
  if (digest_of(body) != Digest{header.checksum_low, header.checksum_high})
    return broken("its checksum is wrong");
  if (body.substr(0, header.key_bytes) != key.text()) return broken("it belongs to another key");
  auto source = from_bytes(body.substr(header.key_bytes));
  if (!source) return broken("its source cannot be read");
  return source;
}

// Why a folder cannot be used, and how much the user should care.
struct FolderTrouble {
  std::string what;
  LogLevel level = LogLevel::kDebug;
};

std::optional<FolderTrouble> make_folder(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (::mkdir(path.c_str(), 0700) == 0) return std::nullopt;
  if (errno != EEXIST) return FolderTrouble{std::strerror(errno)};
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return FolderTrouble{std::strerror(errno)};
  if (!S_ISDIR(status.st_mode)) return FolderTrouble{"it is not a folder", LogLevel::kWarning};
  if (status.st_mode & S_IWOTH) {
    return FolderTrouble{"every user may write it, and what is in it gets executed; chmod o-w helps",
                         LogLevel::kWarning};
  }
  return std::nullopt;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::string default_cache_folder() {
  if (const std::string own = environment("ROSE_CACHE"); !own.empty()) return own;
  if (const std::string xdg = environment("XDG_CACHE_HOME"); xdg.starts_with('/')) return xdg + "/rose";
  std::string home = environment("HOME");
  if (!home.starts_with('/')) {
    const passwd* entry = getpwuid(geteuid());
    home = entry && entry->pw_dir ? entry->pw_dir : "";
  }
  return home.starts_with('/') && home != "/" ? home + "/.cache/rose" : "";
}

DiskStore::DiskStore(const std::string& folder, LogFunction log) : log_(std::move(log)) {
  if (folder.empty()) {
    log_(LogLevel::kDebug,
         "no folder for compiled kernels (no ROSE_CACHE, no home); they live as long as the process");
    return;
  }
  const std::string layout = folder + "/" + kLayoutFolder;
  for (const std::string& path : {folder, layout}) {
    if (const auto trouble = make_folder(path)) {
      log_(trouble->level, fmt::format("compiled kernels are not kept in {}: {}", path, trouble->what));
      return;
    }
  }
  folder_ = layout;
  clean_temporary_files();
}

std::string DiskStore::path_of(const ProgramKey& key) const {
  const std::string name = key.digest().hex();
  return fmt::format("{}/{}/{}", folder_, std::string_view(name).substr(0, 2), name);
}

std::optional<ProgramSource> DiskStore::read(const ProgramKey& key) {
  if (folder_.empty()) return std::nullopt;
  const auto bytes = contents(path_of(key));
  if (!bytes) return std::nullopt;
  std::string wrong;
  auto source = unpack(*bytes, key, wrong);
  if (!source) remove(key, wrong);
  return source;
}

void DiskStore::remove(const ProgramKey& key, const std::string& why) {
  if (folder_.empty()) return;
  const std::string path = path_of(key);
  corrupt_.fetch_add(1, std::memory_order_relaxed);
  log_(LogLevel::kWarning,
       fmt::format("the stored kernel {} ('{}') is not usable: {}; it is removed and built again", path,
                   key.kernel(), why));
  ::unlink(path.c_str());
}

void DiskStore::write(const ProgramKey& key, const ProgramSource& source) {
  if (folder_.empty() || !writable_.load(std::memory_order_relaxed)) return;
  const std::string path = path_of(key);
  const std::string place = path.substr(0, path.rfind('/'));
  if (::mkdir(place.c_str(), 0700) != 0 && errno != EEXIST) return stop_writing(place, errno);
  const std::string temporary =
      fmt::format("{}/{}.{}.{}.tmp", folder_, key.digest().hex(), ::getpid(), next_temporary_.fetch_add(1));
  if (publish(temporary, pack(key, source), path)) return;
  const int error = errno;
  ::unlink(temporary.c_str());
  stop_writing(path, error);
}

bool DiskStore::publish(const std::string& temporary, const std::string& bytes, const std::string& path) {
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file || !write_all(file.get(), bytes)) return false;
    // Without this, a power failure could leave the new name with no content behind it.
    if (::fsync(file.get()) != 0) return false;
  }
  return ::rename(temporary.c_str(), path.c_str()) == 0;
}

void DiskStore::stop_writing(const std::string& what, int error) {
  if (!writable_.exchange(false)) return;
  log_(LogLevel::kDebug,
       fmt::format("compiled kernels are no longer written: {}: {}", what, std::strerror(error)));
}

void DiskStore::clean_temporary_files() {
  DIR* folder = ::opendir(folder_.c_str());
  if (!folder) return;
  const time_t oldest = ::time(nullptr) - kTemporaryLife;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    struct stat status;
    if (!name.ends_with(".tmp") || ::fstatat(dirfd(folder), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (status.st_mtime < oldest) ::unlinkat(dirfd(folder), name.c_str(), 0);
  }
  ::closedir(folder);
}

}  // namespace rose::runtime
