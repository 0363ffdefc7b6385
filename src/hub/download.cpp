#include "hub/download.h"

#include <cstdlib>
#include <fstream>
#include <optional>

#include "hub/digest.h"
#include "hub/error.h"
#include "hub/files.h"
#include "hub/retry.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

std::string digest_of(const fs::path& path, const RemoteFile& file) {
  Digest digest = Digest::like(file.digest, file.size);
  update_from_file(digest, path);
  return digest.hex();
}

// What has arrived so far, and the server's name (ETag) of the content that it is a part of.
class Partial {
 public:
  Partial(const BlobRequest& request)
      : path_(request.blob.string() + ".incomplete"), etag_path_(request.blob.string() + ".incomplete.etag") {
    std::ifstream(etag_path_) >> etag_;
  }
  const fs::path& path() const { return path_; }
  const std::string& etag() const { return etag_; }
  int64_t size() const { return std::max<int64_t>(0, file_size_or(path_)); }
  void remember(const std::string& etag) {
    if (etag == etag_) return;
    etag_ = etag;
    publish_text(etag, etag_path_);
  }
  void forget() {
    remove_file(path_);
    remove_file(etag_path_);
    etag_.clear();
  }
  void publish(const fs::path& blob) {
    rename_file(path_, blob);
    remove_file(etag_path_);
  }

 private:
  fs::path path_, etag_path_;
  std::string etag_;
};

// A strong ETag fit for If-Range: quoted, without blanks.
std::string strong_etag(const Response& response) {
  std::string etag = response.header("etag");
  bool usable =
      etag.size() > 2 && etag.size() < 300 && etag.front() == '"' && etag.find_first_of(" \t") == etag.npos;
  return usable ? etag : "";
}

// The first byte and the whole size of "bytes 100-199/200"; nullopt for anything else.
struct Range {
  int64_t first = 0, size = 0;
};
std::optional<Range> content_range(const Response& response) {
  long long first = 0, last = 0, size = 0;
  if (std::sscanf(response.header("content-range").c_str(), "bytes %lld-%lld/%lld", &first, &last, &size) !=
      3)
    return std::nullopt;
  return Range{first, size};
}

// The hash of the first `bytes` bytes of a file that is arriving.
struct Running {
  explicit Running(const RemoteFile& file) : file(file), digest(Digest::like(file.digest, file.size)) {}
  void restart() { digest = Digest::like(file.digest, file.size), bytes = 0; }
  // To the state after all of `path`, which has `size` bytes.
  void catch_up(const fs::path& path, int64_t size) {
    if (bytes == size) return;
    restart();
    update_from_file(digest, path);
    bytes = size;
  }
  void update(std::string_view piece) { digest.update(piece), bytes += static_cast<int64_t>(piece.size()); }

  const RemoteFile& file;
  Digest digest;
  int64_t bytes = 0;
};

// One request for what is missing. Returns whether it continued what was there.
bool transfer(const BlobRequest& request, Partial& partial, Running& running, Http& http,
              const std::function<void(int64_t)>& arrived) {
  const RemoteFile& file = request.file;
  const int64_t had = partial.size();
  Request get{request.url, request.token, {}, false};
  if (had > 0) {
    get.headers.push_back(fmt::format("Range: bytes={}-", had));
    if (!partial.etag().empty()) get.headers.push_back("If-Range: " + partial.etag());
  }
  std::optional<OutputFile> output;
  int64_t at = 0;
  bool continued = false;
  auto on_response = [&](const Response& response) {
    int64_t whole = file.size;
    if (had > 0 && response.status == 206) {
      auto range = content_range(response);
      if (!range || range->first != had) {
        partial.forget();
        throw TransientError(
            fmt::format("{}: the server sends another part than the one asked for", file.name));
      }
      whole = range->size, continued = true;
    } else if (std::string length = response.header("content-length"); !length.empty()) {
      whole = std::strtoll(length.c_str(), nullptr, 10);
    }
    if (whole != file.size)
      fail(
          "{}: the server sends {} bytes, but its list says {}; the model may have changed meanwhile, run "
          "this again",
          file.name, whole, file.size);
    at = continued ? had : 0;
    if (continued)
      running.catch_up(partial.path(), had);
    else
      running.restart();
    output.emplace(partial.path(), !continued);
    partial.remember(strong_etag(response));
    arrived(at);
  };
  Response response = http.send(get, on_response, [&](std::string_view piece) {
    if (static_cast<int64_t>(piece.size()) > file.size - at) {
      partial.forget();
      fail("{}: the server sends more than the {} bytes that its list says", file.name, file.size);
    }
    output->write(piece);
    running.update(piece);
    at += static_cast<int64_t>(piece.size());
    arrived(at);
  });
  if (response.status == 416) {  // our part does not fit to what the server has
    partial.forget();
    throw TransientError(
        fmt::format("{}: the part that had arrived does not fit to the server's file", file.name));
  }
  if (!response.ok())
    refuse_status(response, request.id, request.id.repo + "/" + file.name, !request.token.empty());
  if (at != file.size)
    throw TransientError(fmt::format("{}: {} of {} bytes arrived", file.name, at, file.size));
  output->sync();
  return continued;
}

}  // namespace

BlobState fetch_blob(const BlobRequest& request, Http& http, const Settings& settings, const Events& events,
                     const std::function<void(int64_t)>& arrived) {
  const RemoteFile& file = request.file;
  if (file_size_or(request.blob) == file.size) {
    if (!request.verify || digest_of(request.blob, file) == file.digest) {
      arrived(file.size);
      return BlobState::kPresent;
    }
    events.say(fmt::format("{}: the file in the cache is damaged; fetching it again", file.name));
    remove_file(request.blob);
  }
  Partial partial(request);
  if (partial.size() > file.size) partial.forget();
  const bool resumes = partial.size() > 0;
  Running running(file);
  bool continued = resumes;  // a part that is whole already only waits for its check
  for (int pass = 0;; ++pass) {
    Retry retry(settings, events);
    while (partial.size() < file.size || !fs::exists(partial.path())) {
      int64_t before = partial.size();
      try {
        continued = transfer(request, partial, running, http, arrived);
      } catch (const TransientError& error) {
        retry.failed(error, partial.size() > before);
      }
    }
    running.catch_up(partial.path(), file.size);
    std::string digest = running.digest.hex();
    if (digest == file.digest) break;
    partial.forget();
    running.restart();
    arrived(0);
    if (pass > 0 || !continued)
      fail(
          "{}: the file has arrived with the hash {} instead of {}; it was thrown away. A proxy on the way "
          "may have changed "
          "it; run this again",
          file.name, digest, file.digest);
    events.say(fmt::format("{}: the parts do not fit together; fetching it anew", file.name));
  }
  partial.publish(request.blob);
  return resumes && continued ? BlobState::kResumed : BlobState::kFetched;
}

}  // namespace rose::hub
