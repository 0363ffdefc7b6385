// What the examples share: a device, vectors that go there and come back, and a comparison.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/compile.h"

namespace example {

// The first GPU, or else this machine's processor.
inline std::unique_ptr<rose::runtime::Context> open_device() {
  rose::runtime::ContextOptions options;
  options.log = rose::runtime::log_to_stderr(rose::runtime::LogLevel::kWarning);
  auto context = rose::runtime::open_context(std::move(options));
  fmt::print("device: {} ({})\n", context->properties().name, context->properties().target);
  return context;
}

inline rose::runtime::Buffer to_device(rose::runtime::Context& context, const std::vector<float>& values) {
  auto buffer = context.device().allocate(values.size() * sizeof(float));
  context.stream().upload(buffer, values.data(), buffer.bytes());
  context.stream().synchronize();
  return buffer;
}

inline std::vector<float> to_host(rose::runtime::Context& context, const rose::runtime::Buffer& buffer) {
  std::vector<float> values(buffer.bytes() / sizeof(float));
  context.stream().download(values.data(), buffer, buffer.bytes());
  context.stream().synchronize();
  return values;
}

// Numbers in [-1, 1) that look random and are the same every time.
inline std::vector<float> some_values(size_t count, uint32_t seed) {
  std::vector<float> values(count);
  for (auto& v : values) {
    seed = seed * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int32_t>(seed)) / 2147483648.0f;
  }
  return values;
}

// Prints the largest difference; the program's exit code: 0 if it is at most `tolerance`.
inline int compare(const std::vector<float>& result, const std::vector<double>& expected, double tolerance) {
  if (result.size() != expected.size()) return fmt::print("sizes differ\n"), 1;
  double worst = 0;
  for (size_t i = 0; i < result.size(); ++i) {
    double difference = std::abs(result[i] - expected[i]);
    if (!(difference <= worst)) worst = difference;  // a NaN sticks
  }
  bool good = worst <= tolerance;
  fmt::print("{} values, largest difference {:.2g}, allowed {:.2g}: {}\n", result.size(), worst, tolerance,
             good ? "right" : "WRONG");
  return good ? 0 : 1;
}

}  // namespace example
