#include "runtime/emulator/device.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "emulator/emulator.h"
#include "runtime/x86/host.h"
#include "runtime/x86/objects.h"

namespace rose::runtime::emulated {
namespace {

constexpr size_t kAlignment = 256,
                 kFence = 256;  // bytes between allocations, so that nobody walks into the next

/// Host memory that knows its allocations, and starts as NaN.
class Memory : public MemorySource,
               public emulator::GlobalMemory,
               public std::enable_shared_from_this<Memory> {
 public:
  Buffer allocate(size_t bytes) {
    if (bytes == 0) return {};
    void* address = nullptr;
    if (bytes >= size_t{1} << 46 || posix_memalign(&address, kAlignment, bytes + kFence) != 0)
      throw DeviceError(ErrorKind::kOutOfMemory,
                        fmt::format("allocating {} bytes for the emulator failed", bytes));
    std::memset(address, 0xff, bytes);
    const std::lock_guard lock(mutex_);
    allocations_[reinterpret_cast<uint64_t>(address)] = bytes;
    used_ += bytes;
    return Buffer(shared_from_this(), address, bytes, 0);
  }
  void release(void* address, size_t bytes, uint64_t) noexcept override {
    const std::lock_guard lock(mutex_);
    allocations_.erase(reinterpret_cast<uint64_t>(address));
    used_ -= bytes;
    std::free(address);
  }
  bool holds(uint64_t address, uint64_t bytes) const override {
    const std::lock_guard lock(mutex_);
    auto after = allocations_.upper_bound(address);
    if (after == allocations_.begin()) return false;
    const auto& [begin, size] = *std::prev(after);
    return address - begin <= size && bytes <= size - (address - begin);
  }
  uint64_t used() const { return used_; }

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, uint64_t> allocations_;  // address, bytes
  uint64_t used_ = 0;
};

class EmulatedProgram : public Program {
 public:
  EmulatedProgram(ProgramSource source, const void* home) : Program(std::move(source), home) {
    attributes_.max_threads = static_cast<int>(source_.threads[0] * source_.threads[1] * source_.threads[2]);
  }
};

// emulator::Options::seed, from the environment.
uint64_t order_of_warps() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("ROSE_EMULATOR_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 0;
  }();
  return seed;
}

/// Logs what the emulator notes, once for each line of a kernel.
class Notes {
 public:
  explicit Notes(LogFunction log) : log_(std::move(log)) {}
  void add(const std::vector<std::string>& notes) {
    const std::lock_guard lock(mutex_);
    for (const auto& note : notes)
      if (seen_.insert(note.substr(0, note.find(", block"))).second)
        log_(LogLevel::kInfo, "emulator: " + note);
  }

 private:
  LogFunction log_;
  std::mutex mutex_;
  std::set<std::string> seen_;
};

class EmulatedStream : public x86::HostStream {
 public:
  EmulatedStream(std::shared_ptr<Memory> memory, std::shared_ptr<Notes> notes)
      : HostStream(memory.get()), memory_(std::move(memory)), notes_(std::move(notes)) {}

 protected:
  void submit(const LaunchPacket& packet) override {
    check_launch(packet);
    if (packet.grid.blocks() == 0) return;
    const auto& source = packet.program->source();
    // Values and tensor maps as they are now: a graph launches them later.
    std::vector<uint64_t> slots(packet.slots, packet.slots + packet.count);
    auto maps = std::make_shared<std::vector<TensorMap>>();
    maps->reserve(packet.count);
    for (size_t i = 0; i < packet.count; ++i)
      if (source.parameters[i].kind == ParameterInfo::Kind::kTensorMap) {
        maps->push_back(*static_cast<const TensorMap*>(packet.addresses[i]));
        slots[i] = reinterpret_cast<uint64_t>(&maps->back());
      }
    run_or_record([kernel = source.kernel, memory = memory_, notes = notes_, grid = packet.grid,
                   slots = std::move(slots), maps] {
      try {
        notes->add(
            emulator::run({*kernel, {grid.x, grid.y, grid.z}, slots}, *memory, {.seed = order_of_warps()}));
      } catch (const emulator::EmulatorError& error) {
        throw DeviceError(ErrorKind::kLost, error.what());
      }
    });
  }

