#include "models/sentence.h"

#include <algorithm>
#include <cmath>

namespace rose::models {
namespace {

constexpr std::pair<Pooling, const char*> kNames[] = {
    {Pooling::kMean, "mean"}, {Pooling::kCls, "cls"}, {Pooling::kLast, "last"}, {Pooling::kMax, "max"}};

// The one mode that "pooling_mode_…" switches on.
Pooling read_pooling(const std::filesystem::path& file) {
  auto json = read_json(file);
  constexpr std::pair<const char*, Pooling> kModes[] = {{"pooling_mode_cls_token", Pooling::kCls},
                                                        {"pooling_mode_mean_tokens", Pooling::kMean},
                                                        {"pooling_mode_max_tokens", Pooling::kMax},
                                                        {"pooling_mode_lasttoken", Pooling::kLast}};
  std::vector<Pooling> chosen;
  for (auto [key, pooling] : kModes)
    if (json.value(key, false)) chosen.push_back(pooling);
  for (const char* key : {"pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens"})
    if (json.value(key, false)) fail("{}: {}: this pooling is not supported", file.string(), key);
  if (chosen.size() != 1)
    fail("{}: pooling_mode: exactly one mode must be true, {} are", file.string(), chosen.size());
  return chosen[0];
}

}  // namespace

const char* pooling_name(Pooling pooling) {
  for (auto [value, name] : kNames)
    if (value == pooling) return name;
  return "";
}

std::optional<Pooling> parse_pooling(std::string_view name) {
  for (auto [value, text] : kNames)
    if (name == text) return value;
  return std::nullopt;
}

SentenceConfig read_sentence_config(const Checkpoint& checkpoint) {
  SentenceConfig c;
  const auto& files = checkpoint.files();
  if (!files.modules) return c;
  auto modules = read_json(*files.modules);
  if (!modules.is_array()) fail("{}: expected a list of modules", files.modules->string());
  for (const auto& module : modules) {
    if (!module.is_object()) fail("{}: expected a list of objects", files.modules->string());
    std::string type = module.value("type", ""), path = module.value("path", "");
    if (type.ends_with(".Transformer")) continue;
    if (type.ends_with(".Pooling"))
      c.pooling = read_pooling(files.folder / path / "config.json");
    else if (type.ends_with(".Normalize"))
      c.normalize = true;
    else
      fail("{}: the module '{}' is not supported", files.modules->string(), type);
  }
  if (auto file = files.folder / "sentence_bert_config.json"; std::filesystem::exists(file)) {
    auto json = read_json(file);
    if (auto found = json.find("max_seq_length"); found != json.end() && found->is_number_integer())
      c.max_tokens = found->get<int64_t>();
    c.lower_case = json.value("do_lower_case", false);
  }
  if (auto file = files.folder / "config_sentence_transformers.json"; std::filesystem::exists(file)) {
    auto json = read_json(file);
    if (auto found = json.find("prompts"); found != json.end() && found->is_object())
      for (const auto& [name, text] : found->items())
        if (text.is_string()) c.prompts[name] = text.get<std::string>();
    if (auto found = json.find("default_prompt_name"); found != json.end() && found->is_string())
      c.default_prompt = found->get<std::string>();
  }
  return c;
}

std::vector<float> pool(Pooling pooling, std::span<const float> rows, int64_t width, bool normalize) {
  const auto w = static_cast<size_t>(width), tokens = rows.size() / w;
  std::vector<double> sum(w, pooling == Pooling::kMax ? -INFINITY : 0);
  const size_t first = pooling == Pooling::kLast ? tokens - 1 : 0,
               end = pooling == Pooling::kCls ? 1 : tokens;
  for (size_t t = first; t < end; ++t)
    for (size_t e = 0; e < w; ++e) {
      double value = rows[t * w + e];
      sum[e] = pooling == Pooling::kMax ? std::max(sum[e], value) : sum[e] + value;
    }
  double scale = pooling == Pooling::kMean ? 1.0 / static_cast<double>(tokens) : 1;
  if (normalize) {
    double squares = 0;
    for (double s : sum) squares += s * s * scale * scale;
    scale /= std::max(std::sqrt(squares), 1e-12);
  }
  std::vector<float> out(w);
  for (size_t e = 0; e < w; ++e) out[e] = static_cast<float>(sum[e] * scale);
  return out;
}

}  // namespace rose::models
