// Angles of rotary position embedding, computed on the host in double precision: base frequencies, their
// scalings for contexts longer than those of the training, and the table of cosines and sines that kernels
// read.
#pragma once

#include <cstdint>
#include <vector>

namespace rose::kernels {

enum class RopeScaling { kNone, kLinear, kLlama3, kYarn };

struct RopeParameters {
  int64_t rotary_dim = 128;  // even; half as many frequencies
  double base = 10000;       // "rope_theta"
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;                      // of the context's length; kLinear, kLlama3, kYarn
  int64_t original_positions = 8192;      // context length of the training; kLlama3, kYarn
  double low_frequency_factor = 1;        // kLlama3
  double high_frequency_factor = 4;       // kLlama3
  double beta_fast = 32, beta_slow = 1;   // kYarn: turns within the original context
  bool truncate = true;                   // kYarn: round the range of dimensions outwards
  double attention_factor = 0;            // of cosines and sines; 0: 1, kYarn: from factor and mscale below
  double mscale = 0, mscale_all_dim = 0;  // kYarn: DeepSeek's form of the attention factor; 0: the paper's
  // Each frequency is divided by its own number, [rotary_dim / 2]; empty: none. Phi-3's "long_factor" (Ding
  // et al., "LongRoPE", 2024), and how GGUF files keep the scaling of Llama 3.
  std::vector<float> divisors;
};

// Radians a position for each pair of dimensions, [rotary_dim / 2]:
//   none    base^(-2i/d)                                        (Su et al., "RoFormer", 2021)
//   linear  divided by factor                                   (Chen et al., "Position interpolation", 2023)
//   llama3  wavelengths above original/low are divided by factor, those below original/high stay, and between
//   the two
//           the frequency is interpolated in original/wavelength (Meta, llama-models, apply_scaling)
//   yarn    dimensions that turn less than beta_slow times within the original context are divided by factor,
//   those
//           that turn more than beta_fast times stay, with a linear ramp over the dimension between them
//           (Peng et al., "YaRN", 2023, section 3.2)
// Throws KernelError for parameters outside of their range.
std::vector<double> rope_frequencies(const RopeParameters& parameters);

// What cosines and sines are multiplied with: attention_factor if given; else 1, and for YaRN 0.1 ln(factor)
// + 1 (the paper's √(1/t), section 3.4), or the quotient of 0.1 · m · ln(factor) + 1 for m = mscale and m =
// mscale_all_dim.
double rope_attention_factor(const RopeParameters& parameters);

// [positions, rotary_dim]: for each position, rotary_dim / 2 cosines, then as many sines, times the attention
// factor.
std::vector<float> rope_table(const RopeParameters& parameters, int64_t positions);

}  // namespace rose::kernels
