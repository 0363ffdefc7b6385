#include "gemm_support.h"

#include <algorithm>
#include <cmath>

namespace rose::kernels {

bool on_hopper() { return on_gpu() && test_context().properties().capability == 90; }

std::vector<GemmSpec> gemm_epilogues() {
  std::vector<GemmSpec> list;
  GemmSpec s;
  s.n = 528, s.k = 200;
  s.bias = true, list.push_back(s);
  s.residual = true, s.activation = "gelu_erf", list.push_back(s);
  s.bias = false, s.activation = "none", list.push_back(s);
  s.out_dtype = ir::f32, list.push_back(s);
  s.residual = false, s.bias = true, s.activation = "gelu_tanh", list.push_back(s);
  s = {}, s.n = 1056, s.k = 264, s.gated = true, s.activation = "silu", list.push_back(s);
  s.bias = s.residual = true, s.activation = "gelu_tanh", list.push_back(s);
  s.out_dtype = ir::f32, s.dtype = ir::f16, list.push_back(s);
  s.out_dtype = ir::f16, s.residual = false, list.push_back(s);
  return list;
}

Gemm::Operands GemmProblem::operands() const {
  return {.a = a_device,
          .a_stride = a_stride,
          .weights = weights_device,
          .out = out,
          .out_stride = out_stride,
          .bias = bias_device,
          .residual = residual_device,
          .residual_stride = residual_stride,
          .workspace = workspace};
}

GemmProblem gemm_problem(const GemmSpec& spec, int64_t m, uint64_t seed) {
  GemmProblem p;
  const int64_t columns = spec.out_columns();
  auto rows_with_gaps = [&](const std::vector<double>& values, int64_t width, int64_t stride) {
    std::vector<double> wide(static_cast<size_t>(m * stride), 1e4);
    for (int64_t r = 0; r < m; ++r) std::copy_n(values.begin() + r * width, width, wide.begin() + r * stride);
    return upload(spec.dtype, wide);
  };
  p.a = random_values(spec.dtype, m * spec.k, seed);
  p.weights = random_values(spec.dtype, spec.n * spec.k, seed + 1);
  p.a_stride = spec.k + 8, p.out_stride = columns + 16, p.residual_stride = columns + 24;
  p.a_device = rows_with_gaps(p.a, spec.k, p.a_stride);
  p.weights_device = upload(spec.dtype, p.weights);
  if (spec.bias) p.bias = random_values(ir::f32, spec.n, seed + 2), p.bias_device = upload(ir::f32, p.bias);
  if (spec.residual) {
    p.residual = random_values(spec.dtype, m * columns, seed + 3);
    p.residual_device = rows_with_gaps(p.residual, columns, p.residual_stride);
  }
  p.out = poisoned(spec.out_dtype, m * p.out_stride);
  return p;
}

std::vector<double> gemm_output(const GemmSpec& spec, const GemmProblem& p, int64_t m) {
  const int64_t columns = spec.out_columns();
  auto all = download(spec.out_dtype, p.out, m * p.out_stride);
  std::vector<double> got;
  for (int64_t r = 0; r < m; ++r)
    got.insert(got.end(), all.begin() + r * p.out_stride, all.begin() + r * p.out_stride + columns);
  return got;
}

void expect_gemm(const GemmSpec& spec, const GemmProblem& p, int64_t m, const std::string& what) {
  const int64_t columns = spec.out_columns();
  auto all = download(spec.out_dtype, p.out, m * p.out_stride);
  std::vector<double> sample, want(static_cast<size_t>(columns)), wanted;
  for (int64_t r = 0; r < m; ++r)
    for (int64_t c = columns; c < p.out_stride; ++c)
      ASSERT_TRUE(std::isnan(all[static_cast<size_t>(r * p.out_stride + c)]))
          << what << ": wrote beyond row " << r;
  for (int64_t r = 0; r < m; r += std::max<int64_t>(1, m / 23)) {
    gemm_reference(spec, &p.a[static_cast<size_t>(r * spec.k)], p.weights.data(),
                   spec.bias ? p.bias.data() : nullptr,
                   spec.residual ? &p.residual[static_cast<size_t>(r * columns)] : nullptr, want.data(), 1);
    wanted.insert(wanted.end(), want.begin(), want.end());
    sample.insert(sample.end(), all.begin() + r * p.out_stride, all.begin() + r * p.out_stride + columns);
  }
  // K products summed in f32, each partial sum below K in size; products of two such numbers when gated,
  // whose factors stay below 4·sqrt(K) in such data (12 standard deviations); and one rounding to the
  // output's type.
  const double u = ir::unit_roundoff(ir::f32), k = static_cast<double>(spec.k);
  const double sum_error = k * u * 4, factor = spec.gated ? 8 * std::sqrt(k) : 1;
  double largest = 0;
  for (double w : wanted) largest = std::max(largest, std::abs(w));
  expect_close(sample, wanted, sum_error * factor + 16 * u * (1 + largest),
               1.01 * ir::unit_roundoff(spec.out_dtype), what);
}

void check_gemm_against_reference(const GemmSpec& spec, int64_t m, const std::string& what,
                                  const std::function<void(const Gemm::Operands&)>& launch) {
  static uint64_t seed = 1;
  auto p = gemm_problem(spec, m, seed += 10);
  launch(p.operands());
  expect_gemm(spec, p, m, what);
}

}  // namespace rose::kernels
