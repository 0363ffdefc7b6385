#include "runtime/cuda/device.h"

#include <fmt/format.h>

#include "runtime/cuda/objects.h"

namespace rose::runtime {
namespace cuda {

PrimaryContext::PrimaryContext(std::shared_ptr<const Driver> driver, DeviceNumber device, std::string name)
    : driver_(std::move(driver)), device_(device), name_(std::move(name)) {
  driver_->check(call().primary_context_retain(&handle_, device_), fmt::format("opening {}", name_));
}

// Destructors of this folder ignore results: at process exit the driver may be gone already.
PrimaryContext::~PrimaryContext() { call().primary_context_release(device_); }

namespace {

std::string target_of(int capability) {
  switch (capability) {
    case 90:
      return "sm_90a";
    case 100:
      return "sm_100a";
    case 103:
      return "sm_103a";
    default:
      return "";
  }
}

// Throws unless we have code for the GPU, and the driver can compile it.
void check_usable(const DeviceProperties& p) {
  if (p.target.empty()) {
    throw DeviceError(
        ErrorKind::kUnsupportedDevice,
        fmt::format("{} has compute capability {}.{}; ROSE has code for 9.0 (H100, H200), 10.0 (B200) "
                    "and 10.3 (B300); choose another GPU or the x86 device",
                    p.name, p.capability / 10, p.capability % 10));
  }
  const DriverNeed need = driver_need(p.target);
  if (p.driver_version < need.cuda_version) {
    throw DeviceError(
        ErrorKind::kDriverTooOld,
        fmt::format("{} needs NVIDIA driver {} or newer (CUDA {}); this driver is of CUDA {}", p.name,
                    need.branch, version_text(need.cuda_version), version_text(p.driver_version)));
  }
}

DeviceProperties read_properties(const Driver& driver, DeviceNumber device, int index) {
  const Functions& call = driver.functions();
  const auto attribute = [&](DeviceAttribute which) {
    int value = 0;
    driver.check(call.device_get_attribute(&value, which, device),
                 fmt::format("reading properties of cuda:{}", index));
    return value;
  };
  DeviceProperties p;
  p.kind = DeviceProperties::Kind::kCuda;
  p.index = index;
  char name[256] = {};
  driver.check(call.device_get_name(name, sizeof(name) - 1, device),
               fmt::format("reading the name of cuda:{}", index));
  p.name = name;
  p.capability = 10 * attribute(kCapabilityMajor) + attribute(kCapabilityMinor);
  p.target = target_of(p.capability);
  p.driver_version = driver.version();
  p.processors = attribute(kProcessorCount);
  size_t memory = 0;
  driver.check(call.device_total_mem(&memory, device),
               fmt::format("reading the memory size of cuda:{}", index));
  p.memory_bytes = memory;
  p.l2_bytes = attribute(kL2CacheSize);
  p.max_shared_bytes = attribute(kMaxSharedMemoryOptIn);
  p.shared_bytes_per_processor = attribute(kSharedMemoryPerProcessor);
  p.max_threads_per_block = attribute(kMaxThreadsPerBlock);
  p.max_threads_per_processor = attribute(kMaxThreadsPerProcessor);
  // Two transfers a clock (double data rate) of the whole bus.
  p.memory_bytes_per_second = 2.0 * 1e3 * attribute(kMemoryClockRate) * attribute(kMemoryBusWidth) / 8;
  p.pci_address = fmt::format("{:04x}:{:02x}:{:02x}.0", attribute(kPciDomainId), attribute(kPciBusId),
                              attribute(kPciDeviceId));
  return p;
}

class CudaDevice : public Device {
 public:
  CudaDevice(std::shared_ptr<const Driver> driver, int index, LogFunction log) : log_(std::move(log)) {
    DeviceNumber device = 0;
    driver->check(driver->functions().device_get(&device, index), fmt::format("opening cuda:{}", index));
    properties_ = read_properties(*driver, device, index);
    check_usable(properties_);
    int pools = 0;
    driver->check(driver->functions().device_get_attribute(&pools, kMemoryPoolsSupported, device),
                  "asking for memory pools");
    primary_ = std::make_shared<const PrimaryContext>(std::move(driver), device,
                                                      fmt::format("cuda:{} {}", index, properties_.name));
    memory_ = std::make_shared<Memory>(primary_, device, pools != 0);
  }

  const DeviceProperties& properties() const override { return properties_; }

  std::unique_ptr<Stream> create_stream(StreamPriority priority) override {
    return std::make_unique<CudaStream>(primary_, priority);
  }
  std::unique_ptr<Event> create_event(bool timing) override {
    return std::make_unique<CudaEvent>(primary_, timing);
  }

