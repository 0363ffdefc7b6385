#include "runtime/x86/device.h"

#include <fmt/format.h>

#include <chrono>

#include "ir/target.h"
#include "runtime/x86/host.h"
#include "runtime/x86/objects.h"

namespace rose::runtime {
namespace x86 {

X86Program::X86Program(ProgramSource source, const void* home, const ObjectLoader& loader)
    : Program(std::move(source), home) {
  const auto start = std::chrono::steady_clock::now();
  try {
    object_ = loader(source_.code, source_.entry);
  } catch (const std::exception& error) {
    throw DeviceError(ErrorKind::kInvalidProgram,
                      fmt::format("loading '{}' for x86: {}", source_.entry, error.what()));
  }
  if (!object_.entry) {
    throw DeviceError(ErrorKind::kInvalidProgram,
                      fmt::format("loading '{}' for x86: the object has no such symbol", source_.entry));
  }
  attributes_.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

namespace {

class X86Device : public Device {
 public:
  explicit X86Device(X86DeviceOptions options)
      : properties_(x86_device_properties(options.threads)),
        loader_(std::move(options.loader)),
        machine_(std::make_shared<Machine>(properties_.processors, options.pin)) {
    if (!options.features.empty()) properties_.features = std::move(options.features);
  }

  const DeviceProperties& properties() const override { return properties_; }

  std::unique_ptr<Stream> create_stream(StreamPriority) override {
    return std::make_unique<X86Stream>(machine_, machine_.get());
  }
  std::unique_ptr<Event> create_event(bool timing) override { return std::make_unique<X86Event>(timing); }

  Buffer allocate(size_t bytes) override { return memory_->allocate(bytes); }
  Buffer allocate(size_t bytes, Stream&) override { return memory_->allocate(bytes); }
  Buffer allocate_dedicated(size_t bytes) override { return memory_->allocate_lasting(bytes); }
  HostBuffer allocate_host(size_t bytes) override { return HostBuffer(memory_->allocate(bytes)); }
  void trim_pool() override {}
  MemoryUse memory_use() override {
    MemoryUse use;
    use.free_bytes = free_host_memory_bytes();
    use.total_bytes = host_memory_bytes();
    use.pool_used_bytes = use.pool_reserved_bytes = memory_->used_bytes();
    return use;
  }

  std::unique_ptr<Program> load(ProgramSource source) override {
    check_source(source);
    if (source.target != "x86") {
      throw DeviceError(
          ErrorKind::kInvalidProgram,
          fmt::format("program '{}' is for {}, but this device is x86", source.entry, source.target));
    }
    if (!loader_)
      throw DeviceError(ErrorKind::kUnsupported, "this x86 device was opened without a loader of objects");
    return std::make_unique<X86Program>(std::move(source), machine_.get(), loader_);
  }

  uint64_t resident_blocks(const Program&) override { return static_cast<uint64_t>(machine_->threads()); }

  TensorMap encode_tensor_map(const TensorMapSpec&) override {
    throw DeviceError(ErrorKind::kUnsupported,
                      "x86 has no tensor maps; give the kernel a pointer and strides");
  }

  void synchronize() override {}

 private:
  DeviceProperties properties_;
  ObjectLoader loader_;
  std::shared_ptr<Machine> machine_;
  std::shared_ptr<HostMemory> memory_ = std::make_shared<HostMemory>();
};

}  // namespace
}  // namespace x86

DeviceProperties x86_device_properties(int threads) {
  DeviceProperties p;
  p.kind = DeviceProperties::Kind::kX86;
  p.name = processor_name();
  p.target = "x86";
  p.features = ir::host_features().to_string();
  p.processors = threads > 0 ? threads : available_processors();
  p.memory_bytes = host_memory_bytes();
  p.l2_bytes = last_level_cache_bytes();
  return p;
}

std::unique_ptr<Device> open_x86_device(X86DeviceOptions options) {
  return std::make_unique<x86::X86Device>(std::move(options));
}

}  // namespace rose::runtime
