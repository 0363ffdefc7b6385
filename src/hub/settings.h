// Where models lie and where they come from: what the environment says, as a plain value.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace rose::hub {

struct Settings {
  std::filesystem::path models;  // known models and named paths: ${ROSE_HOME:-~/.cache/rose}/models
  std::filesystem::path hub;     // the hub's own cache: $HF_HUB_CACHE, or $HF_HOME/hub
  std::string endpoint = "https://huggingface.co";  // $HF_ENDPOINT, without a slash at the end
  std::string token;                                // $HF_TOKEN, or the file $HF_TOKEN_PATH; may be empty
  bool offline = false;                             // $HF_HUB_OFFLINE
  double connect_seconds = 10;                      // $HF_HUB_ETAG_TIMEOUT
  double stall_seconds = 30;                        // without a byte; $HF_HUB_DOWNLOAD_TIMEOUT
  int attempts = 5;                                 // of a transfer that makes no progress
  double retry_seconds = 0.5;                       // before the second attempt; doubles each time
  std::string user_agent = "rose";
};

// The variables are those of Hugging Face's own libraries. Throws HubError for an endpoint that is no http(s)
// address.
Settings settings_from_environment();

// What a long operation tells and asks meanwhile. Empty functions are not called.
struct Transfer {
  std::string file;                      // what is being fetched
  int64_t file_done = 0, file_size = 0;  // bytes
  int64_t done = 0, size = 0;            // bytes of all files of this pull
};
struct Events {
  std::function<void(const std::string&)> note;   // a line for people
  std::function<void(const Transfer&)> progress;  // called for every piece that arrives
  std::function<bool()> cancelled;                // true: stop as soon as possible
  void say(const std::string& line) const {
    if (note) note(line);
  }
  bool stop() const { return cancelled && cancelled(); }
};

}  // namespace rose::hub
