// The exception of the x86 back end: a kernel that has no x86 code, or an object that cannot be loaded.
#pragma once

#include "ir/error.h"

namespace rose::codegen::x86 {

class CodegenError : public ir::IrError {
 public:
  using ir::IrError::IrError;
};

}  // namespace rose::codegen::x86
