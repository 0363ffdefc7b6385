// The copy engine: tensor boxes and contiguous bytes between global and shared memory, and cp.async.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "emulator/barriers.h"
#include "emulator/values.h"

namespace rose::emulator {
namespace {

// FNV-1a of bytes that are read now and again later.
struct Checksum {
  uint64_t value = 0xcbf29ce484222325ull;
  void add(const uint8_t* bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) value = (value ^ bytes[i]) * 0x100000001b3ull;
  }
};

// Where byte `at` of a box lies in shared memory: the hardware exchanges chunks of 16 bytes by the address's
// own bits.
int64_t swizzled(int64_t offset, uint32_t swizzle_bytes) {
  const auto address = static_cast<uint64_t>(offset) + kSharedBase;
  const uint64_t chunks = swizzle_bytes / 16;
  const uint64_t moved = chunks < 2 ? address : address ^ ((address >> 7 & (chunks - 1)) << 4);
  return static_cast<int64_t>(moved) - kSharedBase;
}

const TensorMap& map_of(Warp& warp, const Source& source) {
  const auto* map = reinterpret_cast<const TensorMap*>(warp.uniform(source, "the tensor map"));
  for (size_t i = 0; i < warp.program().kernel.parameters.size(); ++i)
    if (warp.program().kernel.parameters[i].kind == ir::Parameter::Kind::kTensorMap &&
        warp.machine().launch().slots[i] == reinterpret_cast<uint64_t>(map))
      return *map;
  warp.fail("the tensor map is no parameter of this launch");
}

// One row of a box along dimension 0: f(offset of its first byte in the box, address, bytes inside of the
// tensor, bytes of the whole row). Bytes outside come last in a row, or are all of it (address 0).
template <class F>
void each_row(Warp& warp, const TensorMap& map, const std::array<int64_t, 5>& corner, const F& f) {
  const int64_t row_bytes = int64_t{map.box[0]} * map.element_bytes;
  int64_t rows = 1;
  for (uint32_t d = 1; d < map.rank; ++d) rows *= map.box[d];
  for (int64_t row = 0; row < rows; ++row) {
    int64_t left = row;
    uint64_t address = map.base;
    bool inside = true;
    for (uint32_t d = 1; d < map.rank; ++d) {
      const int64_t at = corner[d] + left % map.box[d];
      left /= map.box[d];
      inside = inside && at >= 0 && static_cast<uint64_t>(at) < map.dims[d];
      address += static_cast<uint64_t>(at) * map.strides[d - 1];
    }
    const int64_t first = std::max<int64_t>(corner[0], 0),
                  end = std::min<int64_t>(corner[0] + map.box[0], static_cast<int64_t>(map.dims[0]));
    const int64_t before = std::min<int64_t>((first - corner[0]) * map.element_bytes, row_bytes);
    const int64_t bytes = inside && end > first ? (end - first) * map.element_bytes : 0;
    address += static_cast<uint64_t>(first) * map.element_bytes;
    if (bytes && !warp.machine().holds(address, static_cast<uint64_t>(bytes)))
      warp.fail(
          fmt::format("the tensor map reaches beyond its allocation: {} bytes at {:#x}", bytes, address));
    f(row * row_bytes, before, address, bytes, row_bytes);
  }
}

int64_t box_bytes(const TensorMap& map) {
  int64_t bytes = map.element_bytes;
  for (uint32_t d = 0; d < map.rank; ++d) bytes *= map.box[d];
  return bytes;
}

// 16 bytes stay together whatever the swizzle.
template <class F>
void each_chunk(int64_t offset, int64_t bytes, uint32_t swizzle, const F& f) {
  for (int64_t i = 0; i < bytes;) {
    const int64_t count = std::min<int64_t>(bytes - i, 16 - (offset + i) % 16);
    f(swizzled(offset + i, swizzle), i, count);
    i += count;
  }
}

std::array<int64_t, 5> corner_of(Warp& warp, const Code& code, size_t first, uint32_t rank, int lane) {
  std::array<int64_t, 5> corner{};
  for (uint32_t d = 0; d < rank; ++d) corner[d] = value_of<int32_t>(warp.get(code.in[first + d], lane));
  return corner;
}

void expect_one_lane(Warp& warp) {
  if (__builtin_popcount(warp.active()) != 1)
    warp.fail(fmt::format("{} lanes issue this copy, each for itself: elect one",
                          __builtin_popcount(warp.active())));
}

// Destinations in this block, or in every block of a mask, at the same offset; and their barriers.
struct Destination {
  BlockState* block;
  int64_t offset;
  MBarrier* barrier;
};

std::vector<Destination> destinations(Warp& warp, int lane, uint64_t address, uint64_t barrier,
                                      int64_t mask) {
  std::vector<Destination> all;
  int64_t offset;
  auto& own = warp.machine().shared_block(warp, lane, low_bits(address, 32), &offset);
  if (mask < 0) {
    all.push_back({&own, offset, &barrier_of(warp, lane, barrier)});
    return all;
  }
  const auto& blocks = warp.block().cluster->blocks;
  if (mask == 0 || mask >> blocks.size())
    warp.fail(fmt::format("a multicast to {:#x} in a cluster of {}", mask, blocks.size()), lane);
  for (size_t rank = 0; rank < blocks.size(); ++rank)
    if (mask >> rank & 1) {
      const uint64_t bit = (uint64_t{rank} + 1) << kRankShift;
      all.push_back(
          {blocks[rank].get(), offset, &barrier_of(warp, lane, low_bits(barrier, kRankShift) | bit)});
    }
  return all;
}

void begin_copy(Warp& warp, int lane, const std::vector<Destination>& to, int64_t bytes,
                const std::string& what, std::function<void(SharedMemory&, int64_t)> bring) {
  for (const auto& d : to) {
    if (auto wrong = d.block->shared.check_write(d.offset, bytes); !wrong.empty())
      warp.fail("copies to " + wrong, lane);
    d.block->shared.in_flight(d.offset, bytes);
  }
  warp.block().cluster->copies.push_back({[to, bytes, bring = std::move(bring)] {
                                            for (const auto& d : to) {
                                              bring(d.block->shared, d.offset);
                                              d.block->shared.written_by_copy(d.offset, bytes);
                                              bytes_have_come(*d.barrier, bytes);
                                            }
                                          },
                                          what + " of " + warp.place()});
  warp.machine().progress();
}

// Destination, map, coordinates, barrier [, mask] [, policy].
Outcome run_tensor_load(Warp& warp, const Code& code) {
  expect_one_lane(warp);
  const int lane = __builtin_ctz(warp.active());
  const auto& map = map_of(warp, code.in[1]);
  const auto rank = static_cast<uint32_t>(code.a);
  if (rank != map.rank)
    warp.fail(fmt::format("{} coordinates for a tensor of {} dimensions", rank, map.rank));
  const auto corner = corner_of(warp, code, 2, rank, lane);
  const size_t barrier = 2 + rank;
  const int64_t mask = code.b ? static_cast<int64_t>(low_bits(warp.get(code.in[barrier + 1], lane), 16)) : -1;
  auto to = destinations(warp, lane, warp.get(code.in[0], lane), warp.get(code.in[barrier], lane), mask);
  const uint32_t alignment = std::max<uint32_t>(128, map.swizzle_bytes * 8);
  if (to[0].offset % alignment != 0)
    warp.fail(fmt::format("byte {} of shared memory is not a multiple of {}, as the map's swizzle has it",
                          to[0].offset, alignment));
  // The tensor is read when the copy is made; where it lies is checked now.
  each_row(warp, map, corner, [](int64_t, int64_t, uint64_t, int64_t, int64_t) {});
  begin_copy(warp, lane, to, box_bytes(map), "a tensor load",
             [&warp, map, corner](SharedMemory& shared, int64_t offset) {
               std::vector<uint8_t> row;
               each_row(warp, map, corner,
                        [&](int64_t at, int64_t before, uint64_t address, int64_t bytes, int64_t row_bytes) {
                          row.assign(static_cast<size_t>(row_bytes), map.fill_nan ? 0xff : 0);
                          if (bytes)
                            std::memcpy(row.data() + before, reinterpret_cast<const void*>(address),
                                        static_cast<size_t>(bytes));
                          each_chunk(offset + at, row_bytes, map.swizzle_bytes,
                                     [&](int64_t place, int64_t i, int64_t count) {
                                       std::memcpy(shared.data(place), row.data() + i,
                                                   static_cast<size_t>(count));
                                     });
                        });
             });
  return Outcome::kDone;
}

// Destination, source, bytes, barrier [, mask] [, policy].
Outcome run_bulk_load(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    const auto bytes = static_cast<int64_t>(low_bits(warp.get(code.in[2], lane), 32));
    if (bytes % 16 != 0) warp.fail(fmt::format("{} bytes are no multiple of 16", bytes), lane);
    const int64_t mask = code.b ? static_cast<int64_t>(low_bits(warp.get(code.in[4], lane), 16)) : -1;
    const uint8_t* from =
        warp.machine().global(warp, lane, warp.get(code.in[1], lane), static_cast<uint64_t>(bytes), 16);
    auto to = destinations(warp, lane, warp.get(code.in[0], lane), warp.get(code.in[3], lane), mask);
    begin_copy(warp, lane, to, bytes, "a bulk load", [from, bytes](SharedMemory& shared, int64_t offset) {
      std::memcpy(shared.data(offset), from, static_cast<size_t>(bytes));
    });
  });
  return Outcome::kDone;
}

