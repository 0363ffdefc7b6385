// The exception of the ir, dsl and codegen rooms: what was wrong, and the kernel source line that recorded
// it.
#pragma once

#include <stdexcept>
#include <string>

namespace rose::ir {

struct SourceLine {
  const char* file = "";
  int line = 0;
  std::string to_string() const;  // "norm/rms_norm.cpp:31", or "" when unknown
};

class IrError : public std::runtime_error {
 public:
  explicit IrError(const std::string& message) : std::runtime_error(message) {}
  IrError(const std::string& message, const SourceLine& where);
};

}  // namespace rose::ir
