// Faults that kernels have had, here and elsewhere: each must be found, and its mended twin must run in
// silence.
#include <cmath>

#include "arena.h"

namespace rose::emulator {
namespace {

using namespace dsl;
using testing::HasSubstr;

// A kernel by one thread block whose fault a flag turns on.
struct Twin {
  std::string name;
  std::string words;  // of the report
  int threads;
  std::function<void(Block&, bool broken)> body;
};

void init_barrier(Block& block, const Tensor& barrier, uint32_t arrivals) {
  IF (block.thread32() == 0) {
    op("mbarrier.init", Type{}, {address_of(barrier), arrivals});
  }
  sync_setup(block);
}

// Loads the box [64, 64] of bf16 from the given row on into `tile`.
void load_box(const Val& map, const Tensor& tile, const Tensor& full, uint32_t announced = 8192,
              int row = 0) {
  op("mbarrier.arrive.expect_tx", Type{}, {address_of(full), announced});
  tma_load(address_of(tile), map, {0, row}, address_of(full));
}

void wait(const Tensor& barrier, uint32_t parity) {
  op("mbarrier.wait.parity", Type{}, {address_of(barrier), parity});
}

std::vector<Twin> twins() {
  std::vector<Twin> all;
  all.push_back({"beyond an allocation", "lie in no allocation", 64, [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   block.tensor_map("map");
                   store_at(x, block.thread() + (broken ? 64 * 64 - 63 : 0), block.thread32());
                 }});
  all.push_back({"misaligned vector", "is not a multiple of 16 bytes", 32, [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   block.tensor_map("map");
                   Val one = literal(u32, 1);
                   op("st.global", u32, {x.base + (broken ? 4 : 16), one, one, one, one}, {0});
                 }});
  all.push_back(
      {"no barrier before a neighbour's value is read", "never written", 64, [](Block& block, bool broken) {
         auto x = block.inout("x", u32, shape(64 * 64));
         block.tensor_map("map");
         auto tile = block.shared("tile", u32, shape(64));
         store_at(tile, block.thread(), block.thread32());
         if (!broken) block.barrier();
         store_at(x, block.thread(), load(tile, 63 - block.thread()));
       }});
  all.push_back(
      {"beyond shared memory", "of shared memory, of which there are 256", 64, [](Block& block, bool broken) {
         block.inout("x", u32, shape(64 * 64)), block.tensor_map("map");
         auto tile = block.shared("tile", u32, shape(64));
         store_at(tile, block.thread() + (broken ? 1 : 0), block.thread32());
       }});
  all.push_back(
      {"a barrier that not everybody reaches", "nobody can go on", 96, [](Block& block, bool broken) {
         block.inout("x", u32, shape(64 * 64)), block.tensor_map("map");
         IF (uniform_warp(block) < (broken ? 1u : 2u)) {
           op("bar.sync.n", Type{}, {1u, 64u});
         }
       }});
  all.push_back({"a shuffle with lanes that are not here", "names lanes that are not here", 32,
                 [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   block.tensor_map("map");
                   IF (block.lane() < 16u) {
                     store_at(
                         x, block.thread(),
                         op1("shfl.bfly", u32, {block.thread32(), 1u, 31u, broken ? 0xffffffffu : 0xffffu}));
                   }
                 }});
  all.push_back({"one arrival too many", "more arrival(s) at a barrier", 64, [](Block& block, bool broken) {
                   block.inout("x", u32, shape(64 * 64)), block.tensor_map("map");
                   auto met = block.shared("met", u64, shape(2), 8);
                   init_barrier(block, met(0), 2);
                   IF (block.thread32() < (broken ? 3u : 2u)) {
                     op("mbarrier.arrive.count", Type{}, {address_of(met), 1u});
                   }
                   if (broken)
                     IF (block.thread32() == 0) op("mbarrier.arrive.count", Type{}, {address_of(met), 2u});
                 }});
  all.push_back({"a barrier that nobody has initialised", "mbarrier.init comes first", 32,
                 [](Block& block, bool broken) {
                   block.inout("x", u32, shape(64 * 64)), block.tensor_map("map");
                   auto met = block.shared("met", u64, shape(1), 8);
                   if (!broken) init_barrier(block, met, 32);
                   op("mbarrier.arrive", Type{}, {address_of(met)});
                 }});
  all.push_back({"data read before its load is waited for", "a copy under way will write", 128,
                 [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   Val map = block.tensor_map("map");
                   auto tile = block.shared("tile", u32, shape(64 * 32), 1024),
                        full = block.shared("full", u64, shape(1), 8);
                   init_barrier(block, full, 1);
                   IF (block.thread32() == 0) {
                     load_box(map, tile, full);
                   }
                   if (!broken) wait(full, 0);
                   block.barrier();
                   store_at(x, block.thread(), load(tile, block.thread()));
                   if (broken) wait(full, 0);
                 }});
  all.push_back({"more bytes announced than come", "nobody can go on", 128, [](Block& block, bool broken) {
                   block.inout("x", u32, shape(64 * 64));
                   Val map = block.tensor_map("map");
                   auto tile = block.shared("tile", u32, shape(64 * 32), 1024),
                        full = block.shared("full", u64, shape(1), 8);
                   init_barrier(block, full, 1);
                   IF (block.thread32() == 0) {
                     load_box(map, tile, full, broken ? 16384 : 8192);
                   }
                   wait(full, 0);
                 }});
  all.push_back({"a stage filled again before it is released", "a copy under way will write", 64,
                 [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   Val map = block.tensor_map("map");
                   auto tile = block.shared("tile", u32, shape(64 * 32), 1024),
                        full = block.shared("full", u64, shape(1), 8),
                        empty = block.shared("empty", u64, shape(1), 8);
                   IF (block.thread32() == 0) {
                     op("mbarrier.init", Type{}, {address_of(full), 1u}),
                         op("mbarrier.init", Type{}, {address_of(empty), 32u});
                   }
                   sync_setup(block);
                   IF (uniform_warp(block) == 0) {
                     IF (elected()) {
                       load_box(map, tile, full);
                       wait(full, 0);
                       if (!broken) wait(empty, 0);
                       load_box(map, tile, full);
                     }
                   }
                   ELSE {
                     wait(full, 0);
                     store_at(x, block.thread(), load(tile, block.thread()));
                     op("mbarrier.arrive", Type{}, {address_of(empty)});
                     wait(full, 1);
                   }
                 }});
  all.push_back({"no fence between threads' writes and a store", "without fence.proxy.async", 128,
                 [](Block& block, bool broken) {
                   block.inout("x", u32, shape(64 * 64));
                   Val map = block.tensor_map("map");
                   auto tile = block.shared("tile", u32, shape(64 * 32), 1024);
                   FOR (i, block.thread(), 64 * 32, 128) {
                     store_at(tile, i, block.thread32());
                   }
                   if (!broken) op("fence.proxy.async.shared", Type{}, {});
                   block.barrier();
                   IF (block.thread32() == 0) {
                     if (broken) op("fence.proxy.async.shared", Type{}, {});  // the writers must fence
                     tma_store(map, {0, 0}, address_of(tile));
                     op("bulk.commit_group", Type{}, {}), op("bulk.wait_group.read", Type{}, {}, {0});
                   }
                 }});
  all.push_back({"a store's source changed before it was read", "was changed before it was waited for", 32,
                 [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   block.tensor_map("map");
                   auto tile = block.shared("tile", u32, shape(32), 128);
                   store_at(tile, block.thread(), block.thread32());
                   op("fence.proxy.async.shared", Type{}, {});
                   op("bar.warp.sync", Type{}, {0xffffffffu});
                   IF (block.thread32() == 0) {
                     op("bulk.store", Type{}, {x.base, address_of(tile), 128u});
                     op("bulk.commit_group", Type{}, {});
                     if (broken) store_at(tile, 3, literal(u32, 77));
                     op("bulk.wait_group.read", Type{}, {}, {0});
                   }
                 }});
  all.push_back({"a thread that ends before its store is read", "bulk.wait_group comes first", 32,
                 [](Block& block, bool broken) {
                   auto x = block.inout("x", u32, shape(64 * 64));
                   block.tensor_map("map");
                   auto tile = block.shared("tile", u32, shape(32), 128);
                   store_at(tile, block.thread(), block.thread32());
                   op("fence.proxy.async.shared", Type{}, {});
                   op("bar.warp.sync", Type{}, {0xffffffffu});
                   IF (block.thread32() == 0) {
                     op("bulk.store", Type{}, {x.base, address_of(tile), 128u});
                     op("bulk.commit_group", Type{}, {});
                     if (!broken) op("bulk.wait_group.read", Type{}, {}, {0});
                   }
                 }});
  all.push_back({"accumulators read before the product is waited for", "wgmma.wait_group comes first", 128,
                 [](Block& block, bool broken) {
                   auto x = block.inout("x", f32, shape(64 * 64));
                   Val map = block.tensor_map("map");
                   auto tile = block.shared("tile", bf16, shape(64, 64), 1024),
                        full = block.shared("full", u64, shape(1), 8);
                   init_barrier(block, full, 1);
                   IF (block.thread32() == 0) {
                     load_box(map, tile, full);
                   }
                   wait(full, 0);
                   Accumulator d(1, 8);
                   Val operand = descriptor_k_major_128(address_of(tile));
                   mma_begin(), mma(d, 0, bf16, operand, operand, literal(pred, false)), mma_commit();
                   if (!broken) mma_wait(0);
                   store_at(x, block.thread(), Val(d.fragments[0][0]) + 1.0);
                   if (broken) mma_wait(0);
                 }});
  return all;
}

std::string report_of(const Twin& twin, bool broken) {
  auto kernel = record("twin", hopper(twin.threads), [&](Block& block) { twin.body(block, broken); });
  std::vector<uint32_t> x(64 * 64, 1);
  std::vector<uint16_t> matrix(64 * 64, 0x3f80);
  Arena arena;
  auto map = matrix_map(arena.add(matrix), 64, 64, 64, 64, 2, 128);
  std::vector<uint64_t> slots{arena.add(x), reinterpret_cast<uint64_t>(&map)};
  return fault(kernel, arena, slots);
}

TEST(Faults, AreFoundAndTheirMendedTwinsAreSilent) {
  for (const auto& twin : twins()) {
    EXPECT_THAT(report_of(twin, true), HasSubstr(twin.words)) << twin.name;
    EXPECT_EQ(report_of(twin, false), "") << twin.name;
  }
}

TEST(Faults, NameKernelLineBlockAndWarp) {
  EXPECT_THAT(report_of(twins()[0], true),
              testing::MatchesRegex(
                  "twin: .*emulator/faults_test.cpp:[0-9]+, block \\(0, 0, 0\\), warp [0-9], lane [0-9]+: "
                  "st.global u32 .*"));
}

// wgmma reads its operands until it is waited for: what is written over them meanwhile makes NaN, and a note.
TEST(Faults, OperandsThatChangeUnderAProductArePoison) {
  for (bool broken : {false, true}) {
    auto kernel = record("early", hopper(128), [&](Block& block) {
      auto x = block.inout("x", f32, shape(128));
      Val map = block.tensor_map("map");
      auto tile = block.shared("tile", bf16, shape(64, 64), 1024),
           full = block.shared("full", u64, shape(1), 8);
      init_barrier(block, full, 1);
      IF (block.thread32() == 0) {
        load_box(map, tile, full);
      }
      wait(full, 0);
      Accumulator d(1, 8);
      Val operand = descriptor_k_major_128(address_of(tile));
      mma_begin(), mma(d, 0, bf16, operand, operand, literal(pred, false)), mma_commit();
      if (!broken) mma_wait(0);
      block.barrier();
      IF (block.thread32() == 0) {
        load_box(map, tile, full, 8192, 64);
      }
      wait(full, 1);
      if (broken) mma_wait(0);
      store_at(x, block.thread(), Val(d.fragments[0][0]));
    });
    std::vector<float> x(128);
    std::vector<uint16_t> matrix(128 * 64, 0x3f80);  // ones, then twos
    std::fill(matrix.begin() + 64 * 64, matrix.end(), uint16_t{0x4000});
    Arena arena;
    auto map = matrix_map(arena.add(matrix), 128, 64, 64, 64, 2, 128);
    std::vector<uint64_t> slots{arena.add(x), reinterpret_cast<uint64_t>(&map)};
    auto notes = run({kernel, {1, 1, 1}, slots}, arena);
    for (float value : x) EXPECT_TRUE(broken ? std::isnan(value) : value == 16.0f) << broken << " " << value;
    EXPECT_EQ(notes.empty(), !broken);
    if (broken) {
      EXPECT_THAT(notes[0], HasSubstr("was changed before the product was waited for"));
    }
  }
}

TEST(Faults, KernelsThatNeverEnd) {
  auto kernel = record("spin", hopper(32), [](Block& block) {
    auto flag = block.input("flag", u32, shape(1));
    WHILE (op1("ld.global.relaxed.gpu", u32, {flag.base}, {0}) == 0u) {
    }
  });
  std::vector<uint32_t> flag{0};
  Arena arena;
  EXPECT_THAT(fault(kernel, arena, {arena.add(flag)}, 1, {.max_statements = 1'000'000}),
              HasSubstr("does not come to an end"));
}

}  // namespace
}  // namespace rose::emulator
