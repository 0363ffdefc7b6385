// Barriers of blocks and clusters, fences, and what the lanes of a warp tell each other.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "emulator/values.h"

namespace rose::emulator {
namespace {

// Threads meet in whole warps: a warp that ends early counts as if it were there, for the block's own
// barrier.
Outcome meet(Warp& warp, NamedBarrier& barrier, int expected, int threads, bool stay, const char* what) {
  if (!warp.arrived) {
    if (barrier.arrived == 0) barrier.expected = expected;
    if (barrier.expected != expected)
      warp.fail(fmt::format("{} threads are expected here, and {} elsewhere at the same barrier", expected,
                            barrier.expected));
    barrier.arrived += threads;
    if (barrier.arrived > barrier.expected)
      warp.fail(fmt::format("{} threads have come to a barrier of {}", barrier.arrived, barrier.expected));
    warp.generation = barrier.generation;
    if (barrier.arrived == barrier.expected) barrier.arrived = 0, ++barrier.generation;
    warp.machine().progress();
    if (!stay) return Outcome::kDone;
    warp.arrived = true;
  }
  if (barrier.generation == warp.generation)
    return warp.wait(fmt::format("{}: {} of {} have come", what, barrier.arrived, barrier.expected));
  warp.arrived = false;
  return Outcome::kDone;
}

int threads_here(Warp& warp) { return __builtin_popcount(warp.alive()); }

NamedBarrier& named(Warp& warp, const Code& code, size_t operand) {
  const uint64_t id = warp.uniform(code.in[operand], "the barrier's number");
  if (id >= 16) warp.fail(fmt::format("barrier {}: there are 16", id));
  return warp.block().barriers[id];
}

Outcome run_block_barrier(Warp& warp, const Code& code) {
  const auto& k = warp.program().kernel;
  const int threads = k.threads[0] * k.threads[1] * k.threads[2];
  return meet(warp, named(warp, code, 0), threads, threads_here(warp), true, "bar.sync of the block");
}

Outcome run_named_barrier(Warp& warp, const Code& code) {
  const auto threads = static_cast<int>(warp.uniform(code.in[1], "the number of threads"));
  if (threads % kLanes != 0)
    warp.fail(fmt::format("a barrier of {} threads: they come in warps of 32", threads));
  return meet(warp, named(warp, code, 0), threads, kLanes, code.a != 0, "bar.sync");
}

// Like meet(), with arrival and wait apart.
Outcome run_cluster_arrive(Warp& warp, const Code&) {
  const auto& k = warp.program().kernel;
  auto& cluster = *warp.block().cluster;
  auto& barrier = cluster.barrier;
  const int expected = k.threads[0] * k.threads[1] * k.threads[2] * static_cast<int>(cluster.blocks.size());
  if (warp.cluster_arrived & warp.active())
    warp.fail("arrives twice at the cluster's barrier without a wait between");
  warp.cluster_arrived |= warp.active(), warp.cluster_generation = barrier.generation;
  barrier.arrived += __builtin_popcount(warp.active());
  if (barrier.arrived == expected) barrier.arrived = 0, ++barrier.generation;
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome run_cluster_wait(Warp& warp, const Code&) {
  auto& barrier = warp.block().cluster->barrier;
  if ((warp.cluster_arrived & warp.active()) != warp.active())
    warp.fail("waits at the cluster's barrier without having arrived");
  if (barrier.generation == warp.cluster_generation)
    return warp.wait(fmt::format("the cluster's barrier: {} threads have come", barrier.arrived));
  warp.cluster_arrived &= ~warp.active();
  return Outcome::kDone;
}

// ---- within a warp

// The lanes that take part with each lane. They must all be here and say the same; several groups may come at
// once.
std::array<Mask, kLanes> groups_of(Warp& warp, const Source& source) {
  std::array<Mask, kLanes> groups{};
  warp.each([&](int lane) {
    groups[static_cast<size_t>(lane)] = static_cast<Mask>(warp.get(source, lane)) & warp.alive();
  });
  warp.each([&](int lane) {
    const Mask group = groups[static_cast<size_t>(lane)];
    if (!(group >> lane & 1))
      warp.fail(fmt::format("the mask {:#010x} leaves out the lane itself", group), lane);
    if ((group & warp.active()) != group)
      warp.fail(
          fmt::format("the mask {:#010x} names lanes that are not here; {:#010x} are", group, warp.active()),
          lane);
    for (Mask left = group; left; left &= left - 1)
      if (groups[static_cast<size_t>(__builtin_ctz(left))] != group)
        warp.fail(fmt::format("lane {} of the mask {:#010x} has another mask", __builtin_ctz(left), group),
                  lane);
  });
  return groups;
}

enum Way { kIndex, kUp, kDown, kButterfly };

Outcome run_shuffle(Warp& warp, const Code& code) {
  const auto groups = groups_of(warp, code.in[3]);
  uint64_t values[kLanes] = {};
  warp.each([&](int lane) { values[lane] = warp.get(code.in[0], lane); });
  warp.each([&](int lane) {
    const auto b = static_cast<int>(warp.get(code.in[1], lane) & 31),
               c = static_cast<int>(warp.get(code.in[2], lane));
    const int clamp = c & 31, segments = c >> 8 & 31;
    const int last = (lane & segments) | (clamp & ~segments), first = lane & segments;
    int from = code.a == kIndex  ? first | (b & ~segments & 31)
               : code.a == kUp   ? lane - b
               : code.a == kDown ? lane + b
                                 : lane ^ b;
    const bool valid = code.a == kUp ? from >= last : from <= last;
    if (!valid) from = lane;
    if (!(groups[static_cast<size_t>(lane)] >> from & 1))
      warp.fail(fmt::format("takes its value from lane {}, which is not here", from), lane);
    warp.set(code.out[0], lane, values[from]);
    if (code.out.size() > 1) warp.set(code.out[1], lane, valid);
  });
  return Outcome::kDone;
}

Outcome run_vote(Warp& warp, const Code& code) {
  const auto groups = groups_of(warp, code.in[1]);
  Mask yes = 0;
  warp.each([&](int lane) { yes |= static_cast<Mask>(warp.get(code.in[0], lane) & 1) << lane; });
  warp.each([&](int lane) {
    const Mask group = groups[static_cast<size_t>(lane)], ours = yes & group;
    warp.set(code.out[0], lane,
             code.a == 0   ? ours == group
             : code.a == 1 ? ours != 0
             : code.a == 2 ? ours == group || ours == 0
                           : ours);
  });
  return Outcome::kDone;
}

Outcome run_match_any(Warp& warp, const Code& code) {
  const auto groups = groups_of(warp, code.in[1]);
  warp.each([&](int lane) {
    Mask same = 0;
    warp.each([&](int other) {
      if (!(groups[static_cast<size_t>(lane)] >> other & 1)) return;
      same |= static_cast<Mask>(warp.get(code.in[0], other) == warp.get(code.in[0], lane)) << other;
    });
    warp.set(code.out[0], lane, same);
  });
  return Outcome::kDone;
}

Outcome run_active_mask(Warp& warp, const Code& code) {
  warp.each([&](int lane) { warp.set(code.out[0], lane, warp.active()); });
  return Outcome::kDone;
}

enum Reduction { kAdd, kMin, kMax, kAnd, kOr, kXor };

int64_t reduced(int reduction, int64_t a, int64_t b) {
  switch (reduction) {
    case kAdd:
      return a + b;
    case kMin:
      return std::min(a, b);
    case kMax:
      return std::max(a, b);
    case kAnd:
      return a & b;
    case kOr:
      return a | b;
    default:
      return a ^ b;
  }
}

Outcome run_redux(Warp& warp, const Code& code) {
  const auto groups = groups_of(warp, code.in[1]);
  std::array<int64_t, kLanes> values{};
  warp.each([&](int lane) {
    const uint64_t bits = warp.get(code.in[0], lane);
    values[static_cast<size_t>(lane)] =
        code.type.is_signed() ? int64_t{value_of<int32_t>(bits)} : static_cast<int64_t>(low_bits(bits, 32));
  });
  warp.each([&](int lane) {
    Mask left = groups[static_cast<size_t>(lane)];
    int64_t result = values[static_cast<size_t>(__builtin_ctz(left))];
    for (left &= left - 1; left; left &= left - 1)
      result = reduced(code.a, result, values[static_cast<size_t>(__builtin_ctz(left))]);
    warp.set(code.out[0], lane, low_bits(static_cast<uint64_t>(result), 32));
  });
  return Outcome::kDone;
}

// The lowest lane of the mask.
Outcome run_elect(Warp& warp, const Code& code) {
  const auto groups = groups_of(warp, code.in[0]);
  warp.each([&](int lane) {
    const int leader = __builtin_ctz(groups[static_cast<size_t>(lane)]);
    if (code.out.size() > 1) warp.set(code.out[0], lane, static_cast<uint64_t>(leader));
    warp.set(code.out.back(), lane, lane == leader);
  });
  return Outcome::kDone;
}

Outcome run_warp_barrier(Warp& warp, const Code& code) {
  groups_of(warp, code.in[0]);
  return Outcome::kDone;
}

// ---- others

Outcome run_proxy_fence(Warp& warp, const Code&) {
  for (auto& block : warp.block().cluster->blocks)
    warp.each([&](int lane) { block->shared.fence(warp.thread(lane)); });
  return Outcome::kDone;
}

Outcome run_mapa(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    const uint64_t rank = low_bits(warp.get(code.in[1], lane), 32);
    if (rank >= warp.block().cluster->blocks.size())
      warp.fail(fmt::format("block {} of a cluster of {}", rank, warp.block().cluster->blocks.size()), lane);
    warp.set(code.out[0], lane, low_bits(warp.get(code.in[0], lane), kRankShift) | (rank + 1) << kRankShift);
  });
  return Outcome::kDone;
}

Outcome do_nothing(Warp&, const Code&) { return Outcome::kDone; }

Outcome run_trap(Warp& warp, const Code&) { warp.fail("the kernel has given up"); }

int index_of(std::string_view name, std::string_view stem, std::initializer_list<std::string_view> ends) {
  int i = 0;
  for (auto end : ends) {
    if (name.substr(stem.size()).starts_with(end)) return i;
    ++i;
  }
  return -1;
}

}  // namespace

