// From a recorded kernel to code for a device: optimise, verify, generate.
#pragma once

#include <memory>
#include <string>

#include "ir/kernel.h"
#include "runtime/context.h"

namespace rose::runtime {

/// Runs the passes and the verifier and generates code. Throws ir::IrError or codegen errors with source
/// lines.
ProgramSource compile(ir::Kernel kernel);

/// The target that kernels for a device are recorded for.
ir::Target target_of(const DeviceProperties& properties);

/// A Context whose x86 device can load what codegen/x86 makes.
std::unique_ptr<Context> open_context(ContextOptions options = {});

/// Identity of this build of the code generators and kernels; part of every cache key.
const std::string& generator_version();

}  // namespace rose::runtime
