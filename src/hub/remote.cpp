#include "hub/remote.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "hub/digest.h"
#include "hub/error.h"
#include "hub/retry.h"
#include "weights/error.h"

namespace rose::hub {
namespace {

using nlohmann::json;

constexpr size_t kMostListing = size_t{64} << 20;  // bytes
constexpr int64_t kMostSize = int64_t{1} << 50;

std::string text_or(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t size_or(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || found->is_null()) return -1;
  if (!found->is_number_unsigned() || found->get<uint64_t>() > static_cast<uint64_t>(kMostSize)) return -2;
  return static_cast<int64_t>(found->get<uint64_t>());
}

RemoteFile read_file(const json& sibling, const ModelId& id) {
  if (!sibling.is_object()) fail("{}: the server's list of files is malformed", id.repo);
  RemoteFile file{text_or(sibling, "rfilename"), size_or(sibling, "size"), text_or(sibling, "blobId")};
  if (!is_safe_name(file.name))
    fail("{}: the server names a file {}, which does not stay in the model's folder; nothing was fetched",
         id.repo, weights::quote_name(file.name));
  if (auto lfs = sibling.find("lfs"); lfs != sibling.end() && lfs->is_object()) {
    file.digest = text_or(*lfs, "sha256");
    if (file.digest.empty()) file.digest = text_or(*lfs, "oid");
    if (int64_t size = size_or(*lfs, "size"); size != -1) file.size = size;
  }
  if (file.size < -1) fail("{}: the server gives no possible size of {}", id.repo, file.name);
  if (!file.digest.empty() && !is_hex(file.digest, 64) && !is_hex(file.digest, 40))
    fail("{}: the server gives {} as the hash of {}, which is none", id.repo,
         weights::quote_name(file.digest), file.name);
  return file;
}

void refuse_clashes(const std::vector<RemoteFile>& files, const ModelId& id) {
  std::set<std::string> names, folders;
  for (const auto& file : files) {
    if (!names.insert(file.name).second) fail("{}: the server lists {} twice", id.repo, file.name);
    for (size_t slash = file.name.find('/'); slash != std::string::npos;
         slash = file.name.find('/', slash + 1))
      folders.insert(file.name.substr(0, slash));
  }
  for (const auto& folder : folders)
    if (names.contains(folder)) fail("{}: the server lists {} as a file and as a folder", id.repo, folder);
}

// The server's own words, if it has any, fit for a terminal.
std::string explanation(const Response& response) {
  std::string text = response.header("x-error-message");
  if (text.empty()) {
    json body = json::parse(response.error_body, nullptr, false);
    if (body.is_object()) text = text_or(body, "error");
  }
  std::string clean;
  for (char c : text.substr(0, 300)) clean += static_cast<unsigned char>(c) < ' ' || c == 127 ? ' ' : c;
  return clean.empty() ? "" : fmt::format(" (the server says: {})", clean);
}

double retry_after(const Response& response) {
  double seconds = std::strtod(response.header("retry-after").c_str(), nullptr);
  return seconds > 0 ? seconds : 0;
}

// A strong ETag without its quotes.
std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  return etag;
}

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > 1000 || name.front() == '/' || name.back() == '/') return false;
  for (unsigned char c : name)
    if (c < ' ' || c == 127 || c == '\\') return false;
  while (!name.empty()) {
    size_t end = std::min(name.find('/'), name.size());
    std::string_view part = name.substr(0, end);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return true;
}

RemoteModel read_listing(const std::string& text, const ModelId& id) {
  json body = json::parse(text, nullptr, false);
  if (!body.is_object() || !body.contains("siblings") || !body["siblings"].is_array())
    fail("{}: the server's answer is no description of a model; is HF_ENDPOINT a hub?", id.repo);
  RemoteModel model{text_or(body, "sha"), {}};
  if (!is_hex(model.commit, 40))
    fail("{}: the server gives {} as the commit", id.repo, weights::quote_name(model.commit));
  for (const auto& sibling : body["siblings"]) model.files.push_back(read_file(sibling, id));
  refuse_clashes(model.files, id);
  return model;
}

RemoteModel fetch_listing(Http& http, const Settings& settings, const Events& events, const ModelId& id) {
  Request request;
  request.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings.endpoint, id.repo,
                            [&] {  // the revision is one part of the path: its slashes are encoded too
                              std::string path = encode_path(id.revision), whole;
                              for (char c : path) whole += c == '/' ? std::string("%2F") : std::string(1, c);
                              return whole;
                            }());
  request.token = settings.token;
  return with_retries(settings, events, [&] {
    std::string body;
    Response response = http.get_text(request, kMostListing, body);
    if (!response.ok()) refuse_status(response, id, id.repo, !settings.token.empty());
    return read_listing(body, id);
  });
}

void complete(RemoteFile& file, Http& http, const Settings& settings, const Events& events, const ModelId& id,
              const std::string& commit) {
  if (file.size >= 0 && !file.digest.empty()) return;
  Request request;
  request.url = file_url(settings, id, commit, file.name), request.token = settings.token,
  request.head = true;
  Response response = with_retries(settings, events, [&] {
    Response answer = http.send(request, nullptr, nullptr);
    if (!answer.ok()) refuse_status(answer, id, id.repo + "/" + file.name, !settings.token.empty());
    return answer;
  });
  if (file.size < 0) {
    std::string length = response.header("x-linked-size");
    if (length.empty()) length = response.header("content-length");
    char* end = nullptr;
    long long size = std::strtoll(length.c_str(), &end, 10);
    if (length.empty() || *end || size < 0 || size > kMostSize)
      fail("{}: the server does not say the size of {}", id.repo, file.name);
    file.size = size;
  }
  if (file.digest.empty()) file.digest = bare_etag(response.header("x-linked-etag"));
  if (file.digest.empty()) file.digest = bare_etag(response.header("etag"));
  if (!is_hex(file.digest, 64) && !is_hex(file.digest, 40))
    fail("{}: the server gives no hash of {}, so that it could not be verified", id.repo, file.name);
}

std::string file_url(const Settings& settings, const ModelId& id, const std::string& commit,
                     const std::string& name) {
  return fmt::format("{}/{}/resolve/{}/{}", settings.endpoint, id.repo, commit, encode_path(name));
}

void refuse_status(const Response& response, const ModelId& id, const std::string& what, bool had_token) {
  const std::string code = response.header("x-error-code"), words = explanation(response),
                    host = origin_of(response.url);
  const long status = response.status;
  if (status == 429 || status == 408 || status >= 500)
    throw TransientError(fmt::format("{}: {} answers {}{}", what, host, status, words),
                         retry_after(response));
  if (code == "GatedRepo" || (status == 403 && code.empty()))
    fail(
        "{}: access must be granted first: open https://huggingface.co/{} in a browser, accept the terms, "
        "then set HF_TOKEN to a "
        "token of that account{}{}",
        what, id.repo, had_token ? "; the token that is set now has no access" : "", words);
  if (code == "RevisionNotFound")
    refuse("{}: there is no branch, tag or commit '{}'{}", id.repo, id.revision, words);
  if (status == 401)
    fail("{}: {} refuses {}; check the spelling: a private model and one that does not exist look the same{}",
         what, host, had_token ? "the token of HF_TOKEN" : "to show it without a token (HF_TOKEN)", words);
  if (status == 404) refuse("{}: {} has no such model or file{}", what, host, words);
  fail("{}: {} answers {}{}", what, host, status, words);
}

}  // namespace rose::hub
