// A Hopper GPU made of software (see emulator/emulator.h): the same kernels, streams and graphs as on a real
// one, on host memory, thousands of times slower, with every wrong access reported.
#pragma once

#include <memory>

#include "runtime/device.h"

namespace rose::runtime {

/// Takes programs that were compiled in this process (ProgramSource::kernel). A launch that goes wrong throws
/// DeviceError (kLost) with the emulator's report.
/// ROSE_EMULATOR_SEED=N lets warps run, and copies arrive, in another order (emulator::Options::seed). Its
/// notes (see emulator/emulator.h) go to the log, one for each line of a kernel.
std::unique_ptr<Device> open_emulated_device(LogFunction log = log_nowhere());

}  // namespace rose::runtime
