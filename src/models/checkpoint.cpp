#include "models/checkpoint.h"

#include <cmath>
#include <fstream>

#include "weights/finite.h"
#include "weights/gguf.h"
#include "weights/names.h"

namespace rose::models {

std::string read_text(const std::filesystem::path& path) {
  std::error_code error;
  auto size = std::filesystem::file_size(path, error);
  if (error) fail("{}: cannot be read: {}", path.string(), error.message());
  if (size > 100'000'000) fail("{}: has {} bytes, which is too much for a text file", path.string(), size);
  std::string text(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) fail("{}: cannot be read", path.string());
  return text;
}

nlohmann::json read_json(const std::filesystem::path& path) {
  auto json = nlohmann::json::parse(read_text(path), nullptr, false);
  if (json.is_discarded()) fail("{}: is not valid JSON", path.string());
  return json;
}

nlohmann::json read_object(const std::filesystem::path& path) {
  auto json = read_json(path);
  if (!json.is_object()) fail("{}: expected a JSON object, found {}", path.string(), json.type_name());
  return json;
}

namespace {

// Null when the field is missing.
const nlohmann::json* field(const nlohmann::json& object, const std::filesystem::path& file,
                            std::string_view key) {
  if (!object.is_object()) fail("{}: expected an object around '{}'", file.string(), key);
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

bool flag_of(const nlohmann::json& object, const std::filesystem::path& file, std::string_view key,
             bool fallback) {
  auto* value = field(object, file, key);
  if (value && !value->is_boolean()) fail("{}: {}: expected true or false", file.string(), key);
  return value ? value->get<bool>() : fallback;
}

std::string text_of(const nlohmann::json& object, const std::filesystem::path& file, std::string_view key,
                    std::string_view fallback) {
  auto* value = field(object, file, key);
  if (value && !value->is_string()) fail("{}: {}: expected a text", file.string(), key);
  return value ? value->get<std::string>() : std::string(fallback);
}

double real_of(const nlohmann::json& object, const std::filesystem::path& file, std::string_view key,
               double fallback) {
  auto* value = field(object, file, key);
  if (value && !value->is_number()) fail("{}: {}: expected a number", file.string(), key);
  return value ? value->get<double>() : fallback;
}

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  Checkpoint c;
  c.files_ = weights::find_model(path);
  if (c.is_gguf()) {
    auto gguf = weights::open_gguf(c.files_.weights);
    c.tensors_ = std::move(gguf.tensors);
    c.metadata_ = std::move(gguf.metadata);
    c.architecture_ = c.metadata_.text_at("general.architecture");
    return c;
  }
  c.tensors_ = weights::open_tensors(c.files_);
  if (!c.files_.config)
    fail("{}: has no config.json, which says what model the tensors belong to", c.files_.folder.string());
  c.config_ = read_object(*c.files_.config);
  c.read_model_type();
  c.enter_text_config();
  // Encoders with a head are stored below the name of their class, as "bert.embeddings…".
  for (const std::string& prefix :
       {std::string(), c.architecture_ + ".", std::string("roberta."), std::string("model.")})
    for (const char* table : {"embeddings.word_embeddings.weight", "embeddings.tok_embeddings.weight"})
      if (c.tensors_.contains(prefix + table)) c.prefix_ = prefix;
  // Decoders: as a model of its own, as the body of one (embedders), as a part of one that sees pictures too.
  for (const char* prefix : {"", "language_model.model.", "model.language_model.", "model."})
    if (c.tensors_.contains(prefix + std::string("embed_tokens.weight"))) c.decoder_prefix_ = prefix;
  return c;
}

Checkpoint Checkpoint::whole() const {
  Checkpoint c = *this;
  c.prefix_.clear();
  return c;
}

Checkpoint Checkpoint::module(const std::filesystem::path& path) const {
  Checkpoint c = whole();
  c.tensors_ = weights::open_tensors(weights::find_model(path));
  return c;
}

// Models that see pictures too keep the language model's numbers one level down; only the text is read here.
void Checkpoint::enter_text_config() {
  if (architecture_ != "gemma3" && architecture_ != "mistral3") return;
  auto text = config_.find("text_config");
  if (text == config_.end() || !text->is_object()) return;
  nlohmann::json inner = *text;
  for (const auto& [key, value] : config_.items())
    if (key != "text_config" && key != "vision_config" && !inner.contains(key)) inner[key] = value;
  config_ = std::move(inner);
}

void Checkpoint::read_model_type() {
  if (!config_.is_object() || !config_.contains("model_type") || !config_["model_type"].is_string())
    fail("{}: model_type: is missing", files_.config->string());
  architecture_ = config_["model_type"].get<std::string>();
}

std::string Checkpoint::name() const {
  if (is_gguf()) {
    if (auto name = metadata_.find_text("general.name")) return std::string(*name);
    return files_.weights.filename().string();
  }
  auto folder = std::filesystem::absolute(files_.folder).lexically_normal();
  return (folder.filename().empty() ? folder.parent_path() : folder).filename().string();
}

std::string Checkpoint::local_name(std::string_view name) const {
  if (!is_gguf()) {
    if (name.starts_with("model.")) return decoder_prefix_ + std::string(name.substr(6));
    if (name.starts_with("lm_head.") && decoder_prefix_ == "language_model.model.")
      return "language_model." + std::string(name);
    return prefix_ + std::string(name);
  }
  auto local = weights::gguf_name(architecture_, name);
  return local ? *local : std::string(name);
}

const weights::Tensor* Checkpoint::find(std::string_view name) const {
  return tensors_.find(local_name(name));
}

const weights::Tensor& Checkpoint::shaped(std::string_view name, std::initializer_list<int64_t> shape) const {
  std::vector<uint64_t> extents;
  for (int64_t extent : shape) extents.push_back(static_cast<uint64_t>(extent));
  return tensors_.at(local_name(name), extents);
}

const weights::Tensor& Checkpoint::tensor(std::string_view name, std::initializer_list<int64_t> shape) const {
  const auto& tensor = shaped(name, shape);
  weights::expect_finite(tensors_, tensor);
  // The check has touched every page; a large table would stay in memory beside its packed copy.
  if (tensor.bytes.size() > (size_t{16} << 20)) tensors_.release(tensor);
  return tensor;
}

std::optional<double> Checkpoint::find_real(std::string_view key, std::string_view gguf) const {
  if (is_gguf()) {
    auto value = metadata_.find_real(gguf_key(gguf));
    if (value && !std::isfinite(*value))
      fail("{}: {}: is not finite", files_.weights.string(), gguf_key(gguf));
    return value;
  }
  auto found = config_.find(key);
  if (found == config_.end() || found->is_null()) return std::nullopt;
  if (!found->is_number()) fail("{}: {}: expected a number", files_.config->string(), key);
  return found->get<double>();
}

std::optional<int64_t> Checkpoint::find_integer(std::string_view key, std::string_view gguf) const {
  auto value = find_real(key, gguf);
  if (!value) return std::nullopt;
  if (*value != std::floor(*value) || std::abs(*value) > 1e12)
    fail("{}: {}: {} is no sensible integer", is_gguf() ? files_.weights.string() : files_.config->string(),
         is_gguf() ? gguf_key(gguf) : std::string(key), *value);
  return static_cast<int64_t>(*value);
}

int64_t Checkpoint::integer(std::string_view key, std::string_view gguf) const {
  if (auto value = find_integer(key, gguf)) return *value;
  if (is_gguf()) fail("{}: {}: is missing", files_.weights.string(), gguf_key(gguf));
  fail("{}: {}: is missing", files_.config->string(), key);
}

}  // namespace rose::models
