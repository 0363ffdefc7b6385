// Prints a kernel as PTX text for sm_90a, sm_100a or sm_103a. The driver (or ptxas) assembles the text.
#pragma once

#include <string>

#include "ir/kernel.h"

namespace rose::codegen::ptx {

struct Options {
  bool lines = true;  // .file and .loc, so that profilers and ptxas messages name the kernel's source lines
};

// One module with one entry, `kernel.name`. Throws IrError with the source line for an instruction that the
// target lacks. Parameters appear in order, named as in the kernel; see ir::Parameter for their sizes.
std::string emit(const ir::Kernel& kernel, const Options& options = {});

}  // namespace rose::codegen::ptx
