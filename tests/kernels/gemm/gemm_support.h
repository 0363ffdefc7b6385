// Comparing the Hopper products with their definition.
#pragma once

#include "kernels/gemm/gemm.h"
#include "support.h"

namespace rose::kernels {

constexpr const char* kNeedsHopper = "needs a Hopper GPU: ROSE_TEST_DEVICE=cuda:0";
bool on_hopper();

// Every kind of epilogue, at sizes with remainders.
std::vector<GemmSpec> gemm_epilogues();

struct GemmProblem {
  std::vector<double> a, weights, bias, residual;
  runtime::Buffer a_device, weights_device, bias_device, residual_device, out, workspace;
  int64_t a_stride = 0, out_stride = 0, residual_stride = 0;
  Gemm::Operands operands() const;
};
// Fresh random data in rows with gaps; the output poisoned.
GemmProblem gemm_problem(const GemmSpec& spec, int64_t m, uint64_t seed);
// The output's elements, without the gaps between rows.
std::vector<double> gemm_output(const GemmSpec& spec, const GemmProblem& problem, int64_t m);
// Compares a sample of rows, and what lies between and behind the rows of the output.
void expect_gemm(const GemmSpec& spec, const GemmProblem& problem, int64_t m, const std::string& what);

void check_gemm_against_reference(const GemmSpec& spec, int64_t m, const std::string& what,
                                  const std::function<void(const Gemm::Operands&)>& launch);

}  // namespace rose::kernels
