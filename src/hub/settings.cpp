#include "hub/settings.h"

#include <cstdlib>
#include <fstream>

#include "hub/error.h"

namespace rose::hub {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path folder_of(const char* name, const fs::path& otherwise) {
  std::string value = variable(name);
  if (value.empty()) return otherwise;
  if (value == "~" || value.starts_with("~/"))
    return fs::path(variable("HOME")) / value.substr(std::min<size_t>(2, value.size()));
  return value;
}

double seconds_of(const char* name, double otherwise) {
  std::string value = variable(name);
  char* end = nullptr;
  double seconds = std::strtod(value.c_str(), &end);
  return end != value.c_str() && *end == 0 && seconds > 0 ? seconds : otherwise;
}

bool is_true(const std::string& value) {
  return value == "1" || value == "true" || value == "TRUE" || value == "yes" || value == "YES" ||
         value == "on" || value == "ON";
}

// One line: a token has no blanks, and a line break in it would be another header.
std::string clean_token(std::string token) {
  std::erase_if(token, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127; });
  return token;
}

std::string find_token(const fs::path& home) {
  std::string token = clean_token(variable("HF_TOKEN"));
  if (!token.empty() || is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return token;
  std::ifstream file(folder_of("HF_TOKEN_PATH", home / "token"));
  std::getline(file, token);
  return clean_token(token);
}

}  // namespace

Settings settings_from_environment() {
  Settings settings;
  fs::path home = folder_of("HOME", ".");
  settings.models = folder_of("ROSE_HOME", home / ".cache/rose") / "models";
  fs::path hugging_face = folder_of("HF_HOME", folder_of("XDG_CACHE_HOME", home / ".cache") / "huggingface");
  settings.hub = folder_of("HF_HUB_CACHE", folder_of("HUGGINGFACE_HUB_CACHE", hugging_face / "hub"));
  if (std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) settings.endpoint = endpoint;
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  if (!settings.endpoint.starts_with("https://") && !settings.endpoint.starts_with("http://"))
    refuse("HF_ENDPOINT={}: expected an address such as https://huggingface.co", settings.endpoint);
  settings.token = find_token(hugging_face);
  settings.offline = is_true(variable("HF_HUB_OFFLINE"));
  settings.connect_seconds = seconds_of("HF_HUB_ETAG_TIMEOUT", settings.connect_seconds);
  settings.stall_seconds = seconds_of("HF_HUB_DOWNLOAD_TIMEOUT", settings.stall_seconds);
  return settings;
}

}  // namespace rose::hub
