// The table of decoder architectures.
#include "models/decoder.h"

#include "models/gemma.h"
#include "models/llama.h"
#include "models/phi.h"
#include "models/preparations.h"
#include "models/weight_loader.h"

namespace rose::models {
namespace {

// By general.architecture (GGUF) or model_type (config.json).
struct Architecture {
  const char* name;
  DecoderConfig (*configure)(const Checkpoint&);
  std::unique_ptr<Decoder> (*make)(const Build&, DecoderConfig);
};

constexpr Architecture kDecoders[] = {
    {"llama", configure_llama, make_llama},       // Llama 1 to 3, SmolLM; in GGUF files also Mistral
    {"mistral", configure_mistral, make_llama},   // Mistral 7B, NeMo, Small
    {"mistral3", configure_mistral, make_llama},  // the language model of Mistral Small 3.1
    {"qwen2", configure_qwen2, make_llama},       // Qwen 2 and 2.5
    {"qwen3", configure_qwen3, make_llama},       // Qwen 3, its embedders and rerankers
    {"phi3", configure_phi3, make_llama},         // Phi-3, Phi-3.5, Phi-4
    {"gemma2", configure_gemma2, make_gemma},      {"gemma3", configure_gemma3, make_gemma},
    {"gemma3_text", configure_gemma3, make_gemma},
};

const Architecture& architecture_of(const Checkpoint& checkpoint) {
  for (const auto& a : kDecoders)
    if (checkpoint.architecture() == a.name) return a;
  std::string names;
  for (const auto& name : decoder_architectures()) names += (names.empty() ? "" : ", ") + name;
  fail("{}: the architecture '{}' is no language model that ROSE knows; it knows {}",
       checkpoint.files().weights.string(), checkpoint.architecture(), names);
}

}  // namespace

std::vector<std::string> decoder_architectures() {
  std::vector<std::string> names;
  for (const auto& a : kDecoders) names.emplace_back(a.name);
  return names;
}

DecoderConfig read_decoder_config(const Checkpoint& checkpoint) {
  return architecture_of(checkpoint).configure(checkpoint);
}

std::unique_ptr<Decoder> load_decoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      const DecoderOptions& options) {
  const auto& architecture = architecture_of(checkpoint);
  auto config = architecture.configure(checkpoint);
  std::optional<WeightLoader> loader;
  if (compute_on(context.properties()).gpu)
    loader.emplace(context, checkpoint, WeightLoaderOptions{.progress = loading_to_stderr()});
  Build build(context, checkpoint, options.precision, loader ? &*loader : nullptr);
  Preparations preparations;
  build.preparations = &preparations;
  build.head = options.head;
  auto decoder = architecture.make(build, std::move(config));
  if (loader) loader->finish();
  preparations.finish();
  return decoder;
}

std::unique_ptr<Decoder> load_decoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision) {
  return load_decoder(context, checkpoint, DecoderOptions{.precision = precision});
}

}  // namespace rose::models
