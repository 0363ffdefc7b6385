// HTTP through libcurl: GET and HEAD, with redirects that never carry a token to another host.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hub/settings.h"

namespace rose::hub {

struct Request {
  std::string url;
  std::string token;                 // sent as "Authorization: Bearer" to the origin of `url` alone
  std::vector<std::string> headers;  // "Name: value"
  bool head = false;
};

struct Response {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string url;                             // where the redirects led
  std::string error_body;                      // the first 64 KB of the body, when the status is no success

  bool ok() const { return status >= 200 && status < 300; }
  std::string header(const std::string& name) const;  // "" when it is missing
};

// One connection at a time, kept alive between requests. Not for several threads at once.
class Http {
 public:
  Http(const Settings& settings, const Events& events);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  // Called once, before the body, when the status is a success; may throw.
  using OnResponse = std::function<void(const Response&)>;
  // Called for each piece of that body; may throw.
  using OnBody = std::function<void(std::string_view)>;

  // Follows redirects (at most 10, never from https to http) and returns whatever status comes at the end.
  // Throws TransientError when the connection fails, breaks or stalls, HubError for what will not heal
  // (certificates, addresses), and kInterrupted when the events ask to stop.
  Response send(const Request& request, const OnResponse& on_response, const OnBody& on_body);

  // The body of a small answer. Throws HubError beyond `most` bytes. Statuses that are no success come back
  // as they are.
  Response get_text(const Request& request, size_t most, std::string& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "https://host:port" of an address, in lower case and with the port written out; "" when it has none.
std::string origin_of(const std::string& url);

// Percent-encodes a path but for its slashes.
std::string encode_path(std::string_view path);

// The file of certificates to trust: $SSL_CERT_FILE or $CURL_CA_BUNDLE, else where Debian, Fedora, openSUSE
// or Alpine keep it, else "". Throws HubError when a variable names no readable file.
std::string find_certificates();

}  // namespace rose::hub
