// Runs on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0); elsewhere the kernels are recorded and verified, and
// what the host computes is checked.
#include "kernels/attention/sm90_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention/sm90_maps.h"
#include "kernels/attention/sm90_shape.h"
#include "sm90_problem.h"

namespace rose::kernels {
namespace {

std::vector<double> run(const AttentionProblem& p) {
  const int64_t count = static_cast<int64_t>(p.q.size());
  AttentionSm90 op(test_context(), p.spec);
  auto tiles =
      op.tiles(p.first, p.spec.block_size ? std::span<const int32_t>(p.lengths) : std::span<const int32_t>());
  auto out = poisoned(p.spec.dtype, count + 64);
  auto first = upload_integers(p.first), lengths = upload_integers(p.lengths),
       table = upload_integers(p.table), tiles_device = upload_integers(tiles);
  AttentionSm90::Arguments a;
  a.q = p.q_device, a.k = p.k_device, a.v = p.v_device, a.out = out;
  a.first_queries = first, a.lengths = lengths, a.block_table = table, a.tiles = tiles_device;
  a.tile_count = static_cast<int64_t>(tiles.size() / 2), a.tokens = p.first.back();
  a.q_stride = p.q_stride, a.table_width = p.table_width;
  op(test_stream(), a);
  for (double x : download(p.spec.dtype, out.pointer() + count * 2, 64))
    EXPECT_TRUE(std::isnan(x)) << describe(p) << ": wrote beyond the output";
  return download(p.spec.dtype, out, count);
}

void check(const AttentionSm90Spec& spec, std::vector<Sequence> sequences, int64_t gap = 0) {
  AttentionProblem problem(spec, std::move(sequences), gap);
  problem.compare(run(problem), describe(problem));
}

AttentionSm90Spec heads(int64_t q, int64_t kv, int64_t dim, int64_t block_size = 0) {
  return {.q_heads = q, .kv_heads = kv, .head_dim = dim, .block_size = block_size};
}

class AttentionSm90Gpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!on_hopper()) GTEST_SKIP() << "needs a Hopper GPU: ROSE_TEST_DEVICE=cuda:0";
  }
};

const std::vector<Sequence> kLengths{{1, 0},   {2, 0},   {63, 0},  {64, 0},  {65, 0},  {127, 0}, {128, 0},
                                     {129, 0}, {191, 0}, {192, 0}, {193, 0}, {257, 0}, {300, 0}, {520, 0}};
const std::vector<Sequence> kPrefixes{{1, 1},  {5, 64},    {64, 64},  {70, 70}, {1, 200},   {130, 400},
                                      {0, 30}, {128, 999}, {17, 129}, {2, 65},  {300, 300}, {129, 640}};

TEST_F(AttentionSm90Gpu, PackedSequencesOfAllLengths) {
  for (const char* mask : {"causal", "full"})
    for (int64_t dim : {128, 64}) {
      auto spec = heads(2, 1, dim);
      spec.mask = mask;
      check(spec, kLengths);
    }
}

TEST_F(AttentionSm90Gpu, PagedCacheWithPrefixes) {
  for (int64_t dim : {128, 64, 256}) check(heads(4, 2, dim, 64), kPrefixes);
  for (int64_t block : {16, 32, 128, 192}) check(heads(2, 2, 128, block), kPrefixes);
}

TEST_F(AttentionSm90Gpu, OtherHeadSizes) {
  for (int64_t dim : {32, 72, 192}) {
    auto spec = heads(3, 1, dim);
    spec.mask = "full";
    check(spec, {{1, 0}, {70, 0}, {200, 0}});
  }
}

TEST_F(AttentionSm90Gpu, Windows) {
  for (int64_t window : {1, 64, 100, 321}) {
    auto spec = heads(2, 1, 128, 64);
    spec.window = window;
    check(spec, {{1, 100}, {300, 700}, {70, 70}, {129, 513}});
    spec = heads(2, 1, 64), spec.window = window, spec.mask = "full";
    check(spec, {{1, 0}, {300, 0}, {512, 0}, {70, 0}});
  }
}

TEST_F(AttentionSm90Gpu, TypesScalesCapsAndGroups) {
  auto spec = heads(14, 2, 128, 64);
  spec.dtype = ir::f16, spec.scale = 0.5;  // weights far from equal
  check(spec, {{150, 300}, {3, 77}}, 512);
  spec.softcap = 3;
  check(spec, {{150, 300}, {3, 77}}, 8);
  spec = heads(4, 4, 256, 64), spec.softcap = 20, spec.scale = 0.3, spec.window = 90;
  check(spec, {{150, 300}, {3, 77}});
  spec = heads(5, 1, 64), spec.dtype = ir::f16, spec.mask = "full";
  check(spec, {{1000, 0}, {31, 0}});
}

