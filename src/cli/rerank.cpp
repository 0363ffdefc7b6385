// `rose rerank`: documents by how well they answer a query.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/generation_options.h"
#include "cli/text_model.h"

namespace rose::cli {
namespace {

struct Options {
  ModelOptions model;
  std::string query, file, instruction;
  std::vector<std::string> documents;
  int64_t top = 0, max_tokens = 0;
  bool json = false, raw = false;
};

int rerank(const Options& o) {
  expect_utf8("--query", o.query), expect_utf8("--instruction", o.instruction);
  if (o.query.empty()) throw CliError("--query: is empty");
  if (o.top < 0) throw CliError(fmt::format("--top {}: use 1 or more, or 0 for all", o.top));
  auto documents = texts_and_lines("--document", o.documents, o.file);
  if (documents.empty()) throw CliError("there is nothing to rank; give --document or a --file with lines");
  TextModel model(o.model);
  engine::TextOptions options;
  options.max_tokens = o.max_tokens, options.raw = o.raw, options.instruction = o.instruction;
  std::vector<engine::TextInput> pairs;
  for (const auto& document : documents) pairs.push_back({o.query, document});
  auto result = model.run(engine::TextTask::kScore, pairs, options);

  std::vector<size_t> order(documents.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return result.rows[a][0] > result.rows[b][0]; });
  if (o.top && static_cast<size_t>(o.top) < order.size()) order.resize(static_cast<size_t>(o.top));
  if (o.json) {
    nlohmann::ordered_json json{{"results", nlohmann::ordered_json::array()}};
    for (size_t i : order) json["results"].push_back({{"index", i}, {"score", result.rows[i][0]}});
    json["usage"] = {{"prompt_tokens", result.prompt_tokens}};
    json["timings"] = model.timings();
    return write_out(json.dump() + "\n") ? kDone : kFailed;
  }
  std::string out;
  for (size_t i : order) out += fmt::format("{:9.6f}  {:>4}  {}\n", result.rows[i][0], i, documents[i]);
  return write_out(out) ? kDone : kFailed;
}

}  // namespace

void add_rerank(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("rerank", "Sort documents by how well they answer a query");
  auto o = std::make_shared<Options>();
  add_model_options(*command, o->model);
  command->add_option("--query", o->query, "The question")->required();
  command->add_option("--document", o->documents, "A document; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--file", o->file,
                      "A file with a document in each line (empty lines are left out); -: standard input");
  command->add_option("--top", o->top, "Print only so many of the best; 0: all")->capture_default_str();
  command
      ->add_option("--max-tokens", o->max_tokens,
                   "Cut query and document together to so many tokens; 0: to the model's own limit")
      ->capture_default_str();
  command->add_option("--instruction", o->instruction,
                      "What to look for, for models that take an instruction (Qwen3-Reranker)");
  command->add_flag("--raw", o->raw, "Scores as the last layer gives them, without the sigmoid");
  command->add_flag("--json", o->json, "Print JSON: results (index, score; best first), usage, timings");
  command->footer(
      "MODEL is a cross-encoder: it reads query and document together, which is slower than comparing "
      "vectors of\n"
      "`rose embed` and more exact. The usual way is to embed many documents once and to rerank the "
      "nearest.\n"
      "Prints score, number of the document (from 0) and document.\n\n"
      "Examples:\n"
      "  rose rerank my-reranker --query 'where do cats sleep?' --document 'On sofas.' --document 'Fish "
      "swim.'\n"
      "  rose rerank my-reranker --query 'capital of Peru' --file passages.txt --top 5 --json");
  command->callback([&action, o] { action = [o] { return rerank(*o); }; });
}

}  // namespace rose::cli
