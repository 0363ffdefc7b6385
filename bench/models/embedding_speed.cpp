// Sentences a second of an embedding model, tokenizing included:
//
//   embedding_speed MODEL FILE THREADS [f32|bf16] < lines of "BATCH SECONDS"
//
// FILE has a text in each line. For each line of standard input it embeds texts in calls of BATCH for about
// SECONDS and prints sentences a second as one line, so that a script can let several programs take turns.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "engine/text_encoder.h"
#include "runtime/compile.h"

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int measure(int argc, char** argv) {
  using namespace rose;
  if (argc < 4) {
    fmt::print(stderr, "usage: embedding_speed MODEL FILE THREADS [f32|bf16] < lines of \"BATCH SECONDS\"\n");
    return 2;
  }
  std::vector<std::string> texts;
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  if (texts.empty()) throw std::runtime_error(fmt::format("{}: holds no texts", argv[2]));
  runtime::ContextOptions options;
  options.device = "x86", options.x86.threads = std::stoi(argv[3]);
  auto context = runtime::open_context(std::move(options));
  auto checkpoint = models::Checkpoint::open(argv[1]);
  models::Vocabulary vocabulary(checkpoint);
  bool rounded = argc > 4 && std::string(argv[4]) == "bf16";
  auto encoder = engine::open_text_encoder(*context, checkpoint, vocabulary,
                                           rounded ? models::Precision::kBf16 : models::Precision::kExact);
  size_t batch = 0;
  double seconds = 0;
  while (std::cin >> batch >> seconds) {
    size_t done = 0, at = 0;
    std::vector<engine::TextInput> inputs;
    for (double start = now();;) {
      inputs.clear();
      for (size_t i = 0; i < batch; ++i) inputs.push_back({texts[at++ % texts.size()], std::nullopt});
      encoder->run(engine::TextTask::kEmbed, inputs);
      done += batch;
      // Whole rounds of the texts alone: each has the same lengths.
      if (double passed = now() - start; at % texts.size() == 0 && passed >= seconds) {
        fmt::print("{:.6f}\n", static_cast<double>(done) / passed);
        std::fflush(stdout);
        break;
      }
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return measure(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "embedding_speed: {}\n", error.what());
    return 1;
  }
}
