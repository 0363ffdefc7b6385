// CUDA GPUs as devices: opens the driver at run time; nothing of CUDA is needed to build.
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace rose::runtime {

namespace cuda {
class Driver;
}

/// Opens the driver library. Throws DeviceError: kMissingDriver, kDriverTooOld, kNoDevice, each saying what
/// to do.
std::shared_ptr<const cuda::Driver> open_cuda_driver(const std::string& library = "libcuda.so.1");

/// Number of GPUs that the driver shows to this process.
int cuda_device_count(const cuda::Driver& driver);

/// What GPU `index` is, without opening it. Its target is empty when we have no code for it.
DeviceProperties cuda_device_properties(const cuda::Driver& driver, int index);

/// Opens GPU `index` with its primary context. Throws DeviceError: kNoDevice, kUnsupportedDevice (neither
/// compute capability 9.0, 10.0 nor 10.3), kDriverTooOld (for that GPU's target), kOutOfMemory.
std::unique_ptr<Device> open_cuda_device(std::shared_ptr<const cuda::Driver> driver, int index,
                                         LogFunction log);

}  // namespace rose::runtime
