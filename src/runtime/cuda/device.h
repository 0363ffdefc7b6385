// CUDA GPUs as devices: opens the driver at run time; nothing of CUDA is needed to build.
#pragma once

#include <memory>
#include <vector>

#include "runtime/device.h"

namespace rose::runtime {

namespace cuda {
class Driver;
}

/// Opens libcuda.so.1. Throws DeviceError: kMissingDriver, kDriverTooOld, kNoDevice, each saying what to do.
std::shared_ptr<const cuda::Driver> open_cuda_driver();

/// Number of GPUs that the driver shows to this process.
int cuda_device_count(const cuda::Driver& driver);

/// Opens GPU `index` with its primary context. Throws DeviceError: kNoDevice, kUnsupportedDevice (neither
/// compute capability 9.0, 10.0 nor 10.3), kDriverTooOld (for that GPU's target), kOutOfMemory.
std::unique_ptr<Device> open_cuda_device(std::shared_ptr<const cuda::Driver> driver, int index,
                                         LogFunction log);

}  // namespace rose::runtime
