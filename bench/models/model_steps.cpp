// Speed of a decoder's steps as llama-bench defines it: a prompt of so many tokens in one step, and so many
// single steps on an empty cache; no sampling. Runs "pp" or "tg" for every line of standard input that says
// so, and answers with the seconds, as JSON; "compare": the cosine between the last logits of the prompt in
// one step and token by token. For compare_generation.py and for profiling:
//   yes tg | head -50 | model_steps FILE [prompt tokens 512] [generated tokens 128] [threads 0]
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>

#include "models/decoder.h"
#include "runtime/compile.h"

namespace {

using namespace rose;

constexpr int64_t kBlock = 32;

// One sequence's tokens [first, first + count).
models::Step step_of(const std::vector<int32_t>& tokens, int64_t first, int64_t count) {
  models::Step step;
  for (int64_t i = first; i < first + count; ++i) {
    step.tokens.push_back(tokens[static_cast<size_t>(i)]);
    step.positions.push_back(static_cast<int32_t>(i));
    step.slots.push_back(i);
  }
  step.first_tokens = {0, static_cast<int32_t>(count)};
  step.lengths = {static_cast<int32_t>(first + count)};
  step.table_width = (static_cast<int64_t>(tokens.size()) + kBlock - 1) / kBlock;
  for (int64_t i = 0; i < step.table_width; ++i) step.block_table.push_back(static_cast<int32_t>(i));
  step.logit_rows = {static_cast<int32_t>(count) - 1};
  return step;
}

}  // namespace

int main(int argc, char** argv) {
  auto number = [&](int i, int64_t otherwise) { return argc > i ? std::stoll(argv[i]) : otherwise; };
  if (argc < 2) {
    fmt::print(stderr, "usage: {} FILE [prompt tokens] [generated tokens] [threads]\n", argv[0]);
    return 2;
  }
  try {
    int64_t prompt = number(2, 512), generated = number(3, 128);
    runtime::ContextOptions options;
    options.device = "x86", options.x86.threads = static_cast<int>(number(4, 0));
    auto context = runtime::open_context(std::move(options));
    auto checkpoint = models::Checkpoint::open(argv[1]);
    auto decoder = models::load_decoder(*context, checkpoint, models::Precision::kFast);
    const auto& config = decoder->config();
    int64_t most = std::max(prompt, generated);
    models::KvCache cache(*context, config, (most + kBlock - 1) / kBlock, kBlock);
    auto logits = context->device().allocate(static_cast<size_t>(config.vocab) * 4);
    std::mt19937 random(1);
    std::vector<int32_t> tokens(static_cast<size_t>(most));
    for (auto& t : tokens) t = static_cast<int32_t>(random() % static_cast<uint64_t>(config.vocab));
    auto one_by_one = [&](int64_t count) {
      for (int64_t i = 0; i < count; ++i) decoder->forward(step_of(tokens, i, 1), cache, logits);
    };
    auto values = [&] {
      std::vector<float> v(static_cast<size_t>(config.vocab));
      context->stream().download(v.data(), logits, v.size() * 4);
      context->stream().synchronize();
      return v;
    };

    fmt::print("{{\"vocab\": {}}}\n", config.vocab);
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
      auto start = std::chrono::steady_clock::now();
      if (line == "pp") decoder->forward(step_of(tokens, 0, prompt), cache, logits);
      if (line == "tg") one_by_one(generated);
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (line == "compare") {
        decoder->forward(step_of(tokens, 0, prompt), cache, logits);
        auto a = values();
        one_by_one(prompt);
        auto b = values();
        double ab = 0, aa = 0, bb = 0;
        for (size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
        fmt::print("{{\"cosine\": {}}}\n", ab / std::sqrt(aa * bb));
      } else {
        fmt::print("{{\"seconds\": {}}}\n", seconds);
      }
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
