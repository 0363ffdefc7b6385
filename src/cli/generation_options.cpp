#include "cli/generation_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>

#include "text/unicode/utf8.h"

namespace rose::cli {
namespace {

template <typename T>
bool parse(std::string_view text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::map<int32_t, float> parse_bias(const std::vector<std::string>& texts) {
  std::map<int32_t, float> bias;
  for (std::string_view text : texts) {
    auto equals = text.find('=');
    int32_t token = 0;
    float value = 0;
    if (equals == std::string_view::npos || !parse(text.substr(0, equals), token) ||
        !parse(text.substr(equals + 1), value) || std::isnan(value))
      throw CliError(
          fmt::format("--logit-bias {}: use TOKEN=NUMBER, such as 42=-5 (`rose score` shows tokens)", text));
    bias[token] = value;
  }
  return bias;
}

}  // namespace

void add_generation_options(CLI::App& command, GenerationOptions& o) {
  auto number = [&](const char* name, auto& value, const char* help) {
    command.add_option(name, value, help)->capture_default_str();
  };
  number("--max-tokens,-n", o.max_tokens, "Tokens of an answer at most");
  number("--context", o.context, "Tokens of prompt and answer at most; 0: the model's own, up to 4096");
  number("--temperature,-t", o.sampling.temperature, "0: always the likeliest token; 1: as the model learnt");
  number("--top-p", o.sampling.top_p, "Draw among the likeliest tokens that together have this probability");
  number("--top-k", o.sampling.top_k, "Draw among so many of the likeliest tokens; 0: all");
  number("--min-p", o.sampling.min_p, "Leave out tokens less likely than this part of the likeliest");
  number("--repetition-penalty", o.sampling.repetition,
         "Above 1: tokens that prompt or answer have become less likely");
  number("--presence-penalty", o.sampling.presence, "Taken from the logits of tokens that the answer has");
  number("--frequency-penalty", o.sampling.frequency, "The same for each time that the answer has them");
  command
      .add_option("--logit-bias", o.logit_bias,
                  "TOKEN=NUMBER, added to a token's logit; may be given several times")
      ->allow_extra_args(false);
  o.seed_option = command.add_option("--seed", o.seed, "The same seed gives the same answer");
  command
      .add_option("--stop", o.stop,
                  "A text that ends an answer and is not part of it; may be given several times")
      ->allow_extra_args(false);
  command.add_option("--stop-token", o.stop_tokens, "The same for the number of a token")
      ->allow_extra_args(false);
  command.add_flag("--ignore-eos", o.ignore_eos, "Go on where the model would end");
}

engine::GenerationRequest make_request(const GenerationOptions& o, const models::Vocabulary& vocabulary,
                                       std::vector<int32_t> prompt) {
  engine::GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = o.max_tokens, request.sampling = o.sampling, request.stop_strings = o.stop;
  request.sampling.logit_bias = parse_bias(o.logit_bias);
  if (o.seed_option && o.seed_option->count() > 0) request.sampling.seed = o.seed;
  if (!o.ignore_eos) request.stop_tokens = vocabulary.stop_tokens();
  request.stop_tokens.insert(request.stop_tokens.end(), o.stop_tokens.begin(), o.stop_tokens.end());
  return request;
}

void expect_utf8(std::string_view option, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    auto [kind, length] = text::unicode::inspect(text, at);
    if (kind != text::unicode::Sequence::kValid)
      throw CliError(fmt::format("{}: is not valid UTF-8: byte {} is 0x{:02x}", option, at + 1,
                                 static_cast<unsigned char>(text[at])));
    at += length;
  }
}

std::string read_text_file(std::string_view option, const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream file(path, std::ios::binary);
    std::error_code ignored;
    if (!file || std::filesystem::is_directory(path, ignored))
      throw CliError(fmt::format("{} {}: cannot be read", option, path));
    constexpr size_t kMost =
        64 << 20;  // far more than any context; a device without an end must not fill memory
    text.resize(kMost + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > kMost)
      throw CliError(fmt::format("{} {}: is larger than {} MB", option, path, kMost >> 20));
  }
  expect_utf8(fmt::format("{} {}", option, path), text);
  return text;
}

}  // namespace rose::cli