 private:
  std::shared_ptr<Memory> memory_;
  std::shared_ptr<Notes> notes_;
};

DeviceProperties make_properties() {
  DeviceProperties p;
  p.kind = DeviceProperties::Kind::kCuda, p.emulated = true;
  p.name = "emulated Hopper GPU", p.target = "sm_90a", p.capability = 90;
  p.processors = 8;  // few, so that persistent kernels go round
  p.driver_version = 13000;
  p.memory_bytes = host_memory_bytes(), p.l2_bytes = uint64_t{50} << 20;
  p.max_shared_bytes = 232448, p.shared_bytes_per_processor = 233472;
  p.max_threads_per_block = 1024, p.max_threads_per_processor = 2048;
  return p;
}

class EmulatedDevice : public Device {
 public:
  explicit EmulatedDevice(LogFunction log) : notes_(std::make_shared<Notes>(std::move(log))) {}

  const DeviceProperties& properties() const override { return properties_; }

  std::unique_ptr<Stream> create_stream(StreamPriority) override {
    return std::make_unique<EmulatedStream>(memory_, notes_);
  }
  std::unique_ptr<Event> create_event(bool timing) override {
    return std::make_unique<x86::X86Event>(timing);
  }

  Buffer allocate(size_t bytes) override { return memory_->allocate(bytes); }
  Buffer allocate(size_t bytes, Stream&) override { return memory_->allocate(bytes); }
  Buffer allocate_dedicated(size_t bytes) override { return memory_->allocate(bytes); }
  HostBuffer allocate_host(size_t bytes) override { return HostBuffer(memory_->allocate(bytes)); }
  void trim_pool() override {}
  MemoryUse memory_use() override {
    MemoryUse use;
    use.free_bytes = free_host_memory_bytes(), use.total_bytes = host_memory_bytes();
    use.pool_used_bytes = use.pool_reserved_bytes = memory_->used();
    return use;
  }

  std::unique_ptr<Program> load(ProgramSource source) override {
    check_source(source);
    if (source.target != properties_.target)
      throw DeviceError(ErrorKind::kInvalidProgram,
                        fmt::format("program '{}' is for {}, but the emulator runs {}", source.entry,
                                    source.target, properties_.target));
    if (!source.kernel)
      throw DeviceError(
          ErrorKind::kUnsupported,
          fmt::format("program '{}' is code alone; the emulator runs kernels that were recorded in this "
                      "process",
                      source.entry));
    return std::make_unique<EmulatedProgram>(std::move(source), memory_.get());
  }

  uint64_t resident_blocks(const Program& program) override {
    const auto& cluster = program.source().cluster;
    const uint64_t size = uint64_t{cluster[0]} * cluster[1] * cluster[2];
    return static_cast<uint64_t>(properties_.processors) / size * size;
  }

  TensorMap encode_tensor_map(const TensorMapSpec& spec) override {
    check_tensor_map(spec);
    if (spec.interleave != TensorMapInterleave::kNone || spec.swizzle > TensorMapSwizzle::k128Bytes ||
        element_bits(spec.type) % 8 != 0)
      throw DeviceError(ErrorKind::kUnsupported,
                        "the emulator knows tensor maps of whole bytes, without interleaving "
                        "and with swizzles of 16-byte chunks alone");
    emulator::TensorMap map;
    map.base = spec.base.address, map.rank = spec.rank;
    for (uint32_t d = 0; d < spec.rank; ++d) {
      map.dims[d] = spec.dims[d], map.box[d] = spec.box[d];
      if (d > 0) map.strides[d - 1] = spec.strides[d - 1];
      if (spec.element_strides[d] != 1)
        throw DeviceError(ErrorKind::kUnsupported,
                          "the emulator knows tensor maps with element strides of 1 alone");
    }
    map.element_bytes = element_bits(spec.type) / 8;
    constexpr uint32_t kSwizzles[] = {0, 32, 64, 128};
    map.swizzle_bytes = kSwizzles[static_cast<uint32_t>(spec.swizzle)];
    map.fill_nan = spec.fill == TensorMapFill::kNan;
    static_assert(sizeof map <= sizeof(TensorMap));
    TensorMap encoded;
    std::memcpy(encoded.words.data(), &map, sizeof map);
    return encoded;
  }

  void synchronize() override {}

 private:
  DeviceProperties properties_ = make_properties();
  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();
  std::shared_ptr<Notes> notes_;
};

}  // namespace
}  // namespace rose::runtime::emulated

namespace rose::runtime {

std::unique_ptr<Device> open_emulated_device(LogFunction log) {
  return std::make_unique<emulated::EmulatedDevice>(std::move(log));
}

}  // namespace rose::runtime
