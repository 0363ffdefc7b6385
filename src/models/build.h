// What the parts of a model are made from.
#pragma once

#include "models/checkpoint.h"
#include "models/compute.h"
#include "runtime/context.h"

namespace rose::models {

class Preparations;
class WeightLoader;

/// How matrix products are computed on x86. GPUs multiply bf16 in either case.
enum class Precision {
  kExact,  // f32 activations, weights expanded to f32: what the checkpoint means
  kFast,   // quantised weights meet activations quantised to 8 bits, bf16 weights meet bf16 activations;
           // prompts are multiplied in bf16 where the processor has AMX
  kBf16,   // weights and activations are rounded to bf16, sums are f32
};

/// Refers to what it names; lives while a model is being made.
struct Build {
  Build(runtime::Context& c, const Checkpoint& files, Precision p, WeightLoader* l = nullptr)
      : context(c), checkpoint(files), precision(p), compute(compute_on(c.properties())), loader(l) {}

  runtime::Context& context;
  const Checkpoint& checkpoint;
  Precision precision;
  Compute compute;
  WeightLoader* loader;  // GPUs: brings matrices to the device; null: each part waits for its own
  Preparations* preparations = nullptr;  // compiles ahead; null: kernels are compiled when first used
  bool head = true;                      // false: there will be no logits, so the output head is not loaded

  /// A matrix by its name. A Linear made of it checks its values (Checkpoint::tensor does so at once).
  const weights::Tensor& matrix(std::string_view name, int64_t rows, int64_t columns) const {
    return checkpoint.shaped(name, {rows, columns});
  }
};

}  // namespace rose::models
