#include "cli/models.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>

#include "hub/local.h"
#include "models/memory_plan.h"

namespace rose::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;  // what a signal handler may touch

void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);
}

}  // namespace

void add_model_options(CLI::App& command, ModelOptions& options, bool runs) {
  command
      .add_option(
          "MODEL", options.model,
          "A name (smollm2), a hub id (org/model[@revision][:quant]), a folder, or a .gguf or .safetensors "
          "file; `rose list` shows what is here, `rose pull` fetches")
      ->required();
  if (!runs) return;
  command
      .add_option("--device", options.device,
                  "auto (a Hopper GPU if there is one), x86, cuda, cuda:1, or emulator (a GPU made of "
                  "software:\nslow, for tests)")
      ->capture_default_str();
  command.add_option("--threads", options.threads, "Threads of the x86 device; 0: all processors")
      ->capture_default_str();
  command
      .add_option(
          "--dtype", options.dtype,
          "auto: on x86 quantised weights meet 8-bit activations (prompts bf16 ones, where the processor\n"
          "has AMX), on GPUs all is bf16; f32: everything in f32 (x86 alone); bf16: weights and\n"
          "activations of matrix products are rounded to bf16")
      ->capture_default_str();
}

std::filesystem::path find_model_path(const std::string& model) {
  return hub::find_local(model, hub::settings_from_environment());
}

models::Precision precision_of(const ModelOptions& options) {
  if (options.dtype == "auto") return models::Precision::kFast;
  if (options.dtype == "f32") return models::Precision::kExact;
  if (options.dtype == "bf16") return models::Precision::kBf16;
  throw CliError(fmt::format("--dtype {}: use auto, f32 or bf16", options.dtype));
}

std::unique_ptr<runtime::Context> open_model_context(const ModelOptions& options) {
  if (options.threads < 0 || options.threads > kMostThreads)
    throw CliError(fmt::format("--threads {}: use 0 (all processors) to {}", options.threads, kMostThreads));
  auto open = [&](const std::string& device) {
    runtime::ContextOptions context;
    context.device = device;
    context.x86.threads = options.threads;
    context.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
    return runtime::open_context(std::move(context));
  };
  auto context = open(options.device);
  const auto& device = context->properties();
  if (device.kind != runtime::DeviceProperties::Kind::kCuda) return context;
  if (device.capability != 90) {
    if (options.device == "auto") return open("x86");
    throw CliError(
        fmt::format("--device {}: {} has compute capability {}.{}; models run on Hopper GPUs (9.0) "
                    "and on x86 (--device x86) so far",
                    options.device, device.name, device.capability / 10, device.capability % 10));
  }
  if (options.dtype == "f32") {
    if (options.device == "auto") return open("x86");
    throw CliError(fmt::format("--dtype f32: GPUs compute in bf16; use --dtype auto, or --device x86 for f32",
                               options.device));
  }
  return context;
}

models::Vocabulary LanguageModel::load(const ModelOptions& options, int64_t context_tokens) {
  // A tokenizer takes as long as a few hundred megabytes of weights.
  auto tokenizer = std::async(std::launch::async, [this] { return models::Vocabulary(checkpoint); });
  auto precision = precision_of(options);
  if (context_tokens < 0)
    throw CliError(
        fmt::format("--context {}: use 1 or more tokens, or 0 for the model's own", context_tokens));
  context = open_model_context(options);
  auto config = models::read_decoder_config(checkpoint);
  const int64_t planned =
      context_tokens > 0 ? context_tokens : std::min<int64_t>(config.context_length, 4096);
  models::expect_to_fit(*context, checkpoint,
                        models::plan_memory(*context, checkpoint, config, precision, planned, 1));
  decoder = models::load_decoder(*context, checkpoint, precision);
  return tokenizer.get();
}

LanguageModel::LanguageModel(const ModelOptions& options, int64_t context_tokens, bool keep_prefix)
    : checkpoint(models::Checkpoint::open(find_model_path(options.model))),
      vocabulary(load(options, context_tokens)) {
  engine::EngineOptions engine_options;
  engine_options.cache_tokens = context_tokens, engine_options.keep_prefix = keep_prefix;
  engine = std::make_unique<engine::GenerationEngine>(*context, *decoder, vocabulary, engine_options);
  auto counters = context->cache().counters();
  compile_seconds = counters.build_seconds + counters.load_seconds + counters.disk_seconds;
  load_seconds = std::max(0.0, watch.lap() - compile_seconds);
}

bool write_out(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

Interruption::Interruption() {
  interrupted = 0;
  before_ = std::signal(SIGINT, on_interrupt);
}

Interruption::~Interruption() { std::signal(SIGINT, before_); }

bool Interruption::requested() const { return interrupted != 0; }

}  // namespace rose::cli
