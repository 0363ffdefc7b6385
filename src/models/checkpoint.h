// A model's files, opened: its configuration and its tensors under one set of names, whether they come from
// GGUF or from a Hugging Face folder.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "models/error.h"
#include "weights/meta_data.h"
#include "weights/model_folder.h"
#include "weights/tensor_store.h"

namespace rose::models {

/// Immutable and cheap to copy: views share the mapped files.
class Checkpoint {
 public:
  /// Throws WeightsError or ModelError naming file and field.
  static Checkpoint open(const std::filesystem::path& path);
  /// A model of random numbers, of the shape that a configuration says: the name of a shipped one
  /// (shipped_configs.h), or the path of a config.json or of its folder. Its tensors are bf16 and take hardly
  /// any memory (weights/random.h). There is no vocabulary. Throws ModelError for a configuration that is
  /// missing or of an unknown architecture.
  static Checkpoint random(const std::string& config);

  bool is_gguf() const { return files_.kind == weights::ModelKind::kGguf; }
  const weights::ModelFiles& files() const { return files_; }
  const weights::TensorStore& tensors() const { return tensors_; }
  /// GGUF files only; empty otherwise.
  const weights::MetaData& metadata() const { return metadata_; }
  /// config.json, or the part of it that tells of the language model ("text_config") where a model sees
  /// pictures too; null for GGUF files.
  const nlohmann::json& config() const { return config_; }

  /// "llama", "gemma3", "bert": general.architecture of a GGUF file, model_type of config.json.
  const std::string& architecture() const { return architecture_; }
  /// For people: general.name, or the folder's name.
  std::string name() const;

  /// Tensors by their Hugging Face names ("model.layers.7.self_attn.q_proj.weight"). The first throws when
  /// the tensor is missing, has another shape or holds NaN or infinity; the second gives null when it is
  /// missing.
  const weights::Tensor& tensor(std::string_view name, std::initializer_list<int64_t> shape) const;
  const weights::Tensor* find(std::string_view name) const;
  /// The same without a look at the values, for those who look at them anyway on their way (WeightLoader
  /// does).
  const weights::Tensor& shaped(std::string_view name, std::initializer_list<int64_t> shape) const;
  /// The same checkpoint with tensors under the names of the file: of encoders, what stands beside the
  /// encoder.
  Checkpoint whole() const;
  /// The tensors of another folder or file of weights with this configuration: a module of
  /// sentence-transformers.
  Checkpoint module(const std::filesystem::path& path) const;

  /// A value of the configuration: `key` in config.json, or "ARCHITECTURE.gguf_key" of the metadata. Throws
  /// ModelError when it is missing (nullopt from the find_… forms) or not a number in range.
  int64_t integer(std::string_view key, std::string_view gguf_key) const;
  std::optional<int64_t> find_integer(std::string_view key, std::string_view gguf_key) const;
  std::optional<double> find_real(std::string_view key, std::string_view gguf_key) const;

 private:
  void enter_text_config();
  void read_model_type();
  std::string local_name(std::string_view name) const;
  std::string gguf_key(std::string_view key) const { return architecture_ + "." + std::string(key); }

  weights::ModelFiles files_;
  weights::TensorStore tensors_;
  weights::MetaData metadata_;
  nlohmann::json config_;
  std::string architecture_, prefix_;      // prefix_: before every name of a safetensors file
  std::string decoder_prefix_ = "model.";  // what stands in a safetensors file where decoders have "model."
};

/// The whole of a small text file. Throws ModelError beyond 100 MB or when it cannot be read.
std::string read_text(const std::filesystem::path& path);
/// The same, parsed; throws ModelError naming the file for malformed JSON.
nlohmann::json read_json(const std::filesystem::path& path);
/// The same for files that hold an object.
nlohmann::json read_object(const std::filesystem::path& path);

/// A field of an object that was read from `file`; `fallback` when it is missing or null. Throws ModelError
/// naming file and field for a value of another type, and for an `object` that is none.
bool flag_of(const nlohmann::json& object, const std::filesystem::path& file, std::string_view key,
             bool fallback);
std::string text_of(const nlohmann::json& object, const std::filesystem::path& file, std::string_view key,
                    std::string_view fallback);
double real_of(const nlohmann::json& object, const std::filesystem::path& file, std::string_view key,
               double fallback);

}  // namespace rose::models
