#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/x86/objects.h"

namespace rose::runtime::x86 {
namespace {

void* address_of(DevicePointer p) { return reinterpret_cast<void*>(p.address); }

}  // namespace

void* Machine::scratch(int worker, uint64_t bytes) {
  Buffer& buffer = scratch_[static_cast<size_t>(worker)];
  if (buffer.bytes() < bytes) {
    buffer.reset();
    buffer = memory_->allocate(bytes);
  }
  return address_of(buffer.pointer());
}

void Machine::run(X86Entry entry, const uint64_t* arguments, Grid grid, uint64_t scratch_bytes) {
  const auto blocks = [&](int worker, int64_t begin, int64_t end) {
    void* memory = scratch_bytes ? scratch(worker, scratch_bytes) : nullptr;
    int64_t x = begin % grid.x;
    const int64_t row = begin / grid.x;
    int64_t y = row % grid.y, z = row / grid.y;
    for (int64_t block = begin; block < end; ++block) {
      entry(arguments, x, y, z, memory);
      if (++x < grid.x) continue;
      x = 0;
      if (++y < grid.y) continue;
      y = 0;
      ++z;
    }
  };
  pool_.for_each_range(static_cast<int64_t>(grid.blocks()), blocks);
}

void HostStream::check_launch(const LaunchPacket& packet) const {
  const Program& program = *packet.program;
  if (program.home() != home_) {
    throw DeviceError(ErrorKind::kInvalidArgument,
                      fmt::format("'{}' was loaded on another device", program.source().entry));
  }
  const Grid grid = packet.grid;
  // The product of two 32-bit numbers fits 64 bits; with the third it must be asked.
  if (grid.z > 0 && static_cast<uint64_t>(grid.x) * grid.y > static_cast<uint64_t>(INT64_MAX) / grid.z) {
    throw DeviceError(ErrorKind::kInvalidArgument,
                      fmt::format("'{}' launched with a grid of {}×{}×{}, more than 2^63 blocks",
                                  program.source().entry, grid.x, grid.y, grid.z));
  }
}

void X86Stream::submit(const LaunchPacket& packet) {
  check_launch(packet);
  const Program& program = *packet.program;
  const Grid grid = packet.grid;
  if (grid.blocks() == 0) return;
  const X86Entry entry = static_cast<const X86Program&>(program).entry();
  const uint64_t scratch = program.source().scratch_bytes;
  const auto fill_slots = [&](uint64_t* slots) {
    std::copy_n(packet.slots, packet.count, slots);
    slots[packet.count] = grid.x;
    slots[packet.count + 1] = grid.y;
    slots[packet.count + 2] = grid.z;
  };
  constexpr size_t kInline = 32;
  if (!capturing() && packet.count + 3 <= kInline) {
    uint64_t slots[kInline];
    fill_slots(slots);
    machine_->run(entry, slots, grid, scratch);
    return;
  }
  std::vector<uint64_t> slots(packet.count + 3);
  fill_slots(slots.data());
  run_or_record([machine = machine_, entry, grid, scratch, slots = std::move(slots)] {
    machine->run(entry, slots.data(), grid, scratch);
  });
}

void HostStream::upload(DevicePointer to, const void* from, size_t bytes) {
  copy(to, DevicePointer(from), bytes);
}
void HostStream::download(void* to, DevicePointer from, size_t bytes) {
  copy(DevicePointer(to), from, bytes);
}

void HostStream::copy(DevicePointer to, DevicePointer from, size_t bytes) {
  if (bytes == 0) return;
  run_or_record([=] { std::memmove(address_of(to), address_of(from), bytes); });
}

void HostStream::fill(DevicePointer to, uint8_t value, size_t bytes) {
  if (bytes == 0) return;
  run_or_record([=] { std::memset(address_of(to), value, bytes); });
}

void HostStream::fill_words(DevicePointer to, uint32_t value, size_t bytes) {
  check_word_fill(to, bytes);
  if (bytes == 0) return;
  run_or_record([=] { std::fill_n(static_cast<uint32_t*>(address_of(to)), bytes / 4, value); });
}

void HostStream::record(Event& event) {
  auto* ours = dynamic_cast<X86Event*>(&event);
  if (!ours) throw DeviceError(ErrorKind::kInvalidArgument, "this event belongs to another device");
  run_or_record([ours] { ours->mark(); });
}

void HostStream::begin_capture() {
  if (capturing_)
    throw DeviceError(ErrorKind::kInvalidArgument, "begin_capture on a stream that is captured already");
  capturing_ = true;
}

std::vector<std::function<void()>> HostStream::finish_capture() {
  if (!capturing_) throw DeviceError(ErrorKind::kInvalidArgument, "end_capture without begin_capture");
  capturing_ = false;
  return std::exchange(recorded_, {});
}

std::unique_ptr<Graph> HostStream::end_capture() { return std::make_unique<X86Graph>(finish_capture()); }

bool HostStream::end_capture(Graph& graph) {
  auto* ours = dynamic_cast<X86Graph*>(&graph);
  if (!ours) throw DeviceError(ErrorKind::kInvalidArgument, "this graph belongs to another device");
  auto steps = finish_capture();
  const bool same_shape = steps.size() == ours->node_count();
  ours->replace(std::move(steps));
  return same_shape;
}

void HostStream::launch(Graph& graph) {
  auto* ours = dynamic_cast<X86Graph*>(&graph);
  if (!ours) throw DeviceError(ErrorKind::kInvalidArgument, "this graph belongs to another device");
  if (capturing_) {
    recorded_.insert(recorded_.end(), ours->steps().begin(), ours->steps().end());
  } else {
    ours->run();
  }
}

double X86Event::seconds_since(const Event& start) const {
  const auto* first = dynamic_cast<const X86Event*>(&start);
  if (!first) throw DeviceError(ErrorKind::kInvalidArgument, "the start event belongs to another device");
  if (!timing_ || !first->timing_ || !recorded_ || !first->recorded_) {
    throw DeviceError(ErrorKind::kInvalidArgument,
                      "elapsed time needs two events that were created with timing and recorded");
  }
  return std::chrono::duration<double>(time_ - first->time_).count();
}

}  // namespace rose::runtime::x86
