// Barriers over the grid and dependent launches, on a GPU; elsewhere the kernels are recorded and verified.
#include "dsl/grid.h"

#include "support.h"

namespace rose::kernels {
namespace {

using namespace dsl;

// Each block adds its number to all others' sums, round by round: a round reads what the round before wrote
// elsewhere.
ir::Kernel ring(const ir::Target& target, int rounds) {
  return record("ring", Launch{.target = target, .threads = 64, .cooperative = true}, [&](Block& block) {
    auto cells = block.inout("cells", u32, shape(2, dynamic("blocks")));
    auto counter = block.inout("counter", u32, shape(1));
    Val blocks = block.dimension("blocks");
    for (int round = 0; round < rounds; ++round) {
      IF (block.thread() == 0) {
        Val left = (block.index() + blocks - 1) % blocks;
        store_at(cells((round + 1) % 2), block.index(), load(cells(round % 2), left) + 1);
      }
      grid_barrier(block, counter(0));
    }
  });
}

TEST(GridBarrier, OrdersWritesOfAllBlocks) {
  constexpr int kRounds = 50;
  if (!on_gpu()) {
    auto kernel = ring(ir::parse_target("sm_90a"), kRounds);
    ir::optimize(kernel);
    ir::verify(kernel);
    GTEST_SKIP() << "recorded and verified; running it needs a GPU";
  }
  auto source = runtime::compile(ring(runtime::target_of(test_context().properties()), kRounds));
  auto program = test_context().device().load(source);
  uint64_t blocks = test_context().device().resident_blocks(*program);
  std::vector<double> start(2 * blocks, 0);
  for (uint64_t i = 0; i < blocks; ++i) start[i] = static_cast<double>(i);
  auto cells = upload(u32, start), counter = upload(u32, {0});
  for (int launch = 0; launch < 3; ++launch)  // the counter serves launch after launch
    test_stream().launch(*program, runtime::Grid{static_cast<uint32_t>(blocks), 1, 1},
                         {cells, static_cast<int64_t>(blocks), counter});
  auto got = download(u32, cells, static_cast<int64_t>(blocks));
  uint64_t steps = 3 * kRounds;
  for (uint64_t i = 0; i < blocks; ++i)
    EXPECT_EQ(got[i], static_cast<double>((i + blocks * steps - steps) % blocks + steps)) << i;
}

TEST(GridBarrier, NeedsACooperativeLaunch) {
  EXPECT_THROW(record("plain", Launch{.target = ir::parse_target("sm_90a"), .threads = 32},
                      [&](Block& block) { grid_barrier(block, block.inout("counter", u32, shape(1))(0)); }),
               ir::IrError);
}

// Two kernels in a row, the second started early: it must still see what the first wrote.
ir::Kernel add_one(const ir::Target& target) {
  return record("add_one", Launch{.target = target, .threads = 128, .pdl = true}, [&](Block& block) {
    auto x = block.inout("x", u32, shape(dynamic("n")));
    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    Val i = block.index() * 128 + block.thread();
    IF (i < block.dimension("n")) {
      store_at(x, i, load(x, i) + 1);
    }
  });
}

TEST(DependentLaunch, WaitsForWhatThePreviousKernelWrites) {
  if (!on_gpu()) {
    auto kernel = add_one(ir::parse_target("sm_90a"));
    ir::optimize(kernel);
    ir::verify(kernel);
    GTEST_SKIP() << "recorded and verified; running it needs a GPU";
  }
  auto program = test_context().device().load(
      runtime::compile(add_one(runtime::target_of(test_context().properties()))));
  constexpr int64_t kCount = 1 << 20;
  auto x = upload(u32, std::vector<double>(kCount, 0));
  for (int launch = 0; launch < 100; ++launch)
    test_stream().launch(*program, runtime::Grid{kCount / 128, 1, 1}, {x, kCount});
  for (double v : download(u32, x, kCount)) ASSERT_EQ(v, 100);
}

}  // namespace
}  // namespace rose::kernels
