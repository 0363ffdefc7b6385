#include "kernels/rope/frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/spec.h"

namespace rose::kernels {
namespace {

void check(const RopeParameters& p) {
  require(p.rotary_dim >= 2 && p.rotary_dim % 2 == 0 && p.rotary_dim <= 1024, "rope", "rotary_dim",
          p.rotary_dim, "use an even number from 2 to 1024");
  auto positive = [](double v, const char* what) {
    if (!(v > 0) || !std::isfinite(v))
      throw KernelError(std::string("rope: ") + what + " must be a positive number");
  };
  positive(p.base, "base");
  require(p.divisors.empty() || static_cast<int64_t>(p.divisors.size()) == p.rotary_dim / 2, "rope",
          "divisors", static_cast<int64_t>(p.divisors.size()),
          "use one for each pair of dimensions, or none");
  for (float divisor : p.divisors) positive(divisor, "a divisor");
  if (p.attention_factor != 0) positive(p.attention_factor, "attention_factor");
  if (p.scaling != RopeScaling::kNone) positive(p.factor, "factor");
  if (p.scaling == RopeScaling::kLlama3 || p.scaling == RopeScaling::kYarn)
    require(p.original_positions > 0, "rope", "original_positions", p.original_positions,
            "use the context length of the training");
  if (p.scaling == RopeScaling::kLlama3) {
    positive(p.low_frequency_factor, "low_frequency_factor");
    if (!(p.high_frequency_factor > p.low_frequency_factor))
      throw KernelError("rope: high_frequency_factor must be above low_frequency_factor");
  }
  if (p.scaling == RopeScaling::kYarn) positive(p.beta_fast, "beta_fast"), positive(p.beta_slow, "beta_slow");
}

double llama3(const RopeParameters& p, double frequency) {
  double wavelength = 2 * std::numbers::pi / frequency, original = static_cast<double>(p.original_positions);
  if (wavelength < original / p.high_frequency_factor) return frequency;
  if (wavelength > original / p.low_frequency_factor) return frequency / p.factor;
  double smooth =
      (original / wavelength - p.low_frequency_factor) / (p.high_frequency_factor - p.low_frequency_factor);
  return (1 - smooth) * frequency / p.factor + smooth * frequency;
}

// The (fractional) pair of dimensions that turns `turns` times within the original context.
double yarn_dimension(const RopeParameters& p, double turns) {
  return static_cast<double>(p.rotary_dim) *
         std::log(static_cast<double>(p.original_positions) / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(p.base));
}

double yarn_scale(double factor, double m) { return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1; }

}  // namespace

std::vector<double> rope_frequencies(const RopeParameters& p) {
  check(p);
  double low = 0, high = 0;
  if (p.scaling == RopeScaling::kYarn) {
    low = yarn_dimension(p, p.beta_fast), high = yarn_dimension(p, p.beta_slow);
    if (p.truncate) low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0), high = std::min(high, static_cast<double>(p.rotary_dim - 1));
    if (low == high) high += 0.001;
  }
  std::vector<double> frequencies(static_cast<size_t>(p.rotary_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    double frequency = std::pow(p.base, -2 * static_cast<double>(i) / static_cast<double>(p.rotary_dim));
    if (p.scaling == RopeScaling::kLinear) frequency /= p.factor;
    if (p.scaling == RopeScaling::kLlama3) frequency = llama3(p, frequency);
    if (p.scaling == RopeScaling::kYarn) {
      double slow =
          std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);  // 1: interpolated fully
      frequency = frequency / p.factor * slow + frequency * (1 - slow);
    }
    frequencies[i] = p.divisors.empty() ? frequency : frequency / p.divisors[i];
  }
  return frequencies;
}

double rope_attention_factor(const RopeParameters& p) {
  check(p);
  if (p.attention_factor != 0) return p.attention_factor;
  if (p.scaling != RopeScaling::kYarn) return 1;
  if (p.mscale != 0 && p.mscale_all_dim != 0)
    return yarn_scale(p.factor, p.mscale) / yarn_scale(p.factor, p.mscale_all_dim);
  return yarn_scale(p.factor, 1);
}

std::vector<float> rope_table(const RopeParameters& p, int64_t positions) {
  require(positions >= 1 && positions <= (int64_t{1} << 31), "rope", "the number of positions", positions,
          "use 1 to 2^31");
  auto frequencies = rope_frequencies(p);
  double factor = rope_attention_factor(p);
  size_t half = frequencies.size();
  std::vector<float> table(static_cast<size_t>(positions) * 2 * half);
  for (size_t at = 0; at < static_cast<size_t>(positions); ++at)
    for (size_t i = 0; i < half; ++i) {
      double angle = static_cast<double>(at) * frequencies[i];
      table[at * 2 * half + i] = static_cast<float>(std::cos(angle) * factor);
      table[at * 2 * half + half + i] = static_cast<float>(std::sin(angle) * factor);
    }
  return table;
}

}  // namespace rose::kernels
