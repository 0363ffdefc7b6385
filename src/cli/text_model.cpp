#include "cli/text_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/generation_options.h"

namespace rose::cli {
namespace {

double milliseconds(double seconds) { return std::round(seconds * 1e5) / 100; }

constexpr size_t kLongestLine =
    16 << 20;  // more than any context; a device without an end must not fill memory

// As std::getline, but false ahead of the end at a line that is longer than that.
bool get_line(std::istream& lines, std::string& line) {
  line.clear();
  for (char c; lines.get(c) && c != '\n'; line += c)
    if (line.size() == kLongestLine) return false;
  return lines || (lines.eof() && !line.empty());
}

void add_lines(const std::string& file, std::istream& lines, std::vector<std::string>& texts) {
  size_t number = 1;
  std::string line;
  for (; get_line(lines, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    expect_utf8(fmt::format("--file {}: line {}", file, number), line);
    if (!line.empty()) texts.push_back(std::move(line));
  }
  if (lines)
    throw CliError(fmt::format("--file {}: line {} is larger than {} MB", file, number, kLongestLine >> 20));
  if (!lines.eof()) throw CliError(fmt::format("--file {}: cannot be read to its end", file));
}

}  // namespace

TextModel::TextModel(const ModelOptions& options)
    : checkpoint(models::Checkpoint::open(find_model_path(options.model))), vocabulary(checkpoint) {
  auto precision = precision_of(options);
  context = open_model_context(options);
  encoder = engine::open_text_encoder(*context, checkpoint, vocabulary, precision);
  auto counters = context->cache().counters();
  compile_seconds = counters.build_seconds + counters.load_seconds + counters.disk_seconds;
  load_seconds = std::max(0.0, watch.lap() - compile_seconds);
}

engine::TextResult TextModel::run(engine::TextTask task, std::span<const engine::TextInput> inputs,
                                  const engine::TextOptions& options) {
  watch.lap();
  auto result = encoder->run(task, inputs, options);
  run_seconds = watch.lap();
  if (result.truncated)
    tell(fmt::format(
        "rose: warning: {} of {} texts were cut to {} tokens\n", result.truncated, inputs.size(),
        options.max_tokens ? std::min(options.max_tokens, encoder->max_tokens()) : encoder->max_tokens()));
  return result;
}

nlohmann::ordered_json TextModel::timings() const {
  return {{"load_ms", milliseconds(load_seconds)},
          {"compile_ms", milliseconds(compile_seconds)},
          {"run_ms", milliseconds(run_seconds)}};
}

std::vector<std::string> texts_and_lines(std::string_view option, std::vector<std::string> texts,
                                         const std::string& file) {
  for (const auto& text : texts) expect_utf8(option, text);
  if (file == "-") {
    add_lines(file, std::cin, texts);
  } else if (!file.empty()) {
    std::ifstream lines(file);
    if (!lines) throw CliError(fmt::format("--file {}: cannot be read", file));
    add_lines(file, lines, texts);
  }
  return texts;
}

}  // namespace rose::cli
