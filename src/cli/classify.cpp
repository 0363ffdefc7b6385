// `rose classify`: what kind of text it is.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/generation_options.h"
#include "cli/text_model.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  std::vector<std::string> texts, pairs;
  std::string file;
  int64_t max_tokens = 0;
  bool json = false, raw = false;
};

size_t best_of(const std::vector<float>& scores) {
  return static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
}

int classify(const Options& o) {
  auto texts = texts_and_lines("--text", o.texts, o.file);
  if (texts.empty()) throw CliError("there is nothing to classify; give --text or a --file with lines");
  if (!o.pairs.empty() && o.pairs.size() != texts.size())
    throw CliError(
        fmt::format("--pair: {} second texts for {} texts; give one for each", o.pairs.size(), texts.size()));
  for (const auto& pair : o.pairs) expect_utf8("--pair", pair);
  TextModel model(o.model);
  engine::TextOptions options;
  options.max_tokens = o.max_tokens, options.raw = o.raw;
  std::vector<engine::TextInput> inputs;
  for (size_t i = 0; i < texts.size(); ++i) {
    inputs.push_back({texts[i], std::nullopt});
    if (!o.pairs.empty()) inputs.back().second = o.pairs[i];
  }
  auto result = model.run(engine::TextTask::kClassify, inputs, options);
  const auto& labels = model.encoder->labels();

  if (o.json) {
    nlohmann::ordered_json json{{"results", nlohmann::ordered_json::array()}};
    for (const auto& scores : result.rows) {
      nlohmann::ordered_json one{{"label", labels[best_of(scores)]},
                                 {"scores", nlohmann::ordered_json::object()}};
      for (size_t i = 0; i < labels.size(); ++i) one["scores"][labels[i]] = scores[i];
      json["results"].push_back(std::move(one));
    }
    json["usage"] = {{"prompt_tokens", result.prompt_tokens}};
    json["timings"] = model.timings();
    return write_out(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n")
               ? kDone
               : kFailed;
  }
  std::string out;
  for (size_t t = 0; t < texts.size(); ++t) {
    const auto& scores = result.rows[t];
    out += fmt::format("{}\n", texts[t]);
    std::vector<size_t> order(labels.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    for (size_t i : order) out += fmt::format("  {:9.6f}  {}\n", scores[i], labels[i]);
  }
  return write_out(out) ? kDone : kFailed;
}

}  // namespace

void add_classify(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("classify", "Say which of a model's labels fits a text");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model);
  command->add_option("--text", o->texts, "A text; may be given several times")->allow_extra_args(false);
  command
      ->add_option("--pair", o->pairs,
                   "The second text of a pair, for models that compare two; as often as --text")
      ->allow_extra_args(false);
  command->add_option("--file", o->file,
                      "A file with a text in each line (empty lines are left out); -: standard input");
  command
      ->add_option("--max-tokens", o->max_tokens, "Cut texts to so many tokens; 0: to the model's own limit")
      ->capture_default_str();
  command->add_flag("--raw", o->raw, "Logits instead of probabilities");
  command->add_flag("--json", o->json, "Print JSON: results (label, scores of all labels), usage, timings");
  command->footer(
      "MODEL has a classification head (ForSequenceClassification). Its config.json names the labels and "
      "says\n"
      "whether one of them fits (probabilities that sum to 1), any number of them (a probability each), or "
      "whether\n"
      "they are plain numbers (regression).\n\n"
      "Examples:\n"
      "  rose classify my-sentiment-model --text 'What a fine day!'\n"
      "  rose classify my-nli-model --text 'A man sleeps.' --pair 'Somebody is awake.' --json");
  command->callback([&action, o] { action = [o] { return classify(*o); }; });
}

}  // namespace rose::cli
