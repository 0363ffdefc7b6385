// Random blocks of GGUF's formats and what they stand for, written element by element from the formats'
// definitions: a second opinion on the packer and the kernels.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace rose::kernels {

// `count` blocks of random quants, with scales between 1/64 and 1/32.
std::vector<uint8_t> random_blocks(const std::string& format, int64_t count, std::mt19937_64& engine);
// Element e of a block.
double block_value(const std::string& format, const uint8_t* block, int e);

}  // namespace rose::kernels
