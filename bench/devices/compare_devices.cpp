// A real model on a GPU against the same model on x86, which computes what the file means in f32:
//
//   compare_devices MODEL [DEVICE] [TOKENS]      DEVICE: cuda:0; TOKENS of each answer: 64
//
// Twenty prompts are answered greedily on both. Where answers part, the logits of both devices for the text
// so far are compared: x86 must hold the two tokens for equal within what roundings explain. Then one request
// is answered alone and among 32 others on the device: every token and log-probability must be the same to
// the bit. Exits with 1 when any of it does not hold.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "engine/prompt_pass.h"
#include "ir/small_float.h"
#include "models/decoder.h"
#include "models/vocabulary.h"
#include "runtime/compile.h"

namespace rose {
namespace {

const std::vector<std::string> kPrompts = {
    "The capital of France is",
    "Once upon a time, there was a little girl who",
    "def fibonacci(n):\n    ",
    "Water boils at 100 degrees Celsius because",
    "1, 2, 3, 4, 5, 6,",
    "The quick brown fox jumps over the lazy dog. Then it",
    "Die Hauptstadt von Deutschland ist",
    "List three uses of salt:\n1.",
    "E = mc² means that",
    "In 1969, humans first",
    "Dear Sir or Madam,\n\nI am writing to",
    "The opposite of hot is",
    "Photosynthesis is the process by which",
    "SELECT name, age FROM users WHERE",
    "Q: What is 12 times 12?\nA:",
    "人工知能とは",
    "Roses are red, violets are",
    "The three laws of robotics are",
    "An apple a day",
    "To be, or not to be,",
};

struct Machine {
  Machine(const std::string& device, const models::Checkpoint& checkpoint, const models::Vocabulary& words)
      : context([&] {
          runtime::ContextOptions options;
          options.device = device;
          options.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
          return runtime::open_context(std::move(options));
        }()),
        decoder(models::load_decoder(*context, checkpoint, models::Precision::kExact)),
        engine(*context, *decoder, words, {.cache_tokens = 8192, .batch = 64}),
        pass(*context, *decoder) {}

  std::vector<float> logits(const std::vector<int32_t>& tokens) {
    std::vector<float> last;
    pass.run(std::span(&tokens, 1), models::StepOutput::kLogits, engine::PromptPass::Rows::kLast,
             [&](size_t, size_t, std::span<const float> row) { last.assign(row.begin(), row.end()); });
    return last;
  }

  std::unique_ptr<runtime::Context> context;
  std::unique_ptr<models::Decoder> decoder;
  engine::GenerationEngine engine;
  engine::PromptPass pass;
};

engine::GenerationRequest request(const std::vector<int32_t>& prompt, int64_t tokens, float temperature,
                                  uint64_t seed) {
  engine::GenerationRequest r;
  r.prompt = prompt, r.max_tokens = tokens, r.logprobs = true;
  r.sampling.temperature = temperature, r.sampling.seed = seed;
  return r;
}

// Whether the device's answer is x86's, or parts from it where roundings decide.
bool compare(Machine& x86, Machine& gpu, const std::vector<int32_t>& prompt, int64_t tokens, bool& equal) {
  auto want = x86.engine.generate(request(prompt, tokens, 0, 1)),
       got = gpu.engine.generate(request(prompt, tokens, 0, 1));
  equal = want.tokens == got.tokens;
  if (equal) return true;
  auto [a, b] = std::ranges::mismatch(want.tokens, got.tokens);
  const auto at = static_cast<size_t>(a - want.tokens.begin());
  if (a == want.tokens.end() || b == got.tokens.end()) return false;
  auto text = prompt;
  text.insert(text.end(), want.tokens.begin(), a);
  auto exact = x86.logits(text), rounded = gpu.logits(text);
  double largest = 0, difference = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    largest = std::max(largest, std::abs(double{exact[i]}));
    difference = std::max(difference, std::abs(double{exact[i]} - rounded[i]));
  }
  // About twelve roundings a layer, of a random sign and of half a unit at most, add up as the root of their
  // number. Two logits change places when they differ by less than both have moved.
  const auto layers = static_cast<double>(gpu.decoder->config().layers);
  const double bound = ir::unit_roundoff(models::compute_on(gpu.context->properties()).dtype) *
                       std::sqrt(12 * layers) * largest;
  const double margin = double{exact[static_cast<size_t>(*a)]} - exact[static_cast<size_t>(*b)];
  fmt::print(
      "  parts at token {}: x86 prefers {} to {} by {:.4f}; logits differ by at most {:.4f} (bound {:.4f})\n",
      at, *a, *b, margin, difference, bound);
  return difference <= bound && margin <= 2 * difference;
}

bool same_alone_and_in_company(Machine& gpu, const models::Vocabulary& words) {
  bool same = true;
  for (float temperature : {0.0F, 0.9F}) {
    auto ours = [&] { return request(words.encode("The three laws of robotics are"), 96, temperature, 7); };
    auto alone = gpu.engine.generate(ours());
    std::vector<int64_t> ids;
    for (size_t i = 0; i < 16; ++i)
      ids.push_back(gpu.engine.submit(
          request(words.encode(kPrompts[i]), 40 + 5 * static_cast<int64_t>(i), i % 2 ? 0.8F : 0.0F, i)));
    auto id = gpu.engine.submit(ours());
    for (size_t i = 0; i < 16; ++i) {
      gpu.engine.step();  // the others come while ours is answered
      ids.push_back(gpu.engine.submit(request(words.encode(kPrompts[19 - i]), 64, 0.5F, i)));
    }
    while (gpu.engine.step()) {
    }
    auto together = gpu.engine.take(id);
    bool equal = together && together->tokens == alone.tokens && together->logprobs == alone.logprobs;
    fmt::print("one request alone and among 32 others, temperature {}: {}\n", temperature,
               equal ? "the same bits" : "DIFFERENT");
    same &= equal;
  }
  return same;
}

int run(const std::string& path, const std::string& device, int64_t tokens) {
  auto checkpoint = models::Checkpoint::open(path);
  models::Vocabulary words(checkpoint);
  Machine x86("x86", checkpoint, words), gpu(device, checkpoint, words);
  int equal = 0, explained = 0;
  for (const auto& prompt : kPrompts) {
    bool same = false, fine = compare(x86, gpu, words.encode(prompt), tokens, same);
    equal += same, explained += fine && !same;
    if (!fine) fmt::print("DIFFERENT: {}\n", prompt.substr(0, 40));
  }
  fmt::print("{} on {}: {} of {} greedy answers of {} tokens equal those of x86, {} part at a near tie\n",
             checkpoint.name(), gpu.context->properties().name, equal, kPrompts.size(), tokens, explained);
  bool same = same_alone_and_in_company(gpu, words);
  return equal + explained == static_cast<int>(kPrompts.size()) && same ? 0 : 1;
}

}  // namespace
}  // namespace rose

int main(int count, char** arguments) {
  if (count < 2) {
    fmt::print(stderr, "usage: compare_devices MODEL [DEVICE] [TOKENS]\n");
    return 2;
  }
  try {
    return rose::run(arguments[1], count > 2 ? arguments[2] : "cuda:0",
                     count > 3 ? std::stoll(arguments[3]) : 64);
  } catch (const std::exception& error) {
    fmt::print(stderr, "compare_devices: {}\n", error.what());
    return 2;
  }
}
