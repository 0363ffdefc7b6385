#include "hub/http.h"

#include <curl/curl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>

#include "hub/error.h"

namespace rose::hub {
namespace {

constexpr int kMostRedirects = 10;
constexpr size_t kMostErrorBody = 64 << 10;
constexpr size_t kMostHeaders = 256 << 10;  // bytes of all headers of one answer

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r\n").find(text.front()) != text.npos) text.remove_prefix(1);
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != text.npos) text.remove_suffix(1);
  return text;
}

using Url = std::unique_ptr<CURLU, void (*)(CURLU*)>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string result = text;
  curl_free(text);
  return result;
}

// `location` as seen from `base`; "" when it is no address.
std::string resolve(const std::string& base, const std::string& location) {
  Url url(curl_url(), &curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK) return "";
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK) return "";
  return part_of(url.get(), CURLUPART_URL);
}

std::string host_of(const std::string& url) {
  Url parsed(curl_url(), &curl_url_cleanup);
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return url;
  return part_of(parsed.get(), CURLUPART_HOST);
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::string Response::header(const std::string& name) const {
  auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

// What libcurl's callbacks see.
struct Http::State {
  CURL* curl = nullptr;
  Settings settings;
  Events events;
  std::string certificates;
  std::array<char, CURL_ERROR_SIZE> reason{};

  Response response;
  size_t header_bytes = 0;
  bool announced = false;
  const OnResponse* on_response = nullptr;
  const OnBody* on_body = nullptr;
  std::exception_ptr thrown;
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_arrival{};
  curl_off_t received = 0;
  bool stalled = false;

  // Exceptions must not pass through libcurl, which is C.
  template <typename F>
  bool guarded(F&& f) {
    try {
      f();
      return true;
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }

  void take_header(std::string_view line) {
    if (line.starts_with("HTTP/")) {  // a new answer: an interim one came before
      response.headers.clear();
      return;
    }
    size_t colon = line.find(':');
    if (colon == line.npos) return;
    response.headers[lower(trim(line.substr(0, colon)))] = std::string(trim(line.substr(colon + 1)));
  }

  bool announce() {
    if (announced) return true;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
    announced = true;
    if (!response.ok() || !on_response || !*on_response) return true;
    return guarded([&] { (*on_response)(response); });
  }

  static size_t on_header(char* data, size_t size, size_t count, void* self) {
    auto& state = *static_cast<State*>(self);
    size_t bytes = size * count;
    if ((state.header_bytes += bytes) > kMostHeaders) return 0;
    return state.guarded([&] { state.take_header({data, bytes}); }) ? bytes : 0;
  }

  static size_t on_data(char* data, size_t size, size_t count, void* self) {
    auto& state = *static_cast<State*>(self);
    size_t bytes = size * count;
    if (!state.announce()) return 0;
    if (!state.response.ok()) {
      size_t room = kMostErrorBody - std::min(kMostErrorBody, state.response.error_body.size());
      state.response.error_body.append(data, std::min(room, bytes));
      return bytes;
    }
    return state.guarded([&] {
      if (state.on_body && *state.on_body) (*state.on_body)({data, bytes});
    })
               ? bytes
               : 0;
  }

  // Called at least once a second. libcurl's own limit of speed looks back over five seconds, which is not
  // exact.
  static int on_progress(void* self, curl_off_t, curl_off_t received, curl_off_t, curl_off_t) {
    auto& state = *static_cast<State*>(self);
    auto now = Clock::now();
    if (received != state.received) state.received = received, state.last_arrival = now;
    state.stalled =
        std::chrono::duration<double>(now - state.last_arrival).count() > state.settings.stall_seconds;
    return state.stalled || state.events.stop() ? 1 : 0;
  }

  void prepare(const Request& request, const std::string& url, bool with_token, curl_slist* headers) {
    curl_easy_reset(curl);
    auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, settings.user_agent.c_str());
    set(CURLOPT_NOBODY, request.head ? 1L : 0L);
    set(CURLOPT_HTTPHEADER, headers);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_seconds * 1000));
    set(CURLOPT_BUFFERSIZE, 256L << 10);
    set(CURLOPT_ERRORBUFFER, reason.data());
    set(CURLOPT_HEADERFUNCTION, &State::on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, &State::on_data);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &State::on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
    if (with_token) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      set(CURLOPT_XOAUTH2_BEARER, request.token.c_str());
    }
    if (!certificates.empty()) set(CURLOPT_CAINFO, certificates.c_str());
    if (const char* folder = std::getenv("SSL_CERT_DIR"); folder && *folder) set(CURLOPT_CAPATH, folder);
    reason[0] = 0;
    response = Response{};
    response.url = url;
    header_bytes = 0, announced = false, thrown = nullptr;
    received = 0, stalled = false, last_arrival = Clock::now();
  }

  // libcurl's code as an exception of ours.
  [[noreturn]] void complain(CURLcode code, const std::string& url) {
    std::string host = host_of(url), why = reason[0] ? reason.data() : curl_easy_strerror(code);
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
        throw TransientError(fmt::format("the host {} cannot be found; is there a network? ({})", host, why));
      case CURLE_COULDNT_RESOLVE_PROXY:
        throw TransientError(
            fmt::format("the proxy cannot be found; check https_proxy and http_proxy ({})", why));
      case CURLE_COULDNT_CONNECT:
        throw TransientError(fmt::format("cannot connect to {}: {}", host, why));
      case CURLE_OPERATION_TIMEDOUT:
        throw TransientError(fmt::format("{} does not answer in time: {}", host, why));
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
        fail(
            "the certificate of {} cannot be verified ({}); the trusted certificates are those of {}; "
            "SSL_CERT_FILE "
            "names another file",
            host, why,
            certificates.empty() ? "no file: the package ca-certificates is missing" : certificates);
      case CURLE_URL_MALFORMAT:
      case CURLE_UNSUPPORTED_PROTOCOL:
        fail("'{}' is no http or https address", url);
      default:
        throw TransientError(fmt::format("the connection to {} broke: {}", host, why));
    }
  }
};

