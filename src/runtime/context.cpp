#include "runtime/context.h"

#include <fmt/format.h>

#include <charconv>

#include "runtime/emulator/device.h"

namespace rose::runtime {
namespace {

constexpr double kGigabyte = 1e9;

std::string describe(const std::string& prefix, const DeviceProperties& p) {
  return fmt::format(
      "{:<7} {}, {}, {} {}, {:.0f} GB{}", prefix, p.name, p.target.empty() ? "no code for it" : p.target,
      p.processors, p.kind == DeviceProperties::Kind::kCuda ? "processors" : "threads",
      static_cast<double>(p.memory_bytes) / kGigabyte, p.features.empty() ? "" : ", " + p.features);
}

std::shared_ptr<const cuda::Driver> driver_of(const ContextOptions& options) {
  return options.driver ? options.driver : open_cuda_driver();
}

std::unique_ptr<Device> open_first_gpu(const ContextOptions& options) {
  const auto driver = driver_of(options);
  const int count = cuda_device_count(*driver);
  // On mixed machines the first GPU may be one that we have no code for.
  for (int i = 0; i + 1 < count; ++i) {
    try {
      return open_cuda_device(driver, i, options.log);
    } catch (const DeviceError& error) {
      options.log(LogLevel::kInfo, fmt::format("cuda:{} is passed over: {}", i, error.what()));
    }
  }
  return open_cuda_device(driver, count > 0 ? count - 1 : 0, options.log);
}

std::unique_ptr<Device> open_device(const ContextOptions& options) {
  const std::string& device = options.device;
  const auto x86 = [&] {
    X86DeviceOptions x86_options = options.x86;
    x86_options.log = options.log;
    return open_x86_device(std::move(x86_options));
  };
  if (device == "x86") return x86();
  if (device == "emulator") return open_emulated_device(options.log);
  if (device == "cuda") return open_first_gpu(options);
  if (device == "auto") {
    try {
      return open_first_gpu(options);
    } catch (const DeviceError& error) {
      options.log(LogLevel::kInfo, fmt::format("running on x86: {}", error.what()));
      return x86();
    }
  }
  int index = 0;
  constexpr std::string_view kPrefix = "cuda:";
  const char* end = device.data() + device.size();
  if (device.starts_with(kPrefix) && device.size() > kPrefix.size()) {
    const auto parsed = std::from_chars(device.data() + kPrefix.size(), end, index);
    if (parsed.ec == std::errc() && parsed.ptr == end)
      return open_cuda_device(driver_of(options), index, options.log);
  }
  throw DeviceError(ErrorKind::kInvalidArgument,
                    fmt::format("unknown device '{}'; choose auto, cuda, cuda:N, x86 or emulator", device));
}

}  // namespace

Context::Context(ContextOptions options) : log_(options.log ? options.log : log_nowhere()) {
  options.log = log_;
  options.cache.log = log_;
  if (options.device == "emulator") options.cache.disk = false;  // it runs what was recorded, not code
  device_ = open_device(options);
  cache_ = std::make_unique<ProgramCache>(*device_, std::move(options.cache));
  stream_ = device_->create_stream();
}

std::vector<std::string> describe_devices() {
  std::vector<std::string> lines;
  try {
    const auto driver = open_cuda_driver();
    const int count = cuda_device_count(*driver);
    for (int i = 0; i < count; ++i) {
      lines.push_back(describe(fmt::format("cuda:{}", i), cuda_device_properties(*driver, i)));
    }
  } catch (const DeviceError& error) {
    lines.push_back(fmt::format("cuda    {}", error.what()));
  }
  lines.push_back(describe("x86", x86_device_properties()));
  return lines;
}

}  // namespace rose::runtime
