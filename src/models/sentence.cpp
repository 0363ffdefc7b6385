#include "models/sentence.h"

#include <algorithm>
#include <cmath>

namespace rose::models {
namespace {

struct Mode {
  Pooling pooling;
  const char* name;   // in "pooling_mode"
  const char* other;  // its older key, which is true or false
};

// In the order in which several are put together.
constexpr Mode kModes[] = {{Pooling::kCls, "cls", "pooling_mode_cls_token"},
                           {Pooling::kMax, "max", "pooling_mode_max_tokens"},
                           {Pooling::kMean, "mean", "pooling_mode_mean_tokens"},
                           {Pooling::kMeanSqrt, "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
                           {Pooling::kWeightedMean, "weightedmean", "pooling_mode_weightedmean_tokens"},
                           {Pooling::kLast, "lasttoken", "pooling_mode_lasttoken"}};

using Path = std::filesystem::path;

bool flag(const nlohmann::json& json, const Path& file, const char* key, bool otherwise) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) fail("{}: {}: expected true or false", file.string(), key);
  return found->get<bool>();
}

std::string text(const nlohmann::json& json, const Path& file, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return "";
  if (!found->is_string()) fail("{}: {}: expected a text", file.string(), key);
  return found->get<std::string>();
}

int64_t size(const nlohmann::json& json, const Path& file, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || !found->is_number_integer() || *found < 1 || *found > 65536)
    fail("{}: {}: expected a number from 1 to 65536", file.string(), key);
  return found->get<int64_t>();
}

nlohmann::json object_of(const Path& file) {
  auto json = read_json(file);
  if (!json.is_object()) fail("{}: expected an object", file.string());
  return json;
}

void read_pooling(const Path& file, SentenceConfig& config) {
  auto json = object_of(file);
  config.include_prompt = flag(json, file, "include_prompt", true);
  config.pooling.clear();
  auto named = [&](const nlohmann::json& name) {
    for (const auto& mode : kModes)
      if (name == mode.name) return config.pooling.push_back(mode.pooling);
    fail("{}: pooling_mode: {} is not a pooling that ROSE knows", file.string(), name.dump());
  };
  auto found = json.find("pooling_mode");
  if (found != json.end() && found->is_array()) {
    for (const auto& name : *found) named(name);
  } else if (found != json.end() && !found->is_null()) {
    named(*found);
  } else {
    for (const auto& mode : kModes)
      if (flag(json, file, mode.other, false)) config.pooling.push_back(mode.pooling);
  }
  if (config.pooling.empty()) fail("{}: pooling_mode: at least one mode must be true", file.string());
}

SentenceModule read_dense(const Path& folder) {
  const Path file = folder / "config.json";
  auto json = object_of(file);
  SentenceModule m;
  m.kind = SentenceModule::Kind::kDense, m.folder = folder;
  m.in = size(json, file, "in_features"), m.out = size(json, file, "out_features");
  m.bias = flag(json, file, "bias", true);
  std::string function = text(json, file, "activation_function");
  auto activation = parse_torch_activation(function.empty() ? "Tanh" : function);
  if (!activation)
    fail("{}: activation_function: '{}' is not supported; use Identity, Tanh, ReLU, SiLU, GELU or Sigmoid",
         file.string(), function);
  m.activation = *activation;
  if (flag(json, file, "use_residual", false)) fail("{}: use_residual: is not supported", file.string());
  for (const char* key : {"module_input_name", "module_output_name"})
    if (auto name = text(json, file, key); !name.empty() && name != "sentence_embedding")
      fail("{}: {}: '{}' is not supported; only sentence_embedding is", file.string(), key, name);
  return m;
}

// The folder of a module: inside the model's own.
Path module_folder(const Path& model, const Path& modules, const std::string& path) {
  for (const auto& part : Path(path))
    if (part == ".." || Path(path).is_absolute())
      fail("{}: path: '{}' leads out of the model's folder", modules.string(), path);
  return model / path;
}

void read_modules(const Path& folder, const Path& file, SentenceConfig& config) {
  auto modules = read_json(file);
  if (!modules.is_array()) fail("{}: expected a list of modules", file.string());
  for (const auto& module : modules) {
    if (!module.is_object()) fail("{}: expected a list of objects", file.string());
    std::string type = text(module, file, "type");
    Path path = module_folder(folder, file, text(module, file, "path"));
    if (type.ends_with(".Transformer") || type.ends_with(".Dropout")) continue;
    if (type.ends_with(".Pooling"))
      read_pooling(path / "config.json", config);
    else if (type.ends_with(".Normalize"))
      config.modules.push_back({});
    else if (type.ends_with(".Dense"))
      config.modules.push_back(read_dense(path));
    else
      fail("{}: type: the module '{}' is not supported; ROSE knows Transformer, Pooling, Dense and Normalize",
           file.string(), type);
  }
  while (!config.modules.empty() && config.modules.back().kind == SentenceModule::Kind::kNormalize) {
    config.normalize = true;
    config.modules.pop_back();
  }
}