Handler synchronization_handler(const ir::Row& row, Code& code) {
  const std::string_view name = row.name;
  if (name == "bar.sync" || name == "barrier.sync") return run_block_barrier;
  if (name == "bar.sync.n" || name == "barrier.sync.n") return code.a = 1, run_named_barrier;
  if (name == "bar.arrive" || name == "barrier.arrive") return run_named_barrier;
  if (name.starts_with("cluster.arrive")) return run_cluster_arrive;
  if (name.starts_with("cluster.wait")) return run_cluster_wait;
  if (name.starts_with("shfl."))
    return code.a = index_of(name, "shfl.", {"idx", "up", "down", "bfly"}), run_shuffle;
  if (name.starts_with("vote."))
    return code.a = index_of(name, "vote.", {"all", "any", "uni", "ballot"}), run_vote;
  if (name == "match.any") return run_match_any;
  if (name == "activemask") return run_active_mask;
  if (name.starts_with("redux.") && !name.ends_with(".f32"))
    return code.a = index_of(name, "redux.", {"add", "min", "max", "and", "or", "xor"}), run_redux;
  // These name their lanes themselves.
  if (name.starts_with("elect.sync")) return run_elect;
  if (name == "bar.warp.sync") return run_warp_barrier;
  if (name.starts_with("fence.proxy.async")) return run_proxy_fence;
  if (name == "mapa") return run_mapa;
  if (name.starts_with("fence.proxy.tensormap") || name == "fence.proxy.alias") return nullptr;
  if (name.starts_with("fence.") || name.starts_with("membar.") || name.starts_with("grid.dependency.") ||
      name.starts_with("setmaxnreg.") || name == "nanosleep" || name == "pmevent")
    return do_nothing;
  if (name == "trap") return run_trap;
  return nullptr;
}

}  // namespace rose::emulator
