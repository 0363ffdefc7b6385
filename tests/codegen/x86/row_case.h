// One operation, one choice of types: how to call it in a kernel and what it must compute.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "ir/operation.h"
#include "ir/target.h"

namespace rose::codegen::x86::testing {

using Lanes = std::vector<uint64_t>;  // the bits of each lane of one value

struct Expected {
  std::vector<Lanes> results;
  double ulps = 0;              // allowed distance of floating-point results
  double absolute = 0;          // or this one
  bool flushes = false;         // zero is right where a subnormal number is expected
  bool skip_nan_input = false;  // lanes with NaN in an operand have no defined result
};

struct Case {
  const ir::Row* row = nullptr;
  std::vector<ir::Type> in, out;
  std::vector<int64_t> attributes;
  std::function<Expected(const std::vector<Lanes>&)> reference;
  // Random bits of one lane of operand `operand`; empty: any number, with a share of special ones.
  std::function<uint64_t(std::mt19937_64&, size_t operand)> random;
  std::string name() const;
};

// All cases of an operation; none when the row is unknown here, which the test reports.
std::vector<Case> cases_of(const ir::Row& row, const ir::Target& target);

uint64_t random_number(std::mt19937_64& generator, ir::Type type);

}  // namespace rose::codegen::x86::testing
