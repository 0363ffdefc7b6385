// Makes one kernel of the catalog for one target, step by step, and times each step.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "ir/kernel.h"
#include "kernels/catalog.h"

namespace rose::cli {

// Seconds of each step.
struct StepTimes {
  double record = 0, optimize = 0, verify = 0, emit = 0;  // emit: PTX text, or x86 machine code by LLVM
  double total() const { return record + optimize + verify + emit; }
};

struct Made {
  ir::Kernel kernel;  // after the passes
  std::string code;   // PTX text, or a relocatable x86 object
  StepTimes times;
};

// Throws KernelError for a Spec that the kernel refuses, IrError when recording, a pass, the verifier or the
// code generator fails.
Made make(const kernels::CatalogEntry& entry, const ir::Target& target, std::string_view spec);

// The targets that `check` goes through when none is named: all GPU targets, this machine, and plain AVX2.
std::vector<ir::Target> standard_targets();
// ir::parse_target; throws CliError.
ir::Target target_named(const std::string& name);
// The catalog's entries with these names; all when `names` is empty. Throws KernelError for an unknown one.
std::vector<const kernels::CatalogEntry*> entries_named(const std::vector<std::string>& names);

class Stopwatch {
 public:
  // Seconds since construction or the last lap.
  double lap();

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace rose::cli
