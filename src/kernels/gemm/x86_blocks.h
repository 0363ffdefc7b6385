// The blocks of GGUF's quantisation formats taken apart: what the packer of weights reads. Private to the x86
// products.
#pragma once

#include <array>

#include "kernels/gemm/x86_weights.h"

namespace rose::kernels {

// One block of one column: integers in the order of the elements, scales still in their stored form.
struct X86Block {
  std::array<uint8_t, 256> q{};
  std::array<uint8_t, 16> scales{}, minima{};  // of each sub-block (super-blocks); s8 patterns for kSigned
  uint16_t scale = 0, minimum = 0;             // f16 patterns; kExponent: the exponent byte
};

// Takes apart a block at `source`, which has format.block_bytes bytes.
using X86BlockReader = void (*)(const uint8_t* source, X86Block& block);
X86BlockReader x86_block_reader(const X86WeightFormat& format);

}  // namespace rose::kernels
