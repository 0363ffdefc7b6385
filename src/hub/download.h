// One file from the hub into the cache: resumed, verified, and visible only when it is whole.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "hub/http.h"
#include "hub/remote.h"

namespace rose::hub {

struct BlobRequest {
  ModelId id;
  RemoteFile file;  // with size and digest
  std::string url, token;
  std::filesystem::path blob;  // where it shall be; "blob.incomplete" beside it is what has arrived
  bool verify = false;         // hash a blob that is already there
};

enum class BlobState { kPresent, kFetched, kResumed };

// `arrived(n)`: n bytes of this file are here now. The caller holds the blob's lock. Throws HubError: a
// connection that fails is tried again, a file whose hash is wrong is fetched anew once; what can be resumed
// is kept.
BlobState fetch_blob(const BlobRequest& request, Http& http, const Settings& settings, const Events& events,
                     const std::function<void(int64_t)>& arrived);

}  // namespace rose::hub
