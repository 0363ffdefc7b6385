// Finds NaN and infinity in stored tensors, so that a damaged model is refused by name instead of answering
// nonsense.
#pragma once

#include <cstdint>
#include <optional>

#include "weights/tensor_store.h"

namespace rose::weights {

// Index (row-major) of the first element that is NaN or infinite. For quantised formats: of the first element
// of the first block with such a scale. Reads every value or scale once, at about the speed of memory.
std::optional<uint64_t> first_non_finite(const Tensor& tensor);

// Throws WeightsError that names file, tensor and element when there is one.
void expect_finite(const TensorStore& store, const Tensor& tensor);

}  // namespace rose::weights