  Buffer allocate(size_t bytes) override { return memory_->allocate(bytes); }
  Buffer allocate(size_t bytes, Stream& stream) override {
    native<CudaStream>(stream, "this stream");
    return memory_->allocate_ordered(bytes, static_cast<StreamHandle>(stream.handle()));
  }
  Buffer allocate_dedicated(size_t bytes) override { return memory_->allocate_dedicated(bytes); }
  HostBuffer allocate_host(size_t bytes) override { return memory_->allocate_host(bytes); }
  void trim_pool() override { memory_->trim(); }
  MemoryUse memory_use() override { return memory_->use(); }

  std::unique_ptr<Program> load(ProgramSource source) override {
    check_source(source);
    source.kernel.reset();
    if (source.target != properties_.target) {
      throw DeviceError(ErrorKind::kInvalidProgram,
                        fmt::format("program '{}' is for {}, but {} runs {}", source.entry, source.target,
                                    primary_->name(), properties_.target));
    }
    std::unique_ptr<CudaProgram> program;
    try {
      program = std::make_unique<CudaProgram>(primary_, source, properties_.max_shared_bytes);
    } catch (const DeviceError& error) {
      if (error.kind() != ErrorKind::kOutOfMemory) throw;
      memory_->trim();  // code needs memory outside of the pool; one more try with what the pool does not use
      program = std::make_unique<CudaProgram>(primary_, std::move(source), properties_.max_shared_bytes);
    }
    for (const std::string& warning : program->attributes().warnings) {
      log_(LogLevel::kWarning, fmt::format("'{}': {}", program->source().entry, warning));
    }
    return program;
  }

  uint64_t resident_blocks(const Program& program) override {
    const auto& ours = native<const CudaProgram>(program, "this program");
    const ProgramSource& source = ours.source();
    primary_->make_current();
    const uint64_t cluster = uint64_t{source.cluster[0]} * source.cluster[1] * source.cluster[2];
    const std::string doing = fmt::format("asking for the occupancy of '{}'", source.entry);
    int count = 0;
    if (cluster > 1) {
      LaunchAttribute attributes[3];
      LaunchConfig config = {};
      describe_launch(source, config, attributes);
      config.grid_x = source.cluster[0];
      config.grid_y = source.cluster[1];
      config.grid_z = source.cluster[2];
      primary_->driver().check(primary_->call().occupancy_clusters(&count, ours.function(), &config), doing);
      return static_cast<uint64_t>(count) * cluster;
    }
    const int threads = static_cast<int>(source.threads[0] * source.threads[1] * source.threads[2]);
    primary_->driver().check(
        primary_->call().occupancy_blocks(&count, ours.function(), threads, source.shared_bytes), doing);
    return static_cast<uint64_t>(count) * properties_.processors;
  }

  TensorMap encode_tensor_map(const TensorMapSpec& spec) override {
    check_tensor_map(spec);
    primary_->make_current();
    TensorMap map;
    primary_->driver().check(
        primary_->call().tensor_map_encode_tiled(
            map.words.data(), static_cast<int>(spec.type), spec.rank,
            reinterpret_cast<void*>(spec.base.address), spec.dims.data(), spec.strides.data(),
            spec.box.data(), spec.element_strides.data(), static_cast<int>(spec.interleave),
            static_cast<int>(spec.swizzle), static_cast<int>(spec.l2), static_cast<int>(spec.fill)),
        "encoding a tensor map");
    // Drivers up to CUDA 13.1 set a bit that is wrong for tensors below 128 KiB; CUTLASS clears it in the
    // same way (include/cute/atom/copy_traits_sm90_tma.hpp, driver version <= 13010).
    if (properties_.driver_version <= 13010 && span_bytes(spec) < 131072)
      map.words[1] &= ~(uint64_t{1} << 21);
    return map;
  }

  void synchronize() override {
    primary_->make_current();
    primary_->driver().check(primary_->call().context_synchronize(),
                             fmt::format("waiting for {}", primary_->name()));
  }

 private:
  DeviceProperties properties_;
  LogFunction log_;
  Primary primary_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace
}  // namespace cuda

int cuda_device_count(const cuda::Driver& driver) {
  int count = 0;
  driver.check(driver.functions().device_get_count(&count), "counting GPUs");
  return count;
}

namespace {

void check_index(const cuda::Driver& driver, int index) {
  const int count = cuda_device_count(driver);
  if (index >= 0 && index < count) return;
  throw DeviceError(ErrorKind::kNoDevice,
                    fmt::format("there is no cuda:{}; the driver shows {} GPU(s) (see CUDA_VISIBLE_DEVICES)",
                                index, count));
}

}  // namespace

DeviceProperties cuda_device_properties(const cuda::Driver& driver, int index) {
  check_index(driver, index);
  cuda::DeviceNumber device = 0;
  driver.check(driver.functions().device_get(&device, index), fmt::format("finding cuda:{}", index));
  return cuda::read_properties(driver, device, index);
}

std::unique_ptr<Device> open_cuda_device(std::shared_ptr<const cuda::Driver> driver, int index,
                                         LogFunction log) {
  check_index(*driver, index);
  return std::make_unique<cuda::CudaDevice>(std::move(driver), index, std::move(log));
}

}  // namespace rose::runtime
