#include "kernels/activation/functions.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/spec.h"

namespace rose::kernels {

using namespace dsl;

namespace {

struct Named {
  const char* name;
  Activation activation;
};
constexpr Named kNames[] = {{"silu", Activation::kSilu},        {"gelu_tanh", Activation::kGeluTanh},
                            {"gelu_erf", Activation::kGeluErf}, {"relu", Activation::kRelu},
                            {"tanh", Activation::kTanh},        {"sigmoid", Activation::kSigmoid}};
const double kTanhScale = std::sqrt(2 / std::numbers::pi);
constexpr double kTanhCubic = 0.044715;

Val polynomial(const Val& x, std::initializer_list<double> coefficients) {  // lowest power first
  auto at = coefficients.end();
  Val sum = literal(x.type(), *--at);
  while (at != coefficients.begin()) sum = fma(sum, x, *--at);
  return sum;
}

Val sigmoid(const Val& x) { return rcp(exp(-x) + 1.0); }

// The GPU's own tanh.approx is good to 2^-11 alone. An odd polynomial near zero (a minimax fit, 0.07 ·
// 2^-24), and 1 - 2 / (e^2|x| + 1) elsewhere.
Val accurate_tanh(const Val& x) {
  Val square = x * x, size = abs(x);
  Val p = polynomial(square,
                     {-0.333332839249, 0.133314912744, -0.0537434970787, 0.0206505842675, -0.00571704190469});
  Val near_zero = fma(x * square, p, x);
  Val far = 1.0 - rcp(exp(size * 2.0) + 1.0) * 2.0;
  return select(size < 0.625, near_zero, select(x < 0.0, -far, far));
}

// The normal distribution's Φ(-|x|) = erfc(z) / 2 with z = |x|/√2. erfc(z) = e^(-z²) · t · P(t), t = 1 / (1 +
// 0.35 z): P interpolates at Chebyshev points up to z = 9.3, where erfc leaves f32; relative error 0.15 ·
// 2^-24.
Val normal_tail(const Val& x) {
  Val z = abs(x) * (1 / std::numbers::sqrt2);
  Val t = rcp(fma(z, literal(z.type(), 0.35), 1.0));
  Val p = polynomial(t, {0.19749778023170247, 0.19687895446528472, 0.18996976589280878, 0.14187902267363214,
                         0.17214800480764286, 0.03965113554367647, 0.027969629561782144, 0.14052007680257914,
                         -0.14180923833769804, 0.0352948723074487});
  return exp(x * x * -0.5) * t * p * 0.5;
}

}  // namespace

Activation parse_activation(std::string_view kernel, std::string_view name) {
  std::string names;
  for (const auto& n : kNames) {
    if (name == n.name) return n.activation;
    names += (names.empty() ? "" : ", ") + std::string(n.name);
  }
  throw KernelError(fmt::format("{}: activation is '{}'; use one of {}", kernel, name, names));
}

Val activate(Activation activation, const Val& x) {
  switch (activation) {
    case Activation::kSilu:
      return x * sigmoid(x);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kRelu:
      return select(x < 0.0, 0.0, x);
    case Activation::kTanh:
      return accurate_tanh(x);
    case Activation::kGeluTanh:  // (1 + tanh u) / 2 is sigmoid(2u), which keeps its precision where tanh u
                                 // nears -1
      return x * sigmoid(x * fma(x * x, literal(x.type(), 2 * kTanhScale * kTanhCubic), 2 * kTanhScale));
    case Activation::kGeluErf: {
      Val tail = normal_tail(x);
      return x * select(x < 0.0, tail, 1.0 - tail);
    }
  }
  return x;
}

double activate_reference(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kGeluTanh:  // (1 + tanh u) / 2 = 1 / (1 + e^-2u), without the cancellation
      return x / (1 + std::exp(-2 * kTanhScale * (x + kTanhCubic * x * x * x)));
    case Activation::kGeluErf:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
  }
  return x;
}

}  // namespace rose::kernels
