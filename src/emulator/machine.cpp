#include <fmt/format.h>

#include <algorithm>

#include "emulator/warp.h"

namespace rose::emulator {
namespace {

constexpr uint64_t kTurn = 4096;         // statements of a warp before the next one runs
constexpr uint64_t kPatience = 200'000;  // rounds of spinning in which nothing happens

}  // namespace

Machine::Machine(const Launch& launch, const GlobalMemory& memory, const Options& options)
    : launch_(launch), memory_(memory), options_(options), program_(launch.kernel), random_(options.seed) {
  if (launch.slots.size() != launch.kernel.parameters.size())
    throw EmulatorError(fmt::format("{}: takes {} arguments, not {}", launch.kernel.name,
                                    launch.kernel.parameters.size(), launch.slots.size()));
  for (size_t i = 0; i < 3; ++i)
    if (launch.grid[i] % static_cast<uint32_t>(launch.kernel.cluster[i]) != 0)
      throw EmulatorError(fmt::format("{}: {} blocks in direction {} are no whole clusters of {}",
                                      launch.kernel.name, launch.grid[i], i, launch.kernel.cluster[i]));
}

uint8_t* Machine::global(const Warp& warp, int lane, uint64_t address, uint64_t bytes, uint64_t alignment) {
  if (address % alignment != 0)
    warp.fail(fmt::format("address {:#x} is not a multiple of {} bytes", address, alignment), lane);
  if (!memory_.holds(address, bytes))
    warp.fail(fmt::format("bytes {:#x} to {:#x} of global memory lie in no allocation", address,
                          address + bytes - 1),
              lane);
  return reinterpret_cast<uint8_t*>(address);
}

BlockState& Machine::shared_block(Warp& warp, int lane, uint64_t address, int64_t* offset) {
  const auto rank = static_cast<uint32_t>(address >> kRankShift);
  *offset = static_cast<int64_t>(address & ((1u << kRankShift) - 1)) - kSharedBase;
  if (address >> 32) warp.fail(fmt::format("{:#x} is no address of shared memory", address), lane);
  if (rank == 0) return warp.block();
  auto& blocks = warp.block().cluster->blocks;
  if (rank > blocks.size())
    warp.fail(fmt::format("block {} of a cluster of {}", rank - 1, blocks.size()), lane);
  auto& block = *blocks[rank - 1];
  if (block.warps_running == 0) warp.fail(fmt::format("block {} of the cluster has ended", rank - 1), lane);
  return block;
}

uint64_t Machine::random() {
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  return random_ >> 33;
}

std::unique_ptr<Cluster> Machine::make_cluster(uint64_t number) {
  const auto& k = launch_.kernel;
  auto cluster = std::make_unique<Cluster>();
  std::array<uint32_t, 3> first{};
  for (size_t i = 0; i < 3; ++i) {
    const uint64_t along = launch_.grid[i] / static_cast<uint32_t>(k.cluster[i]);
    first[i] = static_cast<uint32_t>(number % along) * static_cast<uint32_t>(k.cluster[i]);
    number /= along;
  }
  const int threads = k.threads[0] * k.threads[1] * k.threads[2];
  const auto size = static_cast<uint32_t>(k.cluster[0] * k.cluster[1] * k.cluster[2]);
  for (uint32_t rank = 0; rank < size; ++rank) {
    auto block = std::make_unique<BlockState>(*cluster, k.shared_bytes, threads);
    uint32_t left = rank;
    for (size_t i = 0; i < 3; ++i) {
      const auto along = static_cast<uint32_t>(k.cluster[i]);
      block->index[i] = first[i] + left % along, left /= along;
    }
    block->rank = rank;
    for (int warp = 0; warp * kLanes < threads; ++warp)
      block->warps.push_back(std::make_unique<Warp>(*this, program_, *block, warp, threads));
    cluster->blocks.push_back(std::move(block));
  }
  return cluster;
}

void Machine::run_clusters(std::vector<std::unique_ptr<Cluster>>& clusters) {
  std::vector<Warp*> warps;
  for (auto& cluster : clusters)
    for (auto& block : cluster->blocks)
      for (auto& warp : block->warps) warps.push_back(warp.get());
  uint64_t idle_rounds = 0, rounds = 0, executed = 0;
  while (!warps.empty()) {
    if (options_.seed)
      for (size_t i = warps.size(); i > 1; --i) std::swap(warps[i - 1], warps[random() % i]);
    const uint64_t before = events_;
    uint64_t statements = 0;
    for (auto* warp : warps) statements += warp->run(options_.seed ? 1 + random() % kTurn : kTurn);
    std::erase_if(warps, [](const Warp* warp) { return warp->done(); });
    executed += statements;
    idle_rounds = events_ == before ? idle_rounds + 1 : 0;
    // Copies arrive when all wait, or when those that do not are spinning.
    if (statements == 0 || ++rounds % 64 == 0) {
      auto with_copies = std::ranges::find_if(clusters, [](const auto& c) { return !c->copies.empty(); });
      if (with_copies != clusters.end()) {
        auto& copies = (*with_copies)->copies;
        const size_t which = options_.seed ? random() % copies.size() : 0;
        auto copy = std::move(copies[which]);
        copies.erase(copies.begin() + static_cast<std::ptrdiff_t>(which));
        copy.finish();
        progress();
        continue;
      }
    }
    if (warps.empty()) break;
    if (statements == 0 && events_ == before) {
      std::string text = fmt::format("{}: nobody can go on:", launch_.kernel.name);
      for (size_t i = 0; i < std::min<size_t>(warps.size(), 24); ++i)
        text += fmt::format("\n  {} waits for {}", warps[i]->place(), warps[i]->waiting_for());
      throw EmulatorError(text);
    }
    if (idle_rounds > kPatience || executed > options_.max_statements)
      throw EmulatorError(
          fmt::format("{}: does not come to an end: {}", launch_.kernel.name, warps.front()->place()));
  }
}

void Machine::expect_clean_end(Cluster& cluster) {
  if (!cluster.copies.empty())
    throw EmulatorError(fmt::format("{}: the blocks end while {} is under way", launch_.kernel.name,
                                    cluster.copies.front().what));
  for (const auto& block : cluster.blocks)
    for (const auto& [offset, barrier] : block->shared.barriers)
      if (barrier.bytes != 0)
        throw EmulatorError(fmt::format(
            "{}: block ({}, {}, {}) ends while its mbarrier at byte {} expects {} bytes", launch_.kernel.name,
            block->index[0], block->index[1], block->index[2], offset, barrier.bytes));
}

// Blocks of a cooperative grid may wait for each other; the clusters of others run one after the other.
void Machine::run() {
  const auto& k = launch_.kernel;
  uint64_t count = 1;
  for (size_t i = 0; i < 3; ++i) count *= launch_.grid[i] / static_cast<uint32_t>(k.cluster[i]);
  const uint64_t together = k.cooperative ? count : 1;
  for (uint64_t first = 0; first < count; first += together) {
    std::vector<std::unique_ptr<Cluster>> clusters;
    for (uint64_t i = 0; i < together; ++i) clusters.push_back(make_cluster(first + i));
    run_clusters(clusters);
    for (auto& cluster : clusters) expect_clean_end(*cluster);
  }
}

std::vector<std::string> run(const Launch& launch, const GlobalMemory& memory, const Options& options) {
  Machine machine(launch, memory, options);
  machine.run();
  return machine.take_notes();
}

}  // namespace rose::emulator
