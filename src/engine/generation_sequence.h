// A request on its way through the generation engine. Private to it.
#pragma once

#include <chrono>

#include "engine/generation.h"

namespace rose::engine {

struct GenerationEngine::Sequence {
  Sequence(int64_t number, GenerationRequest&& r, const models::Vocabulary* vocabulary, int64_t most)
      : id(number), request(std::move(r)), budget(most) {
    if (vocabulary) stream.emplace(vocabulary->tokenizer(), request.stop_strings);
  }

  int64_t id;
  GenerationRequest request;
  std::optional<TextStream> stream;  // none without a vocabulary
  int64_t budget;                    // tokens that it may still generate at the start
  std::vector<int32_t> tokens;       // prompt and answer
  int64_t cached = 0;                // tokens whose keys and values the cache holds
  bool beyond = false;               // longer than the model's rope_switch
  std::vector<int32_t> blocks;
  std::vector<int32_t> counts;  // with penalties: by token, see kernels/sampling/sample.h
  GenerationResult result;
  std::chrono::steady_clock::time_point submitted = std::chrono::steady_clock::now();

  bool done() const { return result.finish != FinishReason::kNone; }
};

}  // namespace rose::engine
