// The table of decoder architectures.
#include "models/decoder.h"

#include "models/gemma.h"
#include "models/llama.h"

namespace rose::models {
namespace {

using Load = std::unique_ptr<Decoder> (*)(runtime::Context&, const Checkpoint&, Precision);

// By general.architecture (GGUF) or model_type (config.json).
constexpr std::pair<const char*, Load> kDecoders[] = {
    {"llama", load_llama}, {"mistral", load_llama}, {"qwen2", load_qwen2},
    {"qwen3", load_qwen3}, {"gemma3", load_gemma3}, {"gemma3_text", load_gemma3},
};

}  // namespace

std::vector<std::string> decoder_architectures() {
  std::vector<std::string> names;
  for (const auto& [name, load] : kDecoders) names.emplace_back(name);
  return names;
}

std::unique_ptr<Decoder> load_decoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision) {
  for (const auto& [name, load] : kDecoders)
    if (checkpoint.architecture() == name) return load(context, checkpoint, precision);
  std::string names;
  for (const auto& name : decoder_architectures()) names += (names.empty() ? "" : ", ") + name;
  fail("{}: the architecture '{}' is no language model that ROSE knows; it knows {}",
       checkpoint.files().weights.string(), checkpoint.architecture(), names);
}

}  // namespace rose::models
