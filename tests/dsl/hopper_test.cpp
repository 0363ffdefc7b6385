// Fragments and pipelines for sm_90a: recorded, verified, and assembled by ptxas without spills.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assembler.h"
#include "codegen/ptx/emit.h"
#include "dsl/fragment.h"
#include "dsl/hopper.h"
#include "run_kernel.h"

namespace rose::dsl::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

void expect_assembles(ir::Kernel kernel, const std::string& what) {
  ASSERT_NO_THROW(ir::verify(kernel)) << what;
  ir::optimize(kernel);
  ASSERT_NO_THROW(ir::verify(kernel)) << what;
  std::string ptx = codegen::ptx::emit(kernel);
  auto result = test::assemble(ptx, "sm_90a", true);
  EXPECT_TRUE(result.ok) << what << "\n" << result.log << ptx;
  EXPECT_THAT(result.log, HasSubstr(" 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"))
      << what;
  EXPECT_EQ(result.log.find("warning"), std::string::npos) << what << "\n" << result.log;
}

// A kernel for each group size that works on rows of several lengths and types one after the other.
ir::Kernel row_kernel(int threads, int group_size, const std::vector<int64_t>& lengths, Type type) {
  return record("rows", hopper(threads), [&](Block& block) {
    Val rows = block.dimension("rows");
    auto group = row_group(block, rows, group_size);
    for (size_t k = 0; k < lengths.size(); ++k) {
      int64_t n = lengths[k];
      auto name = [&](const char* letter) { return fmt::format("{}{}", letter, k); };
      Tensor x = block.input(name("x"), type, shape(dynamic("rows"), n)),
             out = block.output(name("out"), type, shape(dynamic("rows"), n));
      Tensor wide = block.output(name("wide"), f32, shape(dynamic("rows"), n));
      auto lanes = row_layout(block, group, n, 4);
      Frag v = to(f32, load(x(group.row), lanes));
      auto [sum, squares] = row_sums(block, v, v * v);
      Frag kept = keep(block, map_index(v * sum, [](Val a, Val index) { return a + to(f32, index); }));
      store(wide(group.row), kept + row_max(block, v) * squares);
      store(out(group.row), kept);
    }
  });
}

TEST(HopperRows, AssembleForEveryGroupAndType) {
  for (int group : {8, 16, 32, 0})
    for (Type type : {f32, bf16, f16, e4m3, s8}) {
      if (group != 32 && group != 0 && type != bf16 && type != s8)
        continue;  // the group does not change conversions
      expect_assembles(row_kernel(128, group, {1, 3, 8, 30, 64, 100, 257, 1024}, type),
                       fmt::format("groups of {}, {}", group, ir::to_string(type)));
    }
}

TEST(HopperRows, LongRowsAreStreamedAndKept) {
  expect_assembles(row_kernel(128, 0, {20000}, bf16), "a streamed row of a block");
  expect_assembles(row_kernel(1024, 0, {16384, 8192}, bf16), "rows of a block of 1024");
  ir::Kernel k = row_kernel(128, 32, {4096}, bf16);
  EXPECT_EQ(k.shared_bytes, 4 * 4096 * 4) << "each of the four groups keeps its own row";
  expect_assembles(k, "streamed rows of warps");
}

TEST(HopperRows, DeinterleaveInPlace) {
  for (Type type : {f32, bf16, f16})
    for (int group : {8, 32}) {
      expect_assembles(
          record("halves", hopper(128),
                 [&](Block& block) {
                   auto rows = row_group(block, block.dimension("rows"), group);
                   for (int64_t half : {2, 16, 64, 96}) {
                     Tensor x = block.inout(fmt::format("x{}", half), type, shape(dynamic("rows"), 2 * half));
                     auto [even, odd] = deinterleave(x(rows.row), row_layout(block, rows, half, 4));
                     store_interleaved(x(rows.row), odd, even + odd);
                   }
                 }),
          fmt::format("{} in groups of {}", ir::to_string(type), group));
    }
}

