// Reference conversion of stored tensors to float: slow, plain and exact, the truth that kernels are tested
// against.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "weights/format.h"
#include "weights/tensor_store.h"

namespace rose::weights {

// Decodes whole blocks. `source` holds a multiple of the format's block_bytes and `target` as many elements
// as those blocks have; sizes that do not fit throw std::invalid_argument. The source may have any alignment.
// Products and sums are rounded to float in the order that blocks.h writes them, without fused operations;
// integers and F64 are rounded to the nearest float, BOOL gives 0 or 1.
void dequantize(Format format, std::span<const std::byte> source, std::span<float> target);

// A whole tensor, row-major.
std::vector<float> dequantize(const Tensor& tensor);

}  // namespace rose::weights
