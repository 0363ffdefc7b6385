// Reference quantisers: turn floats into stored blocks, plainly, so that tests of kernels and converters have
// data.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "weights/format.h"

namespace rose::weights {

// Encodes `values`, whose count must be a multiple of the format's block_elements. Plain float types round to
// nearest even (FP8 and FP4 saturate); plain integer types round to nearest, ties to even, and saturate.
//
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4 give the same bits as ggml (but for exact ties in MXFP4, which go to
// even here and towards zero there). The others choose their scales from each sub-block's extremes, without
// ggml's search for a smaller error: good for tests, a little coarser than published files.
//
// Throws std::invalid_argument when the count does not fit, or when a quantised format or integer type meets
// NaN or infinity or needs a scale beyond the range of half.
std::vector<std::byte> quantize(Format format, std::span<const float> values);

}  // namespace rose::weights
