// What a decoder will take of a device's memory, counted before anything is loaded, and whether that is
// there.
#pragma once

#include <cstdint>
#include <string>

#include "models/decoder.h"

namespace rose::models {

struct MemoryPlan {
  uint64_t weights = 0, cache = 0, workspace = 0;  // bytes
  int64_t cache_tokens = 0, block_size = 1;        // tokens of the cache and of one of its blocks
  uint64_t cache_bytes_per_token = 0;
  uint64_t available = 0, total = 0;  // bytes of the device: what can be had now, and all

  uint64_t need() const;
  bool fits() const { return need() <= available; }
  /// Tokens of the largest cache that would fit beside the rest; whole blocks, perhaps 0.
  int64_t most_tokens() const;
  /// "16.1 GB of weights + 2.1 GB of KV cache for 16384 tokens + 0.3 GB of workspace".
  std::string text() const;
};

/// Counts the need: the matrices and vectors of the checkpoint in the form in which the device keeps them,
/// the cache of `cache_tokens` tokens, and the activations and logits of the largest step with up to `batch`
/// sequences. Numbers of the user and of the file may be anything: a sum beyond 64 bits counts as the largest
/// number.
MemoryPlan plan_memory(const Compute& compute, const Checkpoint& checkpoint, const DecoderConfig& config,
                       Precision precision, int64_t cache_tokens, int64_t batch);

/// The same beside what is available. GPUs: what is free now, with what the memory pool holds unused. x86:
/// available_memory(), or all of the machine's where the system does not tell.
MemoryPlan plan_memory(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& config,
                       Precision precision, int64_t cache_tokens, int64_t batch);

/// Throws ModelError, which names sizes and a way out, when the plan does not fit.
void expect_to_fit(runtime::Context& context, const Checkpoint& checkpoint, const MemoryPlan& plan);

}  // namespace rose::models
