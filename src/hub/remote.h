// What the hub's server says about a model: its commit and its files. All of it is untrusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/http.h"
#include "hub/model_id.h"
#include "hub/settings.h"

namespace rose::hub {

struct RemoteFile {
  std::string name;    // "1_Pooling/config.json": relative, without "..", safe to join to a folder
  int64_t size = -1;   // bytes; -1: not said
  std::string digest;  // sha256 (64 digits) or git's sha1 (40 digits), which names the blob; "": not said
};

struct RemoteModel {
  std::string commit;  // 40 hexadecimal digits
  std::vector<RemoteFile> files;
};

// True for a relative path that stays below its folder: no "..", ".", empty or over-long parts, no backslash,
// no control characters, not absolute.
bool is_safe_name(std::string_view name);

// Reads the answer of /api/models/ORG/MODEL/revision/REVISION?blobs=true. Throws HubError for anything that
// is not as it must be: hostile names, digests that are none, negative sizes, a name that is file and folder.
RemoteModel read_listing(const std::string& json, const ModelId& id);

// Asks the server; again when it fails for a while. Throws HubError that says whether the model, the revision
// or the permission is missing.
RemoteModel fetch_listing(Http& http, const Settings& settings, const Events& events, const ModelId& id);

// Fills in size and digest where the listing did not say them, by asking for the file's headers.
void complete(RemoteFile& file, Http& http, const Settings& settings, const Events& events, const ModelId& id,
              const std::string& commit);

// Where a file of a commit is fetched from.
std::string file_url(const Settings& settings, const ModelId& id, const std::string& commit,
                     const std::string& name);

// Throws what a status that is no success means: TransientError for 408, 429 and 5xx, else HubError. `what`
// is the model or the file, for the message.
[[noreturn]] void refuse_status(const Response& response, const ModelId& id, const std::string& what,
                                bool had_token);

}  // namespace rose::hub