Http::Http(const Settings& settings, const Events& events) : state_(std::make_unique<State>()) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started == CURLE_OK) state_->curl = curl_easy_init();
  if (!state_->curl) fail("libcurl cannot be started");
  state_->settings = settings;
  state_->events = events;
  state_->certificates = find_certificates();
}

Http::~Http() { curl_easy_cleanup(state_->curl); }

Response Http::send(const Request& request, const OnResponse& on_response, const OnBody& on_body) {
  State& state = *state_;
  state.on_response = &on_response, state.on_body = &on_body;
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(nullptr, &curl_slist_free_all);
  for (const auto& line : request.headers) {
    curl_slist* list = curl_slist_append(headers.get(), line.c_str());
    if (!list) throw std::bad_alloc();
    if (!headers) headers.reset(list);  // appending to a list gives the same list
  }
  const std::string origin = origin_of(request.url);
  bool token = !request.token.empty();
  std::string url = request.url;
  std::map<std::string, std::string> linked;  // the hub says size and hash of a file where it redirects
  for (int hop = 0;; ++hop) {
    token = token && origin_of(url) == origin;  // once dropped, it is not sent again
    state.prepare(request, url, token, headers.get());
    CURLcode code = curl_easy_perform(state.curl);
    if (state.thrown) std::rethrow_exception(state.thrown);
    if (state.events.stop()) throw HubError(ErrorKind::kInterrupted, "interrupted");
    if (code == CURLE_ABORTED_BY_CALLBACK && state.stalled)
      throw TransientError(
          fmt::format("{} has sent nothing for {:.0f} s", host_of(url), state.settings.stall_seconds));
    if (code != CURLE_OK) state.complain(code, url);
    if (!state.announce()) std::rethrow_exception(state.thrown);  // an answer without a body
    if (!is_redirect(state.response.status)) {
      state.response.headers.merge(linked);
      return std::move(state.response);
    }
    if (origin_of(url) == origin)
      for (const auto& [name, value] : state.response.headers)
        if (name.starts_with("x-linked-")) linked[name] = value;
    std::string next = resolve(url, state.response.header("location"));
    if (next.empty() || hop == kMostRedirects)
      fail("{} redirects {}", host_of(url), next.empty() ? "to nowhere" : "in circles");
    if (url.starts_with("https://") && !next.starts_with("https://"))
      fail("{} redirects from https to {}, which is not safe", host_of(url), next);
    url = next;
  }
}

Response Http::get_text(const Request& request, size_t most, std::string& body) {
  body.clear();
  return send(request, nullptr, [&](std::string_view piece) {
    if (body.size() + piece.size() > most)
      fail("the answer of {} is longer than {} bytes", host_of(request.url), most);
    body += piece;
  });
}

std::string origin_of(const std::string& url) {
  Url parsed(curl_url(), &curl_url_cleanup);
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  return lower(part_of(parsed.get(), CURLUPART_SCHEME) + "://" + part_of(parsed.get(), CURLUPART_HOST) + ":" +
               part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string encode_path(std::string_view path) {
  std::string result;
  for (unsigned char c : path) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("-._~/").find(static_cast<char>(c)) != std::string_view::npos;
    result += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return result;
}

std::string find_certificates() {
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"})
    if (const char* path = std::getenv(name); path && *path) {
      if (::access(path, R_OK) != 0)
        fail("{}={}: the file of trusted certificates cannot be read", name, path);
      return path;
    }
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch
                           "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
                           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // the same, newer
                           "/etc/ssl/ca-bundle.pem",                             // openSUSE
                           "/etc/ssl/cert.pem"})                                 // Alpine
    if (::access(path, R_OK) == 0) return path;
  return "";
}

}  // namespace rose::hub
