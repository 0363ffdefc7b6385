// `rose embed`: texts to vectors.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/models.h"
#include "engine/embedding.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  std::vector<std::string> texts;
  std::string file, pooling, prompt, prompt_name;
  bool json = false, similarity = false, raw = false;
};

std::vector<std::string> texts_of(const Options& o) {
  auto texts = o.texts;
  if (o.file.empty()) return texts;
  std::ifstream file(o.file);
  if (!file) throw CliError(fmt::format("--file {}: cannot be read", o.file));
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) texts.push_back(line);
  return texts;
}

std::string prompt_of(const Options& o, const models::SentenceConfig& config) {
  if (!o.prompt.empty()) return o.prompt;
  std::string name = o.prompt_name.empty() ? config.default_prompt : o.prompt_name;
  if (name.empty()) return "";
  auto found = config.prompts.find(name);
  if (found == config.prompts.end())
    throw CliError(fmt::format("--prompt-name {}: the model has no such prompt", name));
  return found->second;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i)
    dot += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return dot / std::sqrt(aa * bb);
}

int embed(const Options& o) {
  auto texts = texts_of(o);
  if (texts.empty()) throw CliError("there is nothing to embed; give --text or a --file with lines");
  Stopwatch watch;
  auto checkpoint = models::Checkpoint::open(find_model_path(o.model.model));
  models::Vocabulary vocabulary(checkpoint);
  auto config = models::read_sentence_config(checkpoint);
  if (!o.pooling.empty()) {
    auto pooling = models::parse_pooling(o.pooling);
    if (!pooling) throw CliError(fmt::format("--pooling {}: use mean, cls, last or max", o.pooling));
    config.pooling = *pooling;
  }
  if (o.raw) config.normalize = false;
  auto context = open_model_context(o.model);
  auto encoder = models::load_encoder(*context, checkpoint, precision_of(o.model));
  engine::EmbeddingEngine engine(*encoder, vocabulary, config);
  double load = watch.lap();
  auto result = engine.embed(texts, prompt_of(o, config));
  double run = watch.lap();
  if (result.truncated)
    fmt::print(stderr, "rose: warning: {} texts were cut to the model's {} tokens\n", result.truncated,
               engine.max_tokens());
  if (o.json) {
    nlohmann::ordered_json json{{"embeddings", result.embeddings},
                                {"usage", {{"prompt_tokens", result.prompt_tokens}}}};
    json["timings"] = {{"load_ms", load * 1e3}, {"embed_ms", run * 1e3}};
    return write_out(json.dump() + "\n") ? kDone : kFailed;
  }
  std::string out;
  if (o.similarity) {
    for (const auto& a : result.embeddings) {
      for (const auto& b : result.embeddings) out += fmt::format("{:7.4f} ", cosine(a, b));
      out.back() = '\n';
    }
  } else {
    for (const auto& vector : result.embeddings) out += fmt::format("{:.7g}\n", fmt::join(vector, " "));
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
  command->add_option("--file", o->file, "A file with a text in each line");
  command->add_option("--pooling", o->pooling, "mean, cls, last or max; else as the model's files say");
  command->add_option("--prompt", o->prompt, "Put in front of each text");
  command->add_option("--prompt-name", o->prompt_name, "A prompt of the model's own by its name");
  command->add_flag("--no-normalize", o->raw, "Leave vectors as long as they are");
  command->add_flag("--similarity", o->similarity, "Print the cosine of each pair of texts instead");
  command->add_flag("--json", o->json, "Print JSON: embeddings, usage, timings");
  command->footer(
      "Examples:\n  rose embed minilm --text 'A cat sat.' --text 'A dog stood.' --similarity\n"
      "  rose embed minilm --file sentences.txt --json");
  command->callback([&action, o] { action = [o] { return embed(*o); }; });
}

}  // namespace rose::cli