// A store's source is summed up when it is issued and when it is read: nobody may touch it between.
void begin_store(Warp& warp, int lane, SharedMemory& shared, int64_t offset, int64_t bytes,
                 std::function<void()> finish) {
  if (auto wrong = shared.check_async_read(offset, bytes); !wrong.empty())
    warp.fail("stores from " + wrong, lane);
  BulkStore store;
  store.lane = lane;
  store.sum = [&shared, offset, bytes] {
    Checksum sum;
    sum.add(shared.data(offset), static_cast<size_t>(bytes));
    return sum.value;
  };
  store.checksum = store.sum();
  store.finish = std::move(finish);
  warp.stores.push_back(std::move(store));
}

// Map, coordinates, source [, policy].
Outcome run_tensor_store(Warp& warp, const Code& code) {
  expect_one_lane(warp);
  const int lane = __builtin_ctz(warp.active());
  const auto& map = map_of(warp, code.in[0]);
  const auto rank = static_cast<uint32_t>(code.a);
  if (rank != map.rank)
    warp.fail(fmt::format("{} coordinates for a tensor of {} dimensions", rank, map.rank));
  const auto corner = corner_of(warp, code, 1, rank, lane);
  int64_t offset;
  auto& block =
      warp.machine().shared_block(warp, lane, low_bits(warp.get(code.in[1 + rank], lane), 32), &offset);
  if (offset % 128 != 0) warp.fail(fmt::format("byte {} of shared memory is not a multiple of 128", offset));
  each_row(warp, map, corner, [](int64_t, int64_t, uint64_t, int64_t, int64_t) {});
  begin_store(warp, lane, block.shared, offset, box_bytes(map), [&warp, &block, map, corner, offset] {
    std::vector<uint8_t> row;
    each_row(
        warp, map, corner,
        [&](int64_t at, int64_t before, uint64_t address, int64_t bytes, int64_t row_bytes) {
          row.resize(static_cast<size_t>(row_bytes));
          each_chunk(offset + at, row_bytes, map.swizzle_bytes, [&](int64_t place, int64_t i, int64_t count) {
            std::memcpy(row.data() + i, block.shared.data(place), static_cast<size_t>(count));
          });
          if (bytes)
            std::memcpy(reinterpret_cast<void*>(address), row.data() + before, static_cast<size_t>(bytes));
        });
  });
  return Outcome::kDone;
}

