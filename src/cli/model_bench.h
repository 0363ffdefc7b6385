// The measurements behind `rose bench model`; the command prints them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/floor.h"
#include "cli/models.h"

namespace rose::cli {

struct ModelBenchOptions {
  ModelOptions model;
  std::string random;  // a configuration; then model.model is empty
  std::vector<int64_t> prompts{512}, batches{1};
  int64_t generate = 128;  // tokens of each answer; 0: prompts alone
  int64_t context = 0;     // tokens of the whole cache; 0: what the largest row needs
  int repeats = 1;
  bool cold = false;  // nothing that was compiled before is used
};

// One combination of prompt length and batch. Seconds are medians.
struct ModelBenchRow {
  int64_t prompt = 0, batch = 0, generated = 0;
  double first_token = 0;  // seconds from the request to its first token, of the last request of the batch
  double step = 0;         // of one step of generating, all sequences together; 0: none was made
  double slowest_step = 0;
  Work prompt_work, step_work;  // step_work: of the step in the middle of the answer

  double prompt_rate() const { return static_cast<double>(prompt * batch) / first_token; }  // tokens a second
  double step_rate() const { return step > 0 ? static_cast<double>(batch) / step : 0; }
};

struct ModelReport {
  std::string model, architecture, device, target;
  int processors = 0;
  bool random = false, encoder = false;
  uint64_t parameters = 0;
  double weight_bytes = 0, file_bytes = 0, cache_bytes = 0, memory_used = 0, memory_total = 0;
  int64_t cache_tokens = 0;
  double open_seconds = 0;            // device and files
  double load_seconds = 0;            // of weights and all that the first step needs, but compiling
  double compile_seconds = 0;         // of kernels, all threads together
  double warm_up_seconds = 0;         // first requests of each shape
  uint64_t built = 0, from_disk = 0;  // kernels
  Ceilings ceilings;
  std::string matrix_what;
  std::vector<ModelBenchRow> rows;
};

// Throws CliError for options that make no sense, and whatever loading and running throw.
ModelReport bench_model(const ModelBenchOptions& options);

}  // namespace rose::cli
