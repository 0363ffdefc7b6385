// `rose score`: how likely a model finds a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/generation_options.h"
#include "engine/prompt_pass.h"

namespace rose::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::vector<std::string> texts, files;
  bool json = false;
};

std::string text_of(const models::Vocabulary& vocabulary, int32_t token) {
  auto id = static_cast<uint32_t>(token);
  return vocabulary.tokenizer().decode(std::span(&id, 1), false);
}

ordered_json result_json(const models::Vocabulary& vocabulary, const std::vector<int32_t>& tokens,
                         const engine::TextScore& score) {
  ordered_json result;
  result["tokens"] = tokens;
  result["texts"] = ordered_json::array();
  for (int32_t token : tokens) result["texts"].push_back(text_of(vocabulary, token));
  result["logprobs"] = {nullptr};  // nothing is known ahead of the first token
  for (float logprob : score.logprobs) result["logprobs"].push_back(logprob);
  result["sum"] = score.sum, result["perplexity"] = score.perplexity;
  return result;
}

std::string result_text(const models::Vocabulary& vocabulary, const std::vector<int32_t>& tokens,
                        const engine::TextScore& score) {
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    auto shown = ordered_json(text_of(vocabulary, tokens[i]))
                     .dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    out += i ? fmt::format("{:>10.4f}  {:>7}  {}\n", score.logprobs[i - 1], tokens[i], shown)
             : fmt::format("{:>10}  {:>7}  {}\n", "", tokens[i], shown);
  }
  return out + fmt::format("{} tokens, sum {:.4f}, perplexity {:.4f}\n", tokens.size(), score.sum,
                           score.perplexity);
}

int score(const Options& o) {
  std::vector<std::string> texts = o.texts;
  for (const auto& text : texts) expect_utf8("--text", text);
  for (const auto& file : o.files) texts.push_back(read_text_file("--file", file));
  for (const auto& text : texts)
    if (text.empty()) throw CliError("a text is empty: there is nothing to score");
  // The engine's own cache is not used; one block of it is the least.
  LanguageModel model(o.model, 1);
  engine::PromptPass pass(*model.context, *model.decoder);
  ordered_json json{{"results", ordered_json::array()}};
  size_t count = 0;
  std::string out;
  for (const auto& text : texts) {
    auto tokens = model.vocabulary.encode(text);
    auto score = engine::score_text(pass, model.decoder->config(), tokens);
    count += tokens.size();
    if (o.json)
      json["results"].push_back(result_json(model.vocabulary, tokens, score));
    else
      out += result_text(model.vocabulary, tokens, score);
  }
  json["usage"] = {{"prompt_tokens", count}};
  if (o.json) out = json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return write_out(out) ? kDone : kFailed;
}

}  // namespace

void add_score(CLI::App& parent, Action& action) {
  CLI::App* command =
      parent.add_subcommand("score", "Show how likely a language model finds each token of a text");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model);
  command->add_option("--text", o->texts, "A text; may be given several times")->allow_extra_args(false);
  command
      ->add_option("--file", o->files,
                   "A file whose whole is a text; -: standard input; may be given several times")
      ->allow_extra_args(false);
  command->add_flag("--json", o->json,
                    "Print JSON: results with tokens, texts, logprobs, sum and perplexity; usage");
  command->footer(
      "A token's number is the natural logarithm of its probability after all tokens before it; the first "
      "has\n"
      "none. The perplexity is e to the mean of the others, negated.\n\n"
      "Examples:\n  rose score smollm2 --text 'The capital of France is Paris.'\n"
      "  rose score smollm2 --file chapter.txt --dtype f32 --json");
  command->callback([&action, o] {
    if (o->texts.empty() && o->files.empty()) throw CLI::RequiredError("--text or --file");
    action = [o] { return score(*o); };
  });
}

}  // namespace rose::cli
