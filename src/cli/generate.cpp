// `rose generate`: one answer to one prompt.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/models.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  std::string prompt, prompt_file, system;
  int64_t max_tokens = 256, context = 0;
  engine::SamplingOptions sampling;
  std::vector<std::string> stop;
  uint64_t seed = 0;
  bool seeded = false, raw = false, json = false, logprobs = false, ignore_eos = false;
};

std::string prompt_of(const Options& o) {
  if (o.prompt_file.empty()) return o.prompt;
  std::ifstream file(o.prompt_file, std::ios::binary);
  if (!file) throw CliError(fmt::format("--prompt-file {}: cannot be read", o.prompt_file));
  return {std::istreambuf_iterator<char>(file), {}};
}

double milliseconds(double seconds) { return std::round(seconds * 1e5) / 100; }

int generate(const Options& o) {
  Interruption interruption;
  LanguageModel model(o.model, o.context);
  engine::GenerationRequest request;
  if (o.raw || !model.vocabulary.has_template()) {
    if (!o.system.empty())
      throw CliError("--system needs a chat template, and --raw or this model leaves it out");
    request.prompt = model.vocabulary.encode(prompt_of(o));
  } else {
    std::vector<models::Message> messages;
    if (!o.system.empty()) messages.push_back({"system", o.system});
    messages.push_back({"user", prompt_of(o)});
    request.prompt = model.vocabulary.encode_chat(model.vocabulary.chat_prompt(messages));
  }
  request.max_tokens = o.max_tokens, request.sampling = o.sampling, request.stop_strings = o.stop,
  request.logprobs = o.logprobs;
  if (o.seeded) request.sampling.seed = o.seed;
  if (!o.ignore_eos) request.stop_tokens = model.vocabulary.stop_tokens();
  bool written = true;
  request.on_text = [&](std::string_view text) {
    if (!o.json) written = write_out(text);
    return written && !interruption.requested();
  };

  Stopwatch watch;
  auto id = model.engine->submit(std::move(request));
  std::optional<engine::GenerationResult> result;
  while (!result && !interruption.requested()) {
    model.engine->step();
    result = model.engine->take(id);
  }
  if (!result) throw CliError("interrupted", kFailed);
  double prompt_seconds = result->first_token_seconds, generate_seconds = watch.lap() - prompt_seconds;
  if (o.json) {
    nlohmann::ordered_json json{{"text", result->text},
                                {"tokens", result->tokens},
                                {"finish_reason", engine::finish_name(result->finish)}};
    json["usage"] = {{"prompt_tokens", result->prompt_tokens}, {"completion_tokens", result->tokens.size()}};
    if (o.logprobs) json["logprobs"] = result->logprobs;
    json["seed"] = result->seed;
    json["timings"] = {{"load_ms", milliseconds(model.load_seconds)},
                       {"compile_ms", milliseconds(model.compile_seconds)},
                       {"prompt_ms", milliseconds(prompt_seconds)},
                       {"generate_ms", milliseconds(generate_seconds)}};
    written = write_out(json.dump(2) + "\n");
  } else if (written) {
    written = write_out("\n");
  }
  if (!written) throw CliError("nobody reads standard output any more", kFailed);
  if (result->finish == engine::FinishReason::kCancelled) throw CliError("interrupted", kFailed);
  return kDone;
}

}  // namespace

void add_generate(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("generate", "Let a language model answer one prompt");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model);
  auto* prompt = command->add_option("--prompt,-p", o->prompt, "The prompt");
  command->add_option("--prompt-file", o->prompt_file, "A file with the prompt")->excludes(prompt);
  command->add_option("--system", o->system, "What the model is told ahead of the prompt");
  command->add_option("--max-tokens,-n", o->max_tokens, "Tokens of the answer at most")
      ->capture_default_str();
  command
      ->add_option("--context", o->context,
                   "Tokens of prompt and answer at most; 0: the model's own, up to 4096")
      ->capture_default_str();
  command
      ->add_option("--temperature,-t", o->sampling.temperature,
                   "0: always the likeliest token; 1: as the model learnt")
      ->capture_default_str();
  command
      ->add_option("--top-p", o->sampling.top_p,
                   "Draw among the likeliest tokens that together have this probability")
      ->capture_default_str();
  command->add_option("--top-k", o->sampling.top_k, "Draw among so many of the likeliest tokens; 0: all")
      ->capture_default_str();
  command
      ->add_option("--min-p", o->sampling.min_p,
                   "Leave out tokens less likely than this part of the likeliest")
      ->capture_default_str();
  command
      ->add_option("--repetition-penalty", o->sampling.repetition,
                   "Above 1: tokens that were there become less likely")
      ->capture_default_str();
  auto* seed = command->add_option("--seed", o->seed, "The same seed gives the same answer");
  command->add_option("--stop", o->stop, "Ends the answer when it appears; may be given several times");
  command->add_flag("--ignore-eos", o->ignore_eos, "Go on where the model would end");
  command->add_flag("--raw", o->raw, "Complete the prompt as it is, without the model's chat template");
  command->add_flag("--logprobs", o->logprobs, "With --json: the logarithm of each token's probability");
  command->add_flag("--json", o->json, "Print JSON: text, tokens, finish_reason, usage, seed, timings");
  command->footer(
      "Examples:\n  rose generate smollm2 --prompt 'Why is the sky blue?' --temperature 0\n"
      "  rose generate smollm2 --raw --prompt 'Once upon a time' --max-tokens 40 --seed 1 --json");
  command->callback([&action, o, seed, prompt] {
    if (prompt->count() == 0 && o->prompt_file.empty()) throw CLI::RequiredError("--prompt or --prompt-file");
    o->seeded = seed->count() > 0;
    action = [o] { return generate(*o); };
  });
}

}  // namespace rose::cli
