// Activation functions of f32 values, for kernels, and their definitions in double precision.
#pragma once

#include <string_view>

#include "dsl/value.h"

namespace rose::kernels {

// gelu_tanh is the approximation of Hendrycks and Gimpel (2016), x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))).
enum class Activation { kSilu, kGeluTanh, kGeluErf, kRelu, kTanh, kSigmoid };

Activation parse_activation(std::string_view kernel,
                            std::string_view name);  // throws KernelError that lists the names

// One lane (GPU) or many (x86). Relative errors are a few units of 2^-24 times 1 + x²/4 at most; NaN stays
// NaN.
dsl::Val activate(Activation activation, const dsl::Val& x);
double activate_reference(Activation activation, double x);

}  // namespace rose::kernels
