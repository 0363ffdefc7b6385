// Reads what the PTX assembler says while it compiles.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rose::runtime::cuda {

/// The lines of an assembler log that tell of lost performance: the numbered messages C75xx (ignored
/// setmaxnreg, serialised wgmma, …), warnings, and lines with a stack frame or spills above zero bytes.
std::vector<std::string> assembler_warnings(std::string_view log);

}  // namespace rose::runtime::cuda
