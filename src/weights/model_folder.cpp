#include "weights/model_folder.h"

#include <algorithm>

#include "weights/error.h"
#include "weights/safetensors.h"

namespace rose::weights {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::optional<fs::path> beside(const fs::path& folder, const char* name) {
  if (is_file(folder / name)) return folder / name;
  return std::nullopt;
}

bool ends_with(const fs::path& path, std::string_view suffix) {
  return path.filename().string().ends_with(suffix);
}

bool is_pickle(const fs::path& path) {
  return ends_with(path, ".bin") || ends_with(path, ".pt") || ends_with(path, ".pth") ||
         ends_with(path, ".ckpt");
}

[[noreturn]] void refuse_pickle(const fs::path& path) {
  fail(path, "", "is a pickle, which is a program and is never run; convert the model to safetensors first");
}

std::vector<fs::path> list(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (is_file(entry->path())) paths.push_back(entry->path());
  }
  if (error) fail(folder, "", "cannot list the folder: {}", error.message());
  std::ranges::sort(paths);
  return paths;
}

// The one GGUF model of a folder; parts of a split model count once, vision projectors ("mmproj") not at all.
std::optional<fs::path> only_gguf(const std::vector<fs::path>& paths, const fs::path& folder) {
  std::vector<fs::path> models;
  for (const fs::path& path : paths) {
    if (!ends_with(path, ".gguf") || path.filename().string().starts_with("mmproj")) continue;
    const fs::path first = gguf_parts(path).front();
    if (std::ranges::find(models, first) == models.end()) models.push_back(first);
  }
  if (models.empty()) return std::nullopt;
  if (models.size() > 1) {
    std::string names;
    for (const fs::path& model : models) names += (names.empty() ? "" : ", ") + model.filename().string();
    fail(folder, "", "holds several GGUF models; give the path of one of them: {}", names);
  }
  return models.front();
}

// Sets kind and weights from the files of a folder.
void choose_weights(ModelFiles& files) {
  const auto paths = list(files.folder);
  auto choose = [&](ModelKind kind, const fs::path& weights) {
    files.kind = kind;
    files.weights = weights;
  };
  if (is_file(files.folder / "model.safetensors"))
    return choose(ModelKind::kSafetensors, files.folder / "model.safetensors");
  auto index =
      std::ranges::find_if(paths, [](const fs::path& path) { return ends_with(path, kIndexSuffix); });
  if (index != paths.end()) return choose(ModelKind::kSafetensorsSharded, *index);

  std::vector<fs::path> safetensors;
  std::ranges::copy_if(paths, std::back_inserter(safetensors),
                       [](const fs::path& p) { return ends_with(p, ".safetensors"); });
  if (safetensors.size() == 1) return choose(ModelKind::kSafetensors, safetensors.front());
  if (safetensors.size() > 1) {
    fail(files.folder, "", "holds {} safetensors files, but no model{} that says how they belong together",
         safetensors.size(), kIndexSuffix);
  }
  if (auto gguf = only_gguf(paths, files.folder)) return choose(ModelKind::kGguf, *gguf);
  auto pickle = std::ranges::find_if(paths, is_pickle);
  if (pickle != paths.end()) refuse_pickle(*pickle);
  fail(files.folder, "", "holds no model: no model.safetensors, no index of safetensors and no .gguf file");
}

}  // namespace

ModelFiles find_model(const fs::path& path) {
  ModelFiles files;
  std::error_code error;
  const auto status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) fail(path, "", "there is no such file or folder");
  if (error) fail(path, "", "cannot be looked at: {}", error.message());
  if (fs::is_directory(status)) {
    files.folder = path;
    choose_weights(files);
  } else {
    files.folder = path.parent_path();
    if (ends_with(path, ".gguf")) {
      files.kind = ModelKind::kGguf;
      files.weights = gguf_parts(path).front();
    } else if (ends_with(path, kIndexSuffix)) {
      files.kind = ModelKind::kSafetensorsSharded;
      files.weights = path;
    } else if (ends_with(path, ".safetensors")) {
      files.kind = ModelKind::kSafetensors;
      files.weights = path;
    } else if (is_pickle(path)) {
      refuse_pickle(path);
    } else {
      fail(path, "", "is no model file: expected .gguf, .safetensors, {} or a folder", kIndexSuffix);
    }
  }
  files.config = beside(files.folder, "config.json");
  files.generation_config = beside(files.folder, "generation_config.json");
  files.tokenizer = beside(files.folder, "tokenizer.json");
  files.tokenizer_config = beside(files.folder, "tokenizer_config.json");
  files.chat_template = beside(files.folder, "chat_template.jinja");
  files.special_tokens = beside(files.folder, "special_tokens_map.json");
  files.modules = beside(files.folder, "modules.json");
  return files;
}

TensorStore open_tensors(const ModelFiles& files) {
  switch (files.kind) {
    case ModelKind::kSafetensors:
      return open_safetensors(files.weights).tensors;
    case ModelKind::kSafetensorsSharded:
      return open_safetensors_index(files.weights);
    case ModelKind::kGguf:
      return open_gguf(files.weights).tensors;
  }
  fail(files.folder, "", "has an unknown kind of weights");
}

}  // namespace rose::weights
