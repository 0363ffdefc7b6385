#include "hub/select.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "hub/error.h"

namespace rose::hub {
namespace {

std::string base_of(const std::string& name) { return name.substr(name.rfind('/') + 1); }
bool is_nested(const std::string& name) { return name.find('/') != std::string::npos; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string lower(std::string text) {
  for (char& c : text) c = lower(c);
  return text;
}

bool matches(const std::string& name, const std::vector<std::string>& globs) {
  return std::ranges::any_of(globs, [&](std::string glob) {
    if (glob.ends_with('/')) glob += '*';
    return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0;
  });
}

bool is_gguf(const std::string& name) {
  return name.ends_with(".gguf") && !base_of(name).starts_with("mmproj") &&
         !base_of(name).starts_with("imatrix");
}

bool is_pickle(const std::string& name) {
  for (const char* suffix : {".bin", ".pt", ".pth", ".ckpt"})
    if (name.ends_with(suffix)) return true;
  return false;
}

// Everything but weights that a Hugging Face folder needs: configuration, tokenizer, templates, and the
// folders of sentence-transformers ("1_Pooling/config.json").
bool is_beside(const std::string& name) {
  std::string base = base_of(name);
  if (is_nested(name))
    return is_digit(name.front()) && name.find('_') != std::string::npos &&
           std::ranges::count(name, '/') == 1 && (base == "config.json" || base == "model.safetensors");
  return (base.ends_with(".json") && !base.ends_with(".index.json")) || base.ends_with(".jinja") ||
         base == "merges.txt" || base == "vocab.txt" || base.ends_with(".model") ||
         base.starts_with("LICENSE");
}

// The weights of a folder in safetensors: model.safetensors, else its shards with their index, else what
// there is at the top (but "consolidated…", which holds the same once more under other names).
std::vector<std::string> safetensors_of(const std::vector<RemoteFile>& files) {
  std::vector<std::string> shards, others;
  bool single = false, index = false;
  for (const auto& file : files) {
    if (file.name == "model.safetensors") single = true;
    if (file.name == "model.safetensors.index.json") index = true;
    if (is_nested(file.name) || !file.name.ends_with(".safetensors")) continue;
    bool shard = ::fnmatch("model-*-of-*.safetensors", file.name.c_str(), 0) == 0;
    if (!file.name.starts_with("consolidated")) (shard ? shards : others).push_back(file.name);
  }
  if (single) return {"model.safetensors"};
  if (index && !shards.empty()) {
    shards.emplace_back("model.safetensors.index.json");
    return shards;
  }
  others.insert(others.end(), shards.begin(), shards.end());
  return others;
}

// First parts of the GGUF models that satisfy `wanted`.
template <typename F>
std::set<std::string> gguf_models(const std::vector<RemoteFile>& files, F&& wanted) {
  std::set<std::string> models;
  for (const auto& file : files)
    if (is_gguf(file.name) && wanted(file.name)) models.insert(first_part(file.name));
  return models;
}

std::string list_of(const std::set<std::string>& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

std::string choose_gguf(const std::vector<RemoteFile>& files, const Selection& selection, const ModelId& id,
                        std::string& note) {
  auto all = gguf_models(files, [](const std::string&) { return true; });
  if (!selection.file.empty()) {
    auto found = gguf_models(files, [&](const std::string& name) {
      return name == selection.file || base_of(name) == selection.file;
    });
    if (found.size() == 1) return *found.begin();
    refuse("{}: --file {}: there {}; GGUF models: {}", id.repo, selection.file,
           found.empty() ? "is no such GGUF file" : "are several of that name: give the folder too",
           list_of(all));
  }
  if (!selection.quant.empty()) {
    auto found =
        gguf_models(files, [&](const std::string& name) { return has_quant(name, selection.quant); });
    if (found.size() == 1) return *found.begin();
    refuse("{}: {} GGUF model{} with {}; choose with --file: {}", id.repo, found.empty() ? "no" : "several",
           found.empty() ? "" : "s", selection.quant, list_of(found.empty() ? all : found));
  }
  if (all.size() == 1) return *all.begin();
  for (const char* quant : {"Q4_K_M", "Q8_0"}) {
    auto found = gguf_models(files, [&](const std::string& name) { return has_quant(name, quant); });
    if (found.size() != 1) continue;
    note = fmt::format("{} has {} GGUF models; taking {} (others: {}:QUANT or --file NAME)", id.repo,
                       all.size(), *found.begin(), id.repo);
    return *found.begin();
  }
  refuse("{}: several GGUF models; choose with --file: {}", id.repo, list_of(all));
}

template <typename F>
std::vector<RemoteFile> keep(const std::vector<RemoteFile>& files, F&& wanted) {
  std::vector<RemoteFile> kept;
  std::ranges::copy_if(files, std::back_inserter(kept),
                       [&](const RemoteFile& file) { return wanted(file.name); });
  return kept;
}

}  // namespace

bool has_quant(const std::string& name, const std::string& quant) {
  const std::string text = lower(name), part = lower(quant);
  auto joins = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '_'; };
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    size_t end = at + part.size();
    if ((at == 0 || !joins(text[at - 1])) && (end == text.size() || !joins(text[end]))) return true;
  }
  return false;
}

std::string first_part(const std::string& name) {
  // …-NNNNN-of-NNNNN.gguf
  constexpr size_t kTail = 20;
  if (name.size() <= kTail || ::fnmatch("-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].gguf",
                                        name.c_str() + name.size() - kTail, 0) != 0)
    return name;
  std::string first = name;
  first.replace(name.size() - kTail + 1, 5, "00001");
  return first;
}

Chosen select_files(const std::vector<RemoteFile>& files, const Selection& selection, const ModelId& id) {
  Chosen chosen;
  const bool asks_gguf = !selection.file.empty() || !selection.quant.empty();
  auto safetensors = safetensors_of(files);
  if (!selection.include.empty()) {
    chosen.files = keep(files, [&](const std::string& name) { return matches(name, selection.include); });
  } else if (!asks_gguf && !safetensors.empty()) {
    chosen.files = keep(files, [&](const std::string& name) {
      return is_beside(name) || std::ranges::count(safetensors, name) > 0;
    });
  } else if (asks_gguf ||
             std::ranges::any_of(files, [](const RemoteFile& file) { return is_gguf(file.name); })) {
    chosen.gguf = choose_gguf(files, selection, id, chosen.note);
    chosen.files = keep(
        files, [&](const std::string& name) { return is_gguf(name) && first_part(name) == chosen.gguf; });
  } else {
    bool pickles = std::ranges::any_of(files, [](const RemoteFile& file) { return is_pickle(file.name); });
    refuse("{}: {}", id.text(),
           pickles ? "has its weights only as pickles, which are programs and are never run; look for a "
                     "revision or a "
                     "model with safetensors (often org/model@refs/pr/1)"
                   : "has no safetensors and no GGUF files; --include fetches others");
  }
  std::erase_if(chosen.files, [&](const RemoteFile& file) { return matches(file.name, selection.exclude); });
  if (chosen.files.empty())
    refuse("{}: no file of {} is left by --include and --exclude", id.text(), files.size());
  return chosen;
}

}  // namespace rose::hub
