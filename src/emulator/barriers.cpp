// mbarriers: phases that end when all arrivals and all announced bytes are in.
#include "emulator/barriers.h"

#include <fmt/format.h>

#include <string_view>

#include "emulator/values.h"

namespace rose::emulator {
namespace {

constexpr int64_t kMost = (1 << 20) - 1;  // of counts and bytes

MBarrier& barrier_at(Warp& warp, int lane, uint64_t address, bool remote) {
  int64_t offset;
  auto& block = warp.machine().shared_block(warp, lane, low_bits(address, 32), &offset);
  if (!remote && &block != &warp.block())
    warp.fail("this form takes a barrier of the own block alone, and the address is another block's", lane);
  auto found = block.shared.barriers.find(offset);
  if (found == block.shared.barriers.end())
    warp.fail(
        fmt::format("there is no mbarrier at byte {} of block {}'s shared memory: mbarrier.init comes first",
                    offset, block.rank),
        lane);
  return found->second;
}

void end_phase_if_complete(MBarrier& barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  ++barrier.phase;
  barrier.pending = barrier.count;
}

void arrive(Warp& warp, int lane, MBarrier& barrier, uint64_t count) {
  if (count > barrier.pending)
    warp.fail(fmt::format("{} more arrival(s) at a barrier of {} that expects {} in this phase", count,
                          barrier.count, barrier.pending),
              lane);
  barrier.pending -= static_cast<uint32_t>(count);
  end_phase_if_complete(barrier);
  warp.machine().progress();
}

void expect(Warp& warp, int lane, MBarrier& barrier, int64_t bytes) {
  barrier.bytes += bytes;
  if (barrier.bytes > kMost)
    warp.fail(fmt::format("a barrier that expects {} bytes; {} are the most", barrier.bytes, kMost), lane);
}

Outcome run_init(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    int64_t offset;
    auto& block = warp.machine().shared_block(warp, lane, low_bits(warp.get(code.in[0], lane), 32), &offset);
    const uint64_t count = low_bits(warp.get(code.in[1], lane), 32);
    if (offset % 8 != 0 || offset < 0 || offset + 8 > block.shared.size())
      warp.fail(fmt::format("no place for an mbarrier: byte {} of {}", offset, block.shared.size()), lane);
    if (count == 0 || count > kMost) warp.fail(fmt::format("a barrier of {} arrivals", count), lane);
    if (block.shared.barriers.contains(offset))
      warp.fail("initialises an mbarrier again: mbarrier.inval comes first", lane);
    const auto arrivals = static_cast<uint32_t>(count);
    block.shared.barriers[offset] = {arrivals, arrivals, 0, 0};
  });
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome run_inval(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    int64_t offset;
    auto& block = warp.machine().shared_block(warp, lane, low_bits(warp.get(code.in[0], lane), 32), &offset);
    if (block.shared.barriers.erase(offset) == 0) warp.fail("there is no mbarrier here", lane);
  });
  return Outcome::kDone;
}

enum Arrival { kRemote = 1, kExpect = 2, kCount = 4, kDrop = 8 };

Outcome run_arrive(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    auto& barrier = barrier_at(warp, lane, warp.get(code.in[0], lane), code.a & kRemote);
    if (!code.out.empty()) warp.set(code.out[0], lane, barrier.phase);
    const uint64_t operand = code.in.size() > 1 ? low_bits(warp.get(code.in[1], lane), 32) : 1;
    if (code.a & kExpect) expect(warp, lane, barrier, static_cast<int64_t>(operand));
    if (code.a & kDrop) --barrier.count;
    arrive(warp, lane, barrier, code.a & kCount ? operand : 1);
  });
  return Outcome::kDone;
}

Outcome run_bytes(Warp& warp, const Code& code) {
  const bool announced = code.instruction->row->name.starts_with("mbarrier.expect_tx");
  warp.each([&](int lane) {
    auto& barrier = barrier_at(warp, lane, warp.get(code.in[0], lane), code.a & kRemote);
    const auto bytes = static_cast<int64_t>(low_bits(warp.get(code.in[1], lane), 32));
    expect(warp, lane, barrier, announced ? bytes : -bytes);
    if (!announced) end_phase_if_complete(barrier);
  });
  warp.machine().progress();
  return Outcome::kDone;
}

// The phase of that parity has ended when the one under way has the other.
bool has_ended(const MBarrier& barrier, uint64_t parity) { return (barrier.phase & 1) != (parity & 1); }

// All lanes must be through; a barrier does not go back meanwhile, for it waits for these lanes.
Outcome run_wait(Warp& warp, const Code& code) {
  Outcome outcome = Outcome::kDone;
  warp.each([&](int lane) {
    auto& barrier = barrier_at(warp, lane, warp.get(code.in[0], lane), false);
    if (outcome == Outcome::kBlocked || has_ended(barrier, warp.get(code.in[1], lane))) return;
    outcome = warp.wait(fmt::format("the mbarrier at byte {}: phase {} needs {} of {} arrivals and {} bytes",
                                    low_bits(warp.get(code.in[0], lane), kRankShift) - kSharedBase,
                                    barrier.phase, barrier.pending, barrier.count, barrier.bytes));
  });
  return outcome;
}

Outcome run_test(Warp& warp, const Code& code) {
  const bool by_parity = code.in[1].type.bits() == 32;
  warp.each([&](int lane) {
    auto& barrier = barrier_at(warp, lane, warp.get(code.in[0], lane), false);
    const uint64_t operand = warp.get(code.in[1], lane);
    warp.set(code.out[0], lane, by_parity ? has_ended(barrier, operand) : barrier.phase > operand);
  });
  return Outcome::kDone;
}

}  // namespace

MBarrier& barrier_of(Warp& warp, int lane, uint64_t address) { return barrier_at(warp, lane, address, true); }

void bytes_have_come(MBarrier& barrier, int64_t bytes) {
  barrier.bytes -= bytes;
  end_phase_if_complete(barrier);
}

Handler barrier_handler(const ir::Row& row, Code& code) {
  const std::string_view name = row.name;
  if (!name.starts_with("mbarrier.")) return nullptr;
  const auto has = [&](std::string_view word) { return name.find(word) != name.npos; };
  if (name == "mbarrier.init") return run_init;
  if (name == "mbarrier.inval") return run_inval;
  if (has(".cluster")) code.a |= kRemote;
  if (name.starts_with("mbarrier.arrive")) {
    if (has("noComplete")) return nullptr;
    if (has(".expect_tx")) code.a |= kExpect;
    if (has(".count")) code.a |= kCount;
    if (has("arrive_drop")) code.a |= kDrop;
    return run_arrive;
  }
  if (name.starts_with("mbarrier.expect_tx") || name.starts_with("mbarrier.complete_tx")) return run_bytes;
  if (name.starts_with("mbarrier.wait.parity")) return run_wait;
  if (name.starts_with("mbarrier.test_wait") || name.starts_with("mbarrier.try_wait")) return run_test;
  return nullptr;
}

}  // namespace rose::emulator
