// What a device wants of a model: the type of its activations and caches, and the sizes of blocks and steps.
#pragma once

#include <cstdint>

#include "ir/type.h"
#include "runtime/device.h"

namespace rose::models {

struct Compute {
  bool gpu = false;
  ir::Type dtype = ir::f32;       // of activations, norm weights and the KV cache
  int64_t block_size = 32;        // tokens of a block of the KV cache
  int64_t prompt_chunk = 512;     // tokens of one prompt that one step takes
  int64_t decode_rows = 1 << 20;  // sequences of one step that generates; more take several steps
  bool mixed_steps = true;        // prompts and generating sequences share a step

  int64_t bytes() const { return dtype.bits() / 8; }
};

/// x86: f32. GPUs: bf16 (f16 where asked for). A GPU's kernels for many rows add products in another order
/// than those for few; so that a request's tokens do not depend on its company, each prompt has steps of its
/// own there, and generating sequences share theirs.
inline Compute compute_on(const runtime::DeviceProperties& device) {
  if (device.kind != runtime::DeviceProperties::Kind::kCuda) return {};
  return {.gpu = true,
          .dtype = ir::bf16,
          .block_size = 64,
          .prompt_chunk = 8192,
          .decode_rows = 64,
          .mixed_steps = false};
}

}  // namespace rose::models
