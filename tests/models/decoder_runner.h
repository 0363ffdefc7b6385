// Runs decoders in tests as the engine does: several sequences, fed piece by piece into one paged cache.
#pragma once

#include <vector>

#include "models/decoder.h"

namespace rose::models {

// A context without a cache on disk, of the device that ROSE_TEST_DEVICE names (x86 when unset); one for all
// tests of the program.
runtime::Context& model_context();
inline const Compute& test_compute() {
  static const Compute compute = compute_on(model_context().properties());
  return compute;
}

class Runner {
 public:
  Runner(Decoder& decoder, int64_t blocks);

  struct Piece {
    size_t sequence;
    std::vector<int32_t> tokens;
    int32_t known = 0;  // tokens of the sequence, later pieces included; 0: none comes later
  };
  // Feeds the next tokens of some sequences in one step; returns the output of every token of the step.
  std::vector<std::vector<float>> feed(const std::vector<Piece>& pieces,
                                       StepOutput output = StepOutput::kLogits);

 private:
  static constexpr int64_t kWidth = 4;
  // Blocks of sequences lie among each other.
  static int64_t block(size_t sequence, int64_t number) {
    return number * 3 + static_cast<int64_t>(sequence);
  }

  Decoder& decoder_;
  KvCache cache_;
  Workspace logits_;  // the same for all steps, so that graphs are replayed
  std::vector<int64_t> known_;
};

}  // namespace rose::models
