// Finds the files of a model: a Hugging Face style folder, a GGUF file, or a safetensors file.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "weights/gguf.h"
#include "weights/tensor_store.h"

namespace rose::weights {

enum class ModelKind {
  kSafetensors,         // one model.safetensors
  kSafetensorsSharded,  // an index and its files
  kGguf,                // one GGUF file, or all parts of a split one
};

// Where the files of one model lie. Optional files are nullopt when absent; nothing has been opened yet.
struct ModelFiles {
  ModelKind kind = ModelKind::kSafetensors;
  std::filesystem::path folder;
  std::filesystem::path weights;  // the file to open: safetensors file, index, or first GGUF part
  std::optional<std::filesystem::path> config, generation_config, tokenizer, tokenizer_config, chat_template,
      special_tokens, modules;
};

// `path` is a folder or one file of weights, whose folder is then searched for the others. In a folder,
// safetensors are preferred to GGUF. Throws WeightsError when nothing usable is there, when several GGUF
// models are there, and when the weights are pickles (.bin, .pt): those are programs, which are never run.
ModelFiles find_model(const std::filesystem::path& path);

// The tensors, whatever the kind.
TensorStore open_tensors(const ModelFiles& files);

}  // namespace rose::weights
