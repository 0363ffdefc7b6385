// Runs ptxas on PTX text. The tests that need it fail when it is missing; scripts/test sees to it that it is
// there.
#pragma once

#include <string>

namespace rose::test {

struct Assembled {
  bool ok = false;
  std::string log;  // messages; with verbose, also registers, spills and stack of every entry
};

// The path of ptxas: $ROSE_PTXAS, else on PATH, else /usr/local/cuda/bin, else the project's .venv. "" when
// missing.
std::string find_ptxas();

// Assembles a module for `architecture` ("sm_90a"). Throws std::runtime_error when ptxas is missing.
Assembled assemble(const std::string& ptx, const std::string& architecture, bool verbose = false);

}  // namespace rose::test
