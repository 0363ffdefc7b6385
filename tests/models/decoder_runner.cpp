#include "decoder_runner.h"

#include <cstdlib>

#include "runtime/compile.h"

namespace rose::models {

runtime::Context& model_context() {
  static const std::unique_ptr<runtime::Context> made = [] {
    runtime::ContextOptions options;
    const char* device = std::getenv("ROSE_TEST_DEVICE");
    options.device = device ? device : "x86";
    options.cache.disk = false;
    options.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
    return runtime::open_context(std::move(options));
  }();
  return *made;
}

Runner::Runner(Decoder& decoder, int64_t blocks)
    : decoder_(decoder),
      cache_(model_context(), decoder.config(), blocks, test_compute().block_size),
      logits_(model_context()) {}

std::vector<std::vector<float>> Runner::feed(const std::vector<Piece>& pieces, StepOutput output) {
  const int64_t size = test_compute().block_size;
  Step step;
  step.first_tokens = {0}, step.table_width = kWidth, step.output = output;
  for (const auto& piece : pieces) {
    if (known_.size() <= piece.sequence) known_.resize(piece.sequence + 1);
    for (int32_t token : piece.tokens) {
      int64_t at = known_[piece.sequence]++;
      step.logit_rows.push_back(static_cast<int32_t>(step.tokens.size()));
      step.tokens.push_back(token), step.positions.push_back(static_cast<int32_t>(at));
      step.slots.push_back(block(piece.sequence, at / size) * size + at % size);
    }
    step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
    step.lengths.push_back(static_cast<int32_t>(known_[piece.sequence]));
    step.known.push_back(piece.known ? piece.known : step.lengths.back());
    for (int64_t b = 0; b < kWidth; ++b)
      step.block_table.push_back(static_cast<int32_t>(block(piece.sequence, b)));
  }
  const auto width =
      static_cast<size_t>(output == StepOutput::kLogits ? decoder_.config().vocab : decoder_.config().hidden);
  std::vector<float> all(step.tokens.size() * width);
  auto logits = logits_.at_least(std::max<int64_t>(static_cast<int64_t>(all.size() * 4), 1 << 20));
  decoder_.forward(step, cache_, logits);
  model_context().stream().download(all.data(), logits, all.size() * 4);
  model_context().stream().synchronize();
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < step.tokens.size(); ++i)
    rows.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i * width),
                      all.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
  return rows;
}

}  // namespace rose::models