// Destination, source, bytes.
Outcome run_bulk_store(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    const auto bytes = static_cast<int64_t>(low_bits(warp.get(code.in[2], lane), 32));
    if (bytes % 16 != 0) warp.fail(fmt::format("{} bytes are no multiple of 16", bytes), lane);
    uint8_t* to =
        warp.machine().global(warp, lane, warp.get(code.in[0], lane), static_cast<uint64_t>(bytes), 16);
    int64_t offset;
    auto& block = warp.machine().shared_block(warp, lane, low_bits(warp.get(code.in[1], lane), 32), &offset);
    if (offset % 16 != 0)
      warp.fail(fmt::format("byte {} of shared memory is not a multiple of 16", offset), lane);
    begin_store(warp, lane, block.shared, offset, bytes, [&block, offset, bytes, to] {
      std::memcpy(to, block.shared.data(offset), static_cast<size_t>(bytes));
    });
  });
  return Outcome::kDone;
}

Outcome run_bulk_commit(Warp& warp, const Code&) {
  warp.each([&](int lane) {
    // A group a commit, empty or not; the marker is a store that has nothing to do.
    for (auto& store : warp.stores)
      if (store.lane == lane) store.committed = true;
    BulkStore marker;
    marker.lane = lane, marker.committed = true, marker.read = true;
    warp.stores.push_back(std::move(marker));
  });
  return Outcome::kDone;
}

