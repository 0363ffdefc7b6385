// Tensors of random bf16 numbers that take hardly any memory, in place of a file: to measure a model whose
// weights are not at hand. What a program does with them is what it does with a safetensors file; only their
// content repeats.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "weights/tensor_store.h"

namespace rose::weights {

struct RandomTensor {
  std::string name;
  std::vector<uint64_t> shape;  // outermost first
  float center = 0;             // 1 for the weights of norms
};

// Values are normal around `center` with a deviation of 0.02, the same in every run. Matrices are parts of
// one pattern of some megabytes that repeats at a period no power of two divides, so that neither rows nor
// tiles are equal side by side; tensors of one dimension are all different. `path` is what messages call the
// file. Throws WeightsError when a shape overflows or there is no address space for it, and for two tensors
// of one name.
TensorStore random_tensors(const std::filesystem::path& path, const std::vector<RandomTensor>& tensors);

}  // namespace rose::weights
