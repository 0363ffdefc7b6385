// `rose run`: a conversation in the terminal.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/models.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  std::string system;
  int64_t max_tokens = 1024, context = 0;
  engine::SamplingOptions sampling;
  uint64_t seed = 0;
  bool seeded = false;
};

constexpr const char* kHelp =
    "/help            this list\n"
    "/clear           forget the conversation\n"
    "/history         show it\n"
    "/system TEXT     what the model is told ahead of it; clears it\n"
    "/exit            end (also Ctrl-D)\n"
    "\"\"\"              begins and ends a message of several lines\n"
    "Ctrl-C           ends an answer; twice: the program\n";

class Chat {
 public:
  explicit Chat(const Options& options) : options_(options), model_(options.model, options.context) {
    if (!model_.vocabulary.has_template())
      throw CliError("this model has no chat template; use `rose generate --raw`");
    clear();
  }

  int talk() {
    terminal_ = isatty(STDIN_FILENO) != 0;
    if (terminal_) fmt::print(stderr, "{}: /help shows the commands.\n", model_.checkpoint.name());
    for (std::string line; read(line);) {
      if (line.empty()) continue;
      if (line.front() == '/') {
        if (!command(line)) break;
      } else {
        answer(line);
      }
    }
    return kDone;
  }

 private:
  bool read(std::string& message) {
    message.clear();
    if (terminal_) fmt::print(stderr, "> ");
    std::string line;
    if (!std::getline(std::cin, line)) return false;
    if (!line.starts_with("\"\"\"")) {
      message = line;
      return true;
    }
    message = line.substr(3);
    while (std::getline(std::cin, line)) {
      bool last = line.ends_with("\"\"\"");
      if (last) line.resize(line.size() - 3);
      message += (message.empty() ? "" : "\n") + line;
      if (last) return true;
    }
    return !message.empty();
  }

  bool command(const std::string& line) {
    if (line == "/exit" || line == "/quit" || line == "/bye") return false;
    if (line == "/clear")
      clear();
    else if (line == "/help")
      fmt::print("{}", kHelp);
    else if (line == "/history")
      for (const auto& m : messages_) fmt::print("{}: {}\n", m.role, m.content);
    else if (line.starts_with("/system "))
      options_.system = line.substr(8), clear();
    else
      fmt::print(stderr, "There is no command {}; /help shows them.\n", line);
    return true;
  }

  void clear() {
    messages_.clear();
    if (!options_.system.empty()) messages_.push_back({"system", options_.system});
  }

  void answer(const std::string& message) {
    interruption_.reset();
    messages_.push_back({"user", message});
    engine::GenerationRequest request;
    request.prompt = model_.vocabulary.encode_chat(model_.vocabulary.chat_prompt(messages_));
    request.max_tokens = options_.max_tokens, request.sampling = options_.sampling,
    request.stop_tokens = model_.vocabulary.stop_tokens();
    if (options_.seeded) request.sampling.seed = options_.seed;
    bool written = true;
    request.on_text = [&](std::string_view text) {
      return (written = write_out(text)) && !interruption_.requested();
    };
    try {
      auto result = model_.engine->generate(std::move(request));
      if (!written || !write_out("\n")) throw CliError("nobody reads standard output any more", kFailed);
      messages_.push_back({"assistant", result.text});
    } catch (const engine::EngineError& error) {
      messages_.pop_back();
      fmt::print(stderr, "rose: error: {} (/clear begins anew)\n", error.what());
    }
  }

  Options options_;
  Interruption interruption_;
  LanguageModel model_;
  std::vector<models::Message> messages_;
  bool terminal_ = false;
};

}  // namespace

void add_run(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("run", "Talk to a language model in the terminal");
  auto o = std::make_shared<Options>();
  o->sampling.temperature = 0.7F, o->sampling.top_p = 0.95F;
  add_model_options(*command, o->model);
  command->add_option("--system", o->system, "What the model is told ahead of the conversation");
  command->add_option("--max-tokens,-n", o->max_tokens, "Tokens of an answer at most")->capture_default_str();
  command
      ->add_option("--context", o->context,
                   "Tokens of the conversation at most; 0: the model's own, up to 4096")
      ->capture_default_str();
  command->add_option("--temperature,-t", o->sampling.temperature, "0: always the likeliest token")
      ->capture_default_str();
  command
      ->add_option("--top-p", o->sampling.top_p,
                   "Draw among the likeliest tokens that together have this probability")
      ->capture_default_str();
  command->add_option("--top-k", o->sampling.top_k, "Draw among so many of the likeliest tokens; 0: all")
      ->capture_default_str();
  auto* seed = command->add_option("--seed", o->seed, "The same seed and messages give the same answers");
  command->footer(std::string("In the conversation:\n") + kHelp);
  command->callback([&action, o, seed] {
    o->seeded = seed->count() > 0;
    action = [o] { return Chat(*o).talk(); };
  });
}

}  // namespace rose::cli
