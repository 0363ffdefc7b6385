#include "hub/model_id.h"

#include <algorithm>

#include "hub/error.h"

namespace rose::hub {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The hub's rule for both halves of a repository's name.
bool is_half(std::string_view half) {
  return !half.empty() && is_word(half.front()) && is_word(half.back()) && half.find("--") == half.npos &&
         half.find("..") == half.npos &&
         std::ranges::all_of(half, [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

bool is_revision(std::string_view revision) {
  if (revision.empty() || revision.size() > 200 || revision.front() == '/' || revision.back() == '/')
    return false;
  if (revision.find("..") != revision.npos || revision.find("//") != revision.npos ||
      revision.front() == '.' || revision.find("/.") != revision.npos)
    return false;
  return std::ranges::all_of(revision, [](char c) {
    return is_word(c) || std::string_view("-./+").find(c) != std::string_view::npos;
  });
}

bool is_quant(std::string_view quant) {
  return !quant.empty() && quant.size() <= 60 &&
         std::ranges::all_of(quant, [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

}  // namespace

std::string ModelId::text() const {
  return repo + (revision == "main" ? "" : "@" + revision) + (quant.empty() ? "" : ":" + quant);
}

std::optional<ModelId> parse_model_id(std::string_view text) {
  for (std::string_view site : {"https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/"})
    if (text.starts_with(site)) {
      text.remove_prefix(site.size());
      break;
    }
  std::string_view repo = text.substr(0, text.find_first_of("@:"));
  size_t slash = repo.find('/');
  if (slash == repo.npos || repo.find('/', slash + 1) != repo.npos || repo.size() > 96) return std::nullopt;
  if (!is_half(repo.substr(0, slash)) || !is_half(repo.substr(slash + 1))) return std::nullopt;

  ModelId id{std::string(repo), "main", ""};
  for (std::string_view rest = text.substr(repo.size()); !rest.empty();) {
    bool revision = rest.front() == '@';
    size_t end = std::min(rest.find(revision ? ':' : '@', 1), rest.size());
    std::string_view part = rest.substr(1, end - 1);
    if (revision ? !is_revision(part) : !is_quant(part))
      refuse("{}: '{}' is no {}; write org/model[@revision][:quant]", text, part,
             revision ? "branch, tag or commit" : "name of a quantisation such as Q4_K_M");
    (revision ? id.revision : id.quant) = part;
    rest.remove_prefix(end);
  }
  return id;
}

}  // namespace rose::hub
