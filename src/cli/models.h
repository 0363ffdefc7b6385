// What the commands that run a model share: naming it, opening it, and stopping politely.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "cli/cli.h"
#include "cli/making.h"
#include "engine/generation.h"
#include "models/checkpoint.h"
#include "models/decoder.h"
#include "models/vocabulary.h"

namespace rose::cli {

struct ModelOptions {
  std::string model;
  std::string device = "auto";
  int threads = 0;
  std::string dtype = "auto";
};
// MODEL and, where `runs`, --device, --threads and --dtype.
void add_model_options(CLI::App& command, ModelOptions& options, bool runs = true);

// A path that exists, a name below ${ROSE_HOME:-~/.cache/rose}/models, or org/model[@revision][:quant] in the
// hub's cache. Throws hub::HubError that says what is there and what to pull.
std::filesystem::path find_model_path(const std::string& model);

models::Precision precision_of(const ModelOptions& options);  // throws CliError
// A context for the model's kernels. Models run on the x86 device; throws CliError for another one.
std::unique_ptr<runtime::Context> open_model_context(const ModelOptions& options);

// A language model, ready to answer. Members die in the right order.
struct LanguageModel {
  // context_tokens: of the KV cache; 0: the model's own, up to 4096. keep_prefix: as engine::EngineOptions.
  explicit LanguageModel(const ModelOptions& options, int64_t context_tokens, bool keep_prefix = false);

  Stopwatch watch;  // starts before the files are opened
  models::Checkpoint checkpoint;
  std::unique_ptr<runtime::Context> context;
  std::unique_ptr<models::Decoder> decoder;
  models::Vocabulary vocabulary;
  std::unique_ptr<engine::GenerationEngine> engine;
  double load_seconds = 0;     // all of the above but compiling
  double compile_seconds = 0;  // of kernels that were not in the cache

 private:
  // Makes context and decoder, and the vocabulary meanwhile.
  models::Vocabulary load(const ModelOptions& options, int64_t context_tokens);
};

// Writes to standard output at once. False when nobody reads, or the disk is full.
bool write_out(std::string_view text);

// While one lives, Ctrl-C sets a flag instead of ending the program (a second one ends it).
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  bool requested() const;

 private:
  void (*before_)(int);
};

}  // namespace rose::cli
