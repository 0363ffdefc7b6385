// What `rose embed`, `rose rerank` and `rose classify` share: a model that works on texts, and where the
// texts come from.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/models.h"
#include "engine/text_encoder.h"

namespace rose::cli {

// A text encoder, ready to work. Members die in the right order.
struct TextModel {
  explicit TextModel(const ModelOptions& options);
  // Runs the task, warns on standard error of texts that were cut, and notes how long it took.
  engine::TextResult run(engine::TextTask task, std::span<const engine::TextInput> inputs,
                         const engine::TextOptions& options);
  nlohmann::ordered_json timings() const;

  Stopwatch watch;  // starts before the files are opened
  models::Checkpoint checkpoint;
  models::Vocabulary vocabulary;
  std::unique_ptr<runtime::Context> context;
  std::unique_ptr<engine::TextEncoder> encoder;
  double load_seconds = 0;     // all of the above but compiling
  double compile_seconds = 0;  // of kernels that were not in the cache
  double run_seconds = 0;
};

// `texts`, given by `option`, and the lines of `file` ("": none, "-": standard input) that are not empty.
// Throws CliError, also for one that is not valid UTF-8 and for a line without an end.
std::vector<std::string> texts_and_lines(std::string_view option, std::vector<std::string> texts,
                                         const std::string& file);

}  // namespace rose::cli
