// The machine does what a GPU does: arithmetic, divergence, warp exchanges, barriers, clusters, copies,
// products.
#include "arena.h"

#include <cmath>
#include <numeric>

#include "ir/small_float.h"

namespace rose::emulator {
namespace {

using namespace dsl;

TEST(Emulator, ThreadsComputeTheirOwnElements) {
  auto kernel = record("add", hopper(64), [](Block& block) {
    auto x = block.input("x", f32, shape(dynamic("n"))), out = block.output("out", f32, shape(dynamic("n")));
    Val i = block.index() * 64 + block.thread();
    IF (i < block.dimension("n")) {
      store_at(out, i, load(x, i) * 2.0 + 1.0);
    }
  });
  std::vector<float> x(100), out(100, -1);
  std::iota(x.begin(), x.end(), 0.0f);
  Arena arena;
  EXPECT_EQ(fault(kernel, arena, {arena.add(x), 100, arena.add(out)}, 2), "");
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(out[i], 2 * x[i] + 1);
}

// Each lane goes round as often as its number says, leaves early or skips turns.
TEST(Emulator, LanesOfAWarpPartAndMeetAgain) {
  auto kernel = record("collatz", hopper(32), [](Block& block) {
    auto out = block.output("out", u32, shape(64));
    Val lane = block.lane();
    Var n(lane + 1u), steps(u32, 0);
    WHILE (Val(n) != 1u) {
      IF ((Val(n) & 1u) == 0u) {
        n = Val(n) >> 1u;
      }
      ELSE { n = Val(n) * 3u + 1u; }
      steps += 1;
    }
    Var odd(u32, 0);
    FOR (i, literal(u32, 0), 100u) {
      BREAK_IF(i > lane);
      IF ((i & 1u) == 0u) {
        CONTINUE;
      }
      odd += i;
    }
    store_at(out, block.thread(), Val(steps)), store_at(out, block.thread() + 32, Val(odd));
  });
  std::vector<uint32_t> out(64);
  Arena arena;
  EXPECT_EQ(fault(kernel, arena, {arena.add(out)}), "");
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t steps = 0, odd = 0;
    for (uint32_t n = lane + 1; n != 1; n = n % 2 ? 3 * n + 1 : n / 2) ++steps;
    for (uint32_t i = 1; i <= lane; i += 2) odd += i;
    EXPECT_EQ(out[lane], steps) << lane;
    EXPECT_EQ(out[lane + 32], odd) << lane;
  }
}

TEST(Emulator, BlocksMeetAtBarriersInAnyOrderOfTheWarps) {
  auto kernel = record("reverse", hopper(256), [](Block& block) {
    auto x = block.inout("x", u32, shape(256));
    auto tile = block.shared("tile", u32, shape(256));
    store_at(tile, block.thread(), load(x, block.thread()));
    block.barrier();
    store_at(x, block.thread(), load(tile, 255 - block.thread()));
  });
  for (uint64_t seed : {0, 1, 2, 3}) {
    std::vector<uint32_t> x(256);
    std::iota(x.begin(), x.end(), 0);
    Arena arena;
    EXPECT_EQ(fault(kernel, arena, {arena.add(x)}, 1, {.seed = seed}), "");
    for (uint32_t i = 0; i < 256; ++i) EXPECT_EQ(x[i], 255 - i);
  }
}

TEST(Emulator, BlocksOfAClusterReachEachOther) {
  auto kernel = record("ring", hopper(32, 4), [](Block& block) {
    auto out = block.output("out", u32, shape(dynamic("blocks")));
    auto cell = block.shared("cell", u32, shape(4));
    Val rank = op1("special", Type{}, {}, {static_cast<int64_t>(ir::Special::kClusterRank)});
    op("cluster.arrive.aligned", Type{}, {}), op("cluster.wait.aligned", Type{}, {});
    IF (block.thread32() == 0) {
      Val next = op1("mapa", Type{}, {address_of(cell), (rank + 1u) & 3u});
      op("st.shared::cluster", u32, {next, rank + 10u}, {0});
    }
    op("cluster.arrive.aligned", Type{}, {}), op("cluster.wait.aligned", Type{}, {});
    IF (block.thread32() == 0) {
      store_at(out, block.index(), load(cell(0)));
    }
  });
  std::vector<uint32_t> out(8);
  Arena arena;
  EXPECT_EQ(fault(kernel, arena, {arena.add(out), 8}, 8), "");
  EXPECT_THAT(out, testing::ElementsAre(13, 10, 11, 12, 13, 10, 11, 12));
}

// Boxes at the edge of a tensor: what lies outside reads as zero and is not written.
TEST(Emulator, TheCopyEngineMovesBoxes) {
  for (uint32_t swizzle : {0, 32, 64, 128}) {
    const uint32_t columns = swizzle ? swizzle / 4 : 32, rows = 20;
    auto kernel = record("boxes", hopper(128), [&](Block& block) {
      Val from = block.tensor_map("from"), to_map = block.tensor_map("to");
      auto tile = block.shared("tile", f32, shape(16, int64_t{columns}), 1024),
           full = block.shared("full", u64, shape(1), 8);
      IF (block.thread32() == 0) {
        op("mbarrier.init", Type{}, {address_of(full), 1u});
      }
      sync_setup(block);
      IF (block.thread32() == 0) {
        op("mbarrier.arrive.expect_tx", Type{}, {address_of(full), 64u * columns});
        tma_load(address_of(tile), from, {8, 16}, address_of(full));
      }
      op("mbarrier.wait.parity", Type{}, {address_of(full), 0u});
      FOR (i, block.thread(), 16 * int64_t{columns}, 128) {
        auto flat = tile(0);
        store_at(flat, i, load(flat, i) + 0.5);
      }
      op("fence.proxy.async.shared", Type{}, {});
      block.barrier();
      IF (block.thread32() == 0) {
        tma_store(to_map, {8, 16}, address_of(tile));
        op("bulk.commit_group", Type{}, {});
        op("bulk.wait_group", Type{}, {}, {0});
      }
    });
    const uint32_t width = columns + 4;  // the box begins at column 8: its last ones lie outside
    std::vector<float> x(rows * width), y(rows * width, -1);
    std::iota(x.begin(), x.end(), 1.0f);
    Arena arena;
    auto from = matrix_map(arena.add(x), rows, width, 16, columns, 4, swizzle),
         to_map = matrix_map(arena.add(y), rows, width, 16, columns, 4, swizzle);
    EXPECT_EQ(fault(kernel, arena, {reinterpret_cast<uint64_t>(&from), reinterpret_cast<uint64_t>(&to_map)}),
              "");
    for (uint32_t r = 0; r < rows; ++r)
      for (uint32_t c = 0; c < width; ++c) {
        const bool inside = r >= 16 && c >= 8;
        EXPECT_EQ(y[r * width + c], inside ? x[r * width + c] + 0.5f : -1) << swizzle << " " << r << " " << c;
      }
  }
}

// One warpgroup: D[64, n] = A[64, 64]·B[n, 64]ᵀ of 16-bit elements in the 128-byte swizzle.
ir::Kernel product(int n, ir::Type type) {
  return record("product", hopper(128), [=](Block& block) {
    Val map_a = block.tensor_map("a"), map_b = block.tensor_map("b");
    auto out = block.output("out", f32, shape(64, n));
    auto a = block.shared("sA", type, shape(64, 64), 1024), b = block.shared("sB", type, shape(n, 64), 1024);
    auto full = block.shared("full", u64, shape(1), 8);
    IF (block.thread32() == 0) {
      op("mbarrier.init", Type{}, {address_of(full), 1u});
    }
    sync_setup(block);
    IF (block.thread32() == 0) {
      op("mbarrier.arrive.expect_tx", Type{}, {address_of(full), static_cast<uint32_t>(128 * (64 + n))});
      tma_load(address_of(a), map_a, {0, 0}, address_of(full));
      tma_load(address_of(b), map_b, {0, 0}, address_of(full));
    }
    op("mbarrier.wait.parity", Type{}, {address_of(full), 0u});
    Accumulator d(1, n);
    mma_begin();
    for (int k = 0; k < 4; ++k)
      mma(d, 0, type, descriptor_k_major_128(address_of(a)) + 2 * k,
          descriptor_k_major_128(address_of(b)) + 2 * k, literal(pred, k != 0));
    mma_commit();
    mma_wait(0);
    for (int r = 0; r < n / 2; ++r) {
      Val row = block.thread() / 32 * 16 + block.thread() % 32 / 4 + (r & 2 ? 8 : 0);
      store_at(out(row), block.thread() % 4 * 2 + (8 * (r / 4) + (r & 1)),
               Val(d.fragments[0][static_cast<size_t>(r)]));
    }
  });
}

TEST(Emulator, MatrixProductsOfAWarpgroup) {
  for (ir::Type type : {ir::bf16, ir::f16})
    for (int n : {8, 64, 256}) {
      std::vector<uint16_t> a(64 * 64), b(static_cast<size_t>(n) * 64);
      std::vector<double> va(a.size()), vb(b.size());
      uint64_t state = 7;
      const auto fill = [&](std::vector<uint16_t>& bits, std::vector<double>& values) {
        for (size_t i = 0; i < bits.size(); ++i) {
          state = state * 6364136223846793005u + 1442695040888963407u;
          bits[i] =
              static_cast<uint16_t>(ir::bits_of(type, static_cast<double>(state >> 40 & 1023) / 512 - 1));
          values[i] = ir::value_of(type, bits[i]);
        }
      };
      fill(a, va), fill(b, vb);
      std::vector<float> out(64 * static_cast<size_t>(n));
      Arena arena;
      auto map_a = matrix_map(arena.add(a), 64, 64, 64, 64, 2, 128),
           map_b =
               matrix_map(arena.add(b), static_cast<uint64_t>(n), 64, static_cast<uint32_t>(n), 64, 2, 128);
      EXPECT_EQ(
          fault(product(n, type), arena,
                {reinterpret_cast<uint64_t>(&map_a), reinterpret_cast<uint64_t>(&map_b), arena.add(out)}),
          "");
      for (size_t r = 0; r < 64; ++r)
        for (size_t c = 0; c < static_cast<size_t>(n); ++c) {
          double want = 0;
          for (size_t k = 0; k < 64; ++k) want += va[r * 64 + k] * vb[c * 64 + k];
          // 64 additions of terms of at most 1 in f32.
          ASSERT_NEAR(out[r * static_cast<size_t>(n) + c], want, 64 * 64 * 6e-8) << r << " " << c;
        }
    }
}

}  // namespace
}  // namespace rose::emulator
