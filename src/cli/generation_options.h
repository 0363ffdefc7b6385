// The options of commands that let a model write: how long, how tokens are chosen, where the answer stops.
#pragma once

#include <string>
#include <vector>

#include "cli/models.h"
#include "engine/generation.h"

namespace CLI {
class Option;
}

namespace rose::cli {

struct GenerationOptions {
  int64_t max_tokens = 256, context = 0;
  engine::SamplingOptions sampling;
  uint64_t seed = 0;
  std::vector<std::string> stop, logit_bias;
  std::vector<int32_t> stop_tokens;
  bool ignore_eos = false;

  const CLI::Option* seed_option = nullptr;  // whether a seed was given
};
// --max-tokens, --context, --temperature, --top-p, --top-k, --min-p, the penalties, --logit-bias, --seed,
// --stop, --stop-token and --ignore-eos, with the defaults that `options` holds.
void add_generation_options(CLI::App& command, GenerationOptions& options);

// The request that they make of a prompt. Throws CliError for a --logit-bias that is no TOKEN=NUMBER.
engine::GenerationRequest make_request(const GenerationOptions& options, const models::Vocabulary& vocabulary,
                                       std::vector<int32_t> prompt);

// The text as it is. Throws CliError that names the option and the first wrong byte when it is not valid
// UTF-8.
void expect_utf8(std::string_view option, std::string_view text);
// The whole of a file ("-": of standard input), valid UTF-8. Throws CliError.
std::string read_text_file(std::string_view option, const std::string& path);

}  // namespace rose::cli