TEST(HopperRows, GroupsThatCannotWork) {
  auto group_error = [](int threads, int size) {
    return error_of(hopper(threads), [&](Block& block) { row_group(block, literal(s64, 1), size); });
  };
  EXPECT_EQ(group_error(128, 0), "");
  EXPECT_EQ(group_error(96, 0), "");
  EXPECT_EQ(group_error(16, 0), "");
  EXPECT_THAT(group_error(48, 0), HasSubstr("a block of 48 threads cannot share a row"));
  EXPECT_THAT(group_error(128, 64), HasSubstr("row groups of 64 threads in blocks of 128"));
  EXPECT_THAT(group_error(128, 12), HasSubstr("row groups of 12 threads"));
  EXPECT_THAT(group_error(24, 16), HasSubstr("row groups of 16 threads in blocks of 24"));
}

// The pipeline of a GEMM: one producer, two consumer warpgroups of which one thread each releases a stage.
struct Promises {
  int64_t bytes = 128 * 128 + 128 * 128;
  int64_t copied_a = 128 * 128, copied_b = 128 * 128;
  int consumers = 2, cluster = 1, threads = 384;
  std::string producer = "producer", consumer = "consumer";
};

void pipeline_kernel(Block& block, const Promises& promised) {
  Val map = block.tensor_map("map");
  constexpr int kStages = 3;
  Tensor sA = block.shared("sA", bf16, shape(kStages, 128, 64), 1024),
         sB = block.shared("sB", bf16, shape(kStages, 128, 64), 1024);
  Pipeline pipe(block, {.name = "tiles",
                        .stages = kStages,
                        .bytes = promised.bytes,
                        .consumers = promised.consumers,
                        .cluster = promised.cluster,
                        .producer_role = promised.producer,
                        .consumer_role = promised.consumer,
                        .copies = {{"a", promised.copied_a, 1, 1}, {"b", promised.copied_b, 1, 1}}});
  IF (block.thread32() == 0) {
    pipe.init();
  }
  sync_setup(block);
  auto produce = [&](const Val&) {
    IF ((uniform_warp(block) == 0) & elected()) {
      PipelineState state;
      FOR (k, literal(u32, 0), 10) {
        Val full = pipe.acquire(state), stage = state.stage;
        tma_load(address_of(sA) + stage * 16384u, map, {bitcast(s32, k * 64), 0}, full);
        tma_load(address_of(sB) + stage * 16384u, map, {bitcast(s32, k * 64), 128}, full);
        state.advance(kStages);
      }
    }
  };
  auto consume = [&](const Val&) {
    PipelineState state;
    Val leader = (block.thread32() & 127u) == 0;
    FOR (k, literal(u32, 0), 10) {
      pipe.wait(state);
      IF (leader) {
        pipe.release(state.stage);
      }
      state.advance(kStages);
    }
  };
  roles(block, {{"producer", 128, 40, produce}, {"consumer", promised.threads - 128, 232, consume}});
}

std::string pipeline_error(const std::function<void(Promises&)>& alter) {
  Promises promised;
  alter(promised);
  Launch launch = hopper(384);
  launch.cluster = promised.cluster, launch.min_blocks = 1;
  return error_of(launch, [&](Block& block) { pipeline_kernel(block, promised); });
}

TEST(HopperPipeline, KeepsItsPromises) {
  EXPECT_EQ(pipeline_error([](Promises&) {}), "");
  Launch launch = hopper(384);
  launch.min_blocks = 1;
  expect_assembles(record("pipeline", launch, [](Block& block) { pipeline_kernel(block, {}); }), "pipeline");
}

TEST(HopperPipeline, BrokenPromisesShowTheArithmetic) {
  EXPECT_THAT(
      pipeline_error([](Promises& p) { p.bytes += 1024; }),
      AllOf(HasSubstr("hopper_test.cpp"), HasSubstr("tiles.full"), HasSubstr("33792"), HasSubstr("32768")));
  EXPECT_THAT(pipeline_error([](Promises& p) { p.copied_b /= 2; }),
              AllOf(HasSubstr("tiles.full"), HasSubstr("32768"), HasSubstr("24576")));
  EXPECT_THAT(pipeline_error([](Promises& p) { p.consumer = "reader"; }),
              AllOf(HasSubstr("reader"), HasSubstr("hopper_test.cpp")));
  EXPECT_THAT(pipeline_error([](Promises& p) { p.threads = 256; }),
              HasSubstr("the roles take 256 threads, the block has 384"));
}

}  // namespace
}  // namespace rose::dsl::testing