// Every way to do it gives the same bits: only the tile of keys decides them.
TEST_F(AttentionSm90Gpu, VariantsAgree) {
  const std::vector<Sequence> sequences{{1, 1}, {700, 900}, {200, 200}, {64, 1100}};
  auto base = heads(4, 2, 128, 64);
  AttentionProblem problem(base, sequences);
  auto want = run(problem);
  problem.compare(want, "default");
  for (const char* text :
       {"consumers=1", "overlap=0", "pingpong=0", "stages=1", "persistent=0", "consumers=1,overlap=0",
        "stages=1,overlap=0,pingpong=0", "pdl=1", "consumers=1,stages=1,blocks=2"}) {
    problem.spec = parse_spec<AttentionSm90Spec>(std::string("q_heads=4,kv_heads=2,block_size=64,") + text);
    EXPECT_EQ(run(problem), want) << text;
  }
  problem.spec = base, problem.spec.tile_keys = 64;
  problem.compare(run(problem), "tiles of 64 keys");
  AttentionProblem small(heads(4, 2, 64, 64), sequences);
  want = run(small);
  small.compare(want, "default, heads of 64");
  for (const char* text : {"consumers=1", "consumers=2", "overlap=0", "stages=4", "consumers=1,blocks=2"}) {
    small.spec =
        parse_spec<AttentionSm90Spec>(std::string("q_heads=4,kv_heads=2,head_dim=64,block_size=64,") + text);
    EXPECT_EQ(run(small), want) << text;
  }
}

// Bit for bit: the neighbours in a launch, and where a prompt was cut, leave no trace; nor does time.
TEST_F(AttentionSm90Gpu, AnswersDoNotDependOnCompany) {
  auto spec = heads(8, 2, 128, 64);
  AttentionProblem alone(spec, {{577, 577}});
  AttentionProblem together(spec, {{577, 577}, {1, 40}, {300, 2000}});
  std::copy(alone.q.begin(), alone.q.end(), together.q.begin());
  std::copy(alone.k.begin(), alone.k.end(), together.k.begin());
  std::copy(alone.v.begin(), alone.v.end(), together.v.begin());
  together.upload_all();
  auto want = run(alone);
  for (int round = 0; round < 5; ++round) {
    auto got = run(together);
    got.resize(want.size());
    ASSERT_EQ(got, want) << round;
  }
  AttentionProblem rest(spec, {{333, 577}});  // its last queries
  rest.k = alone.k, rest.v = alone.v;
  rest.q.assign(alone.q.end() - static_cast<int64_t>(rest.q.size()), alone.q.end());
  rest.upload_all();
  EXPECT_EQ(run(rest), std::vector<double>(want.end() - static_cast<int64_t>(rest.q.size()), want.end()));
}

TEST(AttentionSm90, IsRecordedAndVerifiedWithoutAGpu) {
  auto target = ir::parse_target("sm_90a");
  auto entry = attention_sm90_entry();
  entry.standard.insert(entry.standard.end(),
                        {"overlap=0", "pingpong=0,consumers=1", "persistent=0,pdl=1,block_size=16"});
  for (const auto& text : entry.standard) {
    auto spec = parse_spec<AttentionSm90Spec>(text);
    auto kernel = attention_sm90(target, spec);
    ir::optimize(kernel);
    ir::verify(kernel);
    EXPECT_LE(kernel.shared_bytes, 232448) << text;
    EXPECT_EQ(kernel.pdl, spec.pdl) << text;
  }
}

TEST(AttentionSm90, TilesCoverEveryQueryLongestFirst) {
  std::vector<int32_t> first{0, 1, 1, 301, 302, 558}, lengths{9, 50, 300, 1000, 700};
  auto list = attention_sm90_tiles(128, first, lengths, false);
  // Sequence 3 has a tile of 1000 keys; 4 two of 572 and 700 keys; 2 three of 128, 256 and 300; 0 one of 9.
  EXPECT_EQ(list, (std::vector<int32_t>{3, 0, 4, 128, 4, 0, 2, 256, 2, 128, 2, 0, 0, 0}));
  auto several = attention_sm90_tiles(128, first, lengths, true);
  EXPECT_EQ(several, (std::vector<int32_t>{4, 128, 4, 0, 2, 256, 2, 128, 2, 0}));
  EXPECT_THROW(attention_sm90_tiles(128, first, std::vector<int32_t>{1, 2}, false), KernelError);
  EXPECT_THROW(attention_sm90_tiles(128, first, std::vector<int32_t>{9, 50, 299, 1000, 700}, false),
               KernelError);
}

TEST(AttentionSm90, ReferenceIsTheDefinition) {
  // Two keys with scores 0 and ln 3: weights 1/4 and 3/4.
  AttentionSm90Spec spec = heads(1, 1, 1);
  spec.scale = 1;
  double q[] = {std::log(3.0)}, k[] = {0, 1}, v[] = {1, 5}, out[2];
  attention_sm90_reference(spec, q, k, v, out, 1, 2);
  EXPECT_NEAR(out[0], 4, 1e-12);
  spec.window = 1;
  attention_sm90_reference(spec, q, k, v, out, 1, 2);
  EXPECT_NEAR(out[0], 5, 1e-12);
  spec.window = 0, spec.softcap = 1e-9;  // all scores equal
  attention_sm90_reference(spec, q, k, v, out, 1, 2);
  EXPECT_NEAR(out[0], 3, 1e-8);
}

TEST(AttentionSm90, RefusesWhatItCannotDo) {
  auto target = ir::parse_target("sm_90a");
  auto refused = [&](const char* text) {
    EXPECT_THROW(attention_sm90(target, parse_spec<AttentionSm90Spec>(text)), KernelError) << text;
  };
  for (const char* text : {"dtype=f32", "q_heads=5,kv_heads=2", "head_dim=100", "head_dim=264",
                           "mask=diagonal", "window=-1", "block_size=48", "block_size=8", "scale=-1",
                           "tile_keys=100", "consumers=4", "stages=8", "head_dim=256,tile_keys=128"})
    refused(text);
  EXPECT_THROW(attention_sm90(ir::parse_target("sm_100a"), {}), KernelError);
}

}  // namespace
}  // namespace rose::kernels