// All groups of the thread but the latest N are read, and written.
Outcome run_bulk_wait(Warp& warp, const Code& code) {
  const int64_t keep = code.attribute(0);
  warp.each([&](int lane) {
    int64_t groups = 0;
    for (const auto& store : warp.stores) groups += store.lane == lane && !store.finish;
    int64_t seen = 0;
    for (auto& store : warp.stores) {
      if (store.lane != lane) continue;
      if (!store.finish) {
        ++seen;
        continue;
      }
      if (!store.committed || store.read || seen >= groups - keep) continue;
      if (store.sum() != store.checksum)
        warp.fail("what a store of the copy engine had still to read was changed before it was waited for",
                  lane);
      store.finish(), store.read = true;
    }
  });
  if (keep == 0)
    std::erase_if(warp.stores, [&](const auto& s) { return s.read && warp.active() >> s.lane & 1; });
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome do_nothing(Warp&, const Code&) { return Outcome::kDone; }

int dimensions_of(std::string_view name) {
  const size_t d = name.find("d", name.find_first_of("12345"));
  return d == name.npos ? 0 : name[d - 1] - '0';
}

}  // namespace

Handler async_handler(const ir::Row& row, Code& code) {
  const std::string_view name = row.name;
  const auto has = [&](std::string_view word) { return name.find(word) != name.npos; };
  if (has("im2col") || has("gather4") || has("scatter4") || has("cta_group")) return nullptr;
  code.b = has(".multicast");
  if (name.starts_with("tma.load.")) return code.a = dimensions_of(name), run_tensor_load;
  if (name.starts_with("tma.store.")) return code.a = dimensions_of(name), run_tensor_store;
  if (name.starts_with("tma.prefetch.") || name == "prefetch.tensormap" || name.starts_with("bulk.prefetch"))
    return do_nothing;
  if (name.starts_with("bulk.load")) return run_bulk_load;
  if (name == "bulk.store" || name == "bulk.store.hint") return run_bulk_store;
  if (name == "bulk.commit_group") return run_bulk_commit;
  if (name.starts_with("bulk.wait_group")) return run_bulk_wait;
  return nullptr;
}

}  // namespace rose::emulator
