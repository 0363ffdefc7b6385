// `rose generate`: one answer to one prompt.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/generation_options.h"

namespace rose::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  GenerationOptions generation;
  std::string prompt, prompt_file, system;
  int32_t top_logprobs = 0;
  bool raw = false, json = false, logprobs = false;
};

double milliseconds(double seconds) { return std::round(seconds * 1e5) / 100; }

std::vector<int32_t> encode_prompt(const Options& o, const std::string& prompt,
                                   const models::Vocabulary& vocabulary) {
  if (o.raw || !vocabulary.has_template()) {
    if (!o.system.empty())
      throw CliError("--system needs a chat template, and --raw or this model leaves it out");
    return vocabulary.encode(prompt);
  }
  std::vector<models::Message> messages;
  if (!o.system.empty()) messages.push_back({"system", o.system});
  messages.push_back({"user", prompt});
  return vocabulary.encode_chat(vocabulary.chat_prompt(messages));
}

// A token beside its text and the logarithm of its probability, before all sampling options.
ordered_json token_json(const models::Vocabulary& vocabulary, int32_t token, float logprob) {
  auto id = static_cast<uint32_t>(token);
  return {{"token", token},
          {"text", vocabulary.tokenizer().decode(std::span(&id, 1), false)},
          {"logprob", logprob}};
}

ordered_json logprobs_json(const models::Vocabulary& vocabulary, const engine::GenerationResult& result) {
  auto list = ordered_json::array();
  for (size_t i = 0; i < result.tokens.size(); ++i) {
    auto entry = token_json(vocabulary, result.tokens[i], result.logprobs.at(i));
    if (!result.top_logprobs.empty()) {
      entry["top"] = ordered_json::array();
      for (auto [token, logprob] : result.top_logprobs.at(i))
        entry["top"].push_back(token_json(vocabulary, token, logprob));
    }
    list.push_back(std::move(entry));
  }
  return list;
}

int generate(const Options& o) {
  std::string prompt = o.prompt_file.empty() ? o.prompt : read_text_file("--prompt-file", o.prompt_file);
  expect_utf8("--prompt", prompt), expect_utf8("--system", o.system);
  if (prompt.empty())
    throw CliError(o.prompt_file.empty() ? "--prompt: is empty; a model needs something to answer"
                                         : fmt::format("--prompt-file {}: is empty", o.prompt_file));
  if ((o.logprobs || o.top_logprobs) && !o.json)
    throw CliError("--logprobs and --top-logprobs are shown with --json alone");
  LanguageModel model(o.model, o.generation.context);
  Interruption interruption;  // from here on: Ctrl-C while the model loads ends the program at once
  auto request = make_request(o.generation, model.vocabulary, encode_prompt(o, prompt, model.vocabulary));
  request.logprobs = o.logprobs || o.top_logprobs, request.top_logprobs = o.top_logprobs;
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
  if (!result || (written && result->finish == engine::FinishReason::kCancelled)) {
    if (!o.json) write_out("\n");
    throw CliError("interrupted", kInterrupted);
  }
  double prompt_seconds = result->first_token_seconds, generate_seconds = watch.lap() - prompt_seconds;
  if (o.json) {
    ordered_json json{{"text", result->text},
                      {"tokens", result->tokens},
                      {"finish_reason", engine::finish_name(result->finish)}};
    json["usage"] = {{"prompt_tokens", result->prompt_tokens}, {"completion_tokens", result->tokens.size()}};
    if (o.logprobs || o.top_logprobs) json["logprobs"] = logprobs_json(model.vocabulary, *result);
    json["timings"] = {{"load_ms", milliseconds(model.load_seconds)},
                       {"compile_ms", milliseconds(model.compile_seconds)},
                       {"prompt_ms", milliseconds(prompt_seconds)},
                       {"generate_ms", milliseconds(generate_seconds)}};
    written = write_out(json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  } else if (written) {
    written = write_out("\n");
  }
  return written ? kDone : kFailed;
}

}  // namespace

void add_generate(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("generate", "Let a language model answer one prompt");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model);
  auto* prompt = command->add_option("--prompt,-p", o->prompt, "The prompt");
  command->add_option("--prompt-file", o->prompt_file, "A file with the prompt; -: standard input")
      ->excludes(prompt);
  command->add_option("--system", o->system, "What the model is told ahead of the prompt");
  command->add_flag("--raw", o->raw, "Complete the prompt as it is, without the model's chat template");
  add_generation_options(*command, o->generation);
  command->add_flag("--logprobs", o->logprobs, "With --json: the logarithm of each token's probability");
  command->add_option("--top-logprobs", o->top_logprobs,
                      "The same, and those of so many of the likeliest tokens");
  command->add_flag("--json", o->json,
                    "Print JSON: text, tokens, finish_reason (stop, length), usage, logprobs, timings");
  command->footer(
      "Examples:\n  rose generate smollm2 --prompt 'Why is the sky blue?' --temperature 0\n"
      "  rose generate smollm2 --raw --prompt 'Once upon a time' --max-tokens 40 --seed 1 --json\n"
      "  rose generate smollm2 --prompt-file letter.txt --stop 'Yours' --top-p 0.9");
  command->callback([&action, o, prompt] {
    if (prompt->count() == 0 && o->prompt_file.empty()) throw CLI::RequiredError("--prompt or --prompt-file");
    action = [o] { return generate(*o); };
  });
}

}  // namespace rose::cli