void read_limits(const Checkpoint& checkpoint, SentenceConfig& config) {
  const auto& files = checkpoint.files();
  if (files.tokenizer_config) {  // enormous where there is no limit
    auto json = object_of(*files.tokenizer_config);
    auto found = json.find("model_max_length");
    if (found != json.end() && found->is_number() && *found >= 1 && *found <= 1e9)
      config.max_tokens = found->get<int64_t>();
  }
  Path file = files.folder / "sentence_bert_config.json";
  if (!std::filesystem::exists(file)) return;
  auto json = object_of(file);
  config.lower_case = flag(json, file, "do_lower_case", false);
  auto found = json.find("max_seq_length");
  if (found == json.end() || found->is_null()) return;
  if (!found->is_number_integer() || *found < 1 || *found > 1'000'000'000)
    fail("{}: max_seq_length: expected a number from 1 on", file.string());
  config.max_tokens = found->get<int64_t>();
}

void read_prompts(const Path& file, SentenceConfig& config) {
  auto json = object_of(file);
  if (auto found = json.find("prompts"); found != json.end() && found->is_object())
    for (const auto& [name, prompt] : found->items())
      if (prompt.is_string()) config.prompts[name] = prompt.get<std::string>();
  config.default_prompt = text(json, file, "default_prompt_name");
  if (!config.default_prompt.empty() && !config.prompts.contains(config.default_prompt))
    fail("{}: default_prompt_name: there is no prompt '{}'", file.string(), config.default_prompt);
}

}  // namespace

const char* pooling_name(Pooling pooling) {
  for (const auto& mode : kModes)
    if (mode.pooling == pooling) return pooling == Pooling::kLast ? "last" : mode.name;
  return "";
}

std::optional<Pooling> parse_pooling(std::string_view name) {
  for (const auto& mode : kModes)
    if (name == pooling_name(mode.pooling)) return mode.pooling;
  return std::nullopt;
}

std::optional<std::string> parse_torch_activation(std::string_view path) {
  auto name = path.substr(path.rfind('.') + 1);
  if (name == "Identity") return "";
  if (name == "Tanh") return "tanh";
  if (name == "ReLU") return "relu";
  if (name == "SiLU") return "silu";
  if (name == "GELU") return "gelu_erf";
  if (name == "Sigmoid") return "sigmoid";
  return std::nullopt;
}

SentenceConfig read_sentence_config(const Checkpoint& checkpoint) {
  SentenceConfig c;
  const auto& files = checkpoint.files();
  read_limits(checkpoint, c);
  if (files.modules) read_modules(files.folder, *files.modules, c);
  if (auto file = files.folder / "config_sentence_transformers.json"; std::filesystem::exists(file))
    read_prompts(file, c);
  return c;
}

void normalize(std::span<float> vector) {
  double squares = 0;
  for (float v : vector) squares += double{v} * v;
  double scale = 1 / std::max(std::sqrt(squares), 1e-12);
  for (float& v : vector) v = static_cast<float>(v * scale);
}

std::vector<float> pool(Pooling pooling, std::span<const float> rows, int64_t width, bool normalized,
                        size_t skip) {
  const auto w = static_cast<size_t>(width), tokens = rows.size() / w;
  std::vector<double> sum(w, pooling == Pooling::kMax ? -INFINITY : 0);
  const size_t first = pooling == Pooling::kLast ? tokens - 1 : skip,
               end = pooling == Pooling::kCls ? skip + 1 : tokens;
  double weights = 0;
  for (size_t t = first; t < end; ++t) {
    const double weight = pooling == Pooling::kWeightedMean ? static_cast<double>(t + 1) : 1;
    weights += weight;
    for (size_t e = 0; e < w; ++e) {
      double value = rows[t * w + e];
      sum[e] = pooling == Pooling::kMax ? std::max(sum[e], value) : sum[e] + value * weight;
    }
  }
  double scale = 1;
  if (pooling == Pooling::kMean || pooling == Pooling::kWeightedMean) scale = 1 / weights;
  if (pooling == Pooling::kMeanSqrt) scale = 1 / std::sqrt(weights);
  std::vector<float> out(w);
  for (size_t e = 0; e < w; ++e) out[e] = static_cast<float>(sum[e] * scale);
  if (normalized) normalize(out);
  return out;
}

}  // namespace rose::models
