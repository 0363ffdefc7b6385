// `rose run`: a conversation in the terminal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "cli/generation_options.h"
#include "cli/line_editor.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  GenerationOptions generation;
  std::string system;
};

constexpr const char* kHelp =
    "/help            this list\n"
    "/clear           forget the conversation\n"
    "/history         show it\n"
    "/system TEXT     what the model is told ahead of it; clears it\n"
    "/retry           another answer to the last message\n"
    "/set NAME VALUE  temperature, top-p, top-k, min-p, max-tokens or seed\n"
    "/save FILE       write the conversation to a file\n"
    "/exit            end (also Ctrl-D)\n"
    "\"\"\"              begins and ends a message of several lines; pasted lines stay together\n"
    "Up, Down         earlier messages\n"
    "Ctrl-C           ends an answer, not the conversation\n";

class Chat {
 public:
  explicit Chat(const Options& options)
      : options_(options), model_(options.model, options.generation.context, /*keep_prefix=*/true) {
    expect_utf8("--system", options_.system);
    if (!model_.vocabulary.has_template())
      throw CliError("this model has no chat template; use `rose generate --raw`");
    clear();
  }

  int talk() {
    if (editor_.terminal()) tell(fmt::format("{}: /help shows the commands.\n", model_.checkpoint.name()));
    std::string message;
    while (read(message)) {
      if (message.empty()) continue;
      try {
        if (message.front() == '/') {
          if (!command(message)) break;
        } else {
          messages_.push_back({"user", message});
          answer();
        }
      } catch (const engine::EngineError& error) {
        tell(fmt::format("rose: error: {} (/clear begins anew)\n", error.what()));
      } catch (const text::TextError& error) {
        messages_.pop_back();
        tell(fmt::format("rose: error: {}\n", error.what()));
      }
    }
    return kDone;
  }

 private:
  // False at the end of the input. Where Ctrl-C broke off a line, the message is empty.
  bool read(std::string& message) {
    message.clear();
    std::string line;
    auto result = editor_.read("> ", line);
    if (result == LineEditor::Result::kEnd) return false;
    if (result == LineEditor::Result::kInterrupted) {
      tell("(Ctrl-D or /exit ends the conversation)\n");
      return true;
    }
    if (!line.starts_with("\"\"\"")) return accept(line, message);
    std::string all;
    line.erase(0, 3);
    for (bool first = true;; first = false) {
      const bool last = line.ends_with("\"\"\"");
      if (last) line.resize(line.size() - 3);
      all += (first ? "" : "\n") + line;
      if (last) break;
      result = editor_.read(". ", line);
      if (result == LineEditor::Result::kInterrupted) return true;
      if (result == LineEditor::Result::kEnd) {
        if (all.empty()) return false;
        break;
      }
    }
    if (all.starts_with("\n")) all.erase(0, 1);
    if (all.ends_with("\n")) all.pop_back();
    return accept(all, message);
  }

  static bool accept(const std::string& text, std::string& message) {
    try {
      expect_utf8("the message", text);
      message = text;
    } catch (const CliError& error) {
      tell(fmt::format("rose: error: {}\n", error.what()));
    }
    return true;
  }

  bool command(const std::string& line) {
    auto space = line.find(' ');
    const std::string name = line.substr(0, space),
                      rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (name == "/exit" || name == "/quit" || name == "/bye") return false;
    if (name == "/clear")
      clear();
    else if (name == "/help")
      fmt::print("{}", kHelp);
    else if (name == "/history")
      for (const auto& m : messages_) fmt::print("{}: {}\n", m.role, m.content);
    else if (name == "/system" && !rest.empty())
      options_.system = rest, clear();
    else if (name == "/retry")
      retry();
    else if (name == "/set")
      set(rest);
    else if (name == "/save" && !rest.empty())
      save(rest);
    else
      tell(fmt::format("There is no command {}; /help shows them.\n", line));
    return true;
  }

  void clear() {
    messages_.clear();
    if (!options_.system.empty()) messages_.push_back({"system", options_.system});
  }

  void retry() {
    if (!messages_.empty() && messages_.back().role == "assistant") messages_.pop_back();
    if (messages_.empty() || messages_.back().role != "user") {
      tell("There is no message to answer yet.\n");
      return;
    }
    answer();
  }

  void set(const std::string& text) {
    auto space = text.find(' ');
    const std::string name = text.substr(0, space),
                      value = space == std::string::npos ? "" : text.substr(space + 1);
    auto& g = options_.generation;
    auto put = [&](auto& to) {
      if (!CLI::detail::lexical_cast(value, to))
        tell(fmt::format("/set {}: '{}' is no number.\n", name, value));
    };
    if (name == "temperature")
      put(g.sampling.temperature);
    else if (name == "top-p")
      put(g.sampling.top_p);
    else if (name == "top-k")
      put(g.sampling.top_k);
    else if (name == "min-p")
      put(g.sampling.min_p);
    else if (name == "max-tokens")
      put(g.max_tokens);
    else if (name == "seed")
      put(seed_.emplace());
    else
      tell("/set knows temperature, top-p, top-k, min-p, max-tokens and seed.\n");
  }

  void save(const std::string& path) {
    std::ofstream file(path);
    for (const auto& m : messages_) file << m.role << ": " << m.content << "\n\n";
    file.close();
    if (!file) tell(fmt::format("/save {}: cannot be written.\n", path));
  }

  // Answers the last message. Messages stay as they were before it when that fails.
  void answer() {
    Interruption interruption;
    bool written = true;
    std::string text;
    int64_t id = 0;
    try {
      auto request = make_request(options_.generation, model_.vocabulary,
                                  model_.vocabulary.encode_chat(model_.vocabulary.chat_prompt(messages_)));
      if (seed_) request.sampling.seed = seed_;
      request.on_text = [&](std::string_view part) {
        text += part;
        return (written = write_out(part)) && !interruption.requested();
      };
      id = model_.engine->submit(std::move(request));
    } catch (...) {
      messages_.pop_back();
      throw;
    }
    try {
      while (!model_.engine->take(id)) {
        if (interruption.requested()) model_.engine->cancel(id);
        model_.engine->step();
      }
    } catch (const engine::EngineError& error) {  // the model is broken: no other message would do better
      throw CliError(error.what(), kFailed);
    }
    if (!written || !write_out("\n")) throw CliError(kUnwritable, kFailed);
    messages_.push_back({"assistant", text});
  }

  Options options_;
  LanguageModel model_;
  LineEditor editor_;
  std::optional<uint64_t> seed_;
  std::vector<models::Message> messages_;
};

}  // namespace

void add_run(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("run", "Talk to a language model in the terminal");
  auto o = std::make_shared<Options>();
  o->generation.max_tokens = 1024;
  o->generation.sampling.temperature = 0.7F, o->generation.sampling.top_p = 0.95F;
  add_model_options(*command, o->model);
  command->add_option("--system", o->system, "What the model is told ahead of the conversation");
  add_generation_options(*command, o->generation);
  command->footer(std::string("In the conversation:\n") + kHelp +
                  "\nMessages may also come through a pipe, one a line:\n"
                  "  printf 'What is a rose?\\nWhere do they grow?\\n' | rose run smollm2");
  command->callback([&action, o] { action = [o] { return Chat(*o).talk(); }; });
}

}  // namespace rose::cli
