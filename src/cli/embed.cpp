// `rose embed`: texts to vectors.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/generation_options.h"
#include "cli/text_model.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  std::vector<std::string> texts;
  std::string file, pooling, prompt, prompt_name;
  int64_t dimensions = 0, max_tokens = 0;
  bool json = false, similarity = false, raw = false;
};

std::string prompt_of(const Options& o, const models::SentenceConfig& config) {
  if (!o.prompt.empty()) return o.prompt;
  std::string name = o.prompt_name.empty() ? config.default_prompt : o.prompt_name;
  if (name.empty()) return "";
  auto found = config.prompts.find(name);
  if (found != config.prompts.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, prompt] : config.prompts) names.push_back(known);
  throw CliError(fmt::format("--prompt-name {}: the model has no such prompt; it has {}", name,
                             names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i)
    dot += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return dot / std::sqrt(aa * bb);
}

int embed(const Options& o) {
  engine::TextOptions options;
  options.max_tokens = o.max_tokens, options.dimensions = o.dimensions;
  if (!o.pooling.empty()) {
    options.pooling = models::parse_pooling(o.pooling);
    if (!options.pooling)
      throw CliError(fmt::format(
          "--pooling {}: use mean, cls, last, max, weightedmean or mean_sqrt_len_tokens", o.pooling));
  }
  if (o.raw) options.normalize = false;
  auto texts = texts_and_lines("--text", o.texts, o.file);
  if (texts.empty()) throw CliError("there is nothing to embed; give --text or a --file with lines");
  expect_utf8("--prompt", o.prompt);
  TextModel model(o.model);
  options.prompt = prompt_of(o, model.encoder->config());
  std::vector<engine::TextInput> inputs;
  for (const auto& text : texts) inputs.push_back({text, std::nullopt});
  auto result = model.run(engine::TextTask::kEmbed, inputs, options);

  if (o.json) {
    nlohmann::ordered_json json{{"embeddings", result.rows},
                                {"usage", {{"prompt_tokens", result.prompt_tokens}}}};
    json["timings"] = model.timings();
    return write_out(json.dump() + "\n") ? kDone : kFailed;
  }
  std::string out;
  if (o.similarity) {
    for (const auto& a : result.rows) {
      for (const auto& b : result.rows) out += fmt::format("{:7.4f} ", cosine(a, b));
      out.back() = '\n';
    }
  } else {
    for (const auto& vector : result.rows) out += fmt::format("{:.7g}\n", fmt::join(vector, " "));
  }
  return write_out(out) ? kDone : kFailed;
}

}  // namespace

void add_embed(CLI::App& parent, Action& action) {
  CLI::App* command =
      parent.add_subcommand("embed", "Turn texts into vectors whose closeness is closeness of meaning");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model);
  command->add_option("--text", o->texts, "A text; may be given several times")->allow_extra_args(false);
  command->add_option("--file", o->file,
                      "A file with a text in each line (empty lines are left out); -: standard input");
  command->add_option(
      "--pooling", o->pooling,
      "mean, cls, last, max, weightedmean or mean_sqrt_len_tokens; else as the model's files say");
  auto* prompt = command->add_option("--prompt", o->prompt, "Put in front of each text");
  command
      ->add_option("--prompt-name", o->prompt_name,
                   "A prompt of the model's own by its name: query, document, …")
      ->excludes(prompt);
  command
      ->add_option("--dimensions", o->dimensions,
                   "The first so many elements alone, for models trained for it (Matryoshka); 0: all")
      ->capture_default_str();
  command
      ->add_option("--max-tokens", o->max_tokens, "Cut texts to so many tokens; 0: to the model's own limit")
      ->capture_default_str();
  command->add_flag("--no-normalize", o->raw, "Leave vectors as long as they are");
  command->add_flag("--similarity", o->similarity, "Print the cosine of each pair of texts instead");
  command->add_flag("--json", o->json, "Print JSON: embeddings, usage, timings");
  command->footer(
      "Pooling, normalisation, prompts and the longest text come from the model's own files (modules.json "
      "and\n"
      "what it names). Texts that are too long are cut, with a warning.\n\n"
      "Examples:\n"
      "  rose embed minilm --text 'A cat sat.' --text 'A dog stood.' --similarity\n"
      "  rose embed minilm --file sentences.txt --json\n"
      "  rose embed my-matryoshka-model --prompt-name query --dimensions 256 --text 'where do cats sleep?'");
  command->callback([&action, o] { action = [o] { return embed(*o); }; });
}

}  // namespace rose::cli
