// Runs on a Hopper GPU alone (ROSE_TEST_DEVICE=cuda:0); elsewhere the kernels are recorded and verified, and
// what the host computes is checked.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention/sm90_attention.h"
#include "kernels/attention/sm90_shape.h"
#include "sm90_problem.h"

namespace rose::kernels {
namespace {

AttentionSm90Spec as_prefill(const DecodeAttentionSm90Spec& d) {
  AttentionSm90Spec s;
  s.dtype = d.dtype, s.q_heads = d.q_heads, s.kv_heads = d.kv_heads, s.head_dim = d.head_dim;
  s.window = d.window, s.block_size = d.block_size, s.scale = d.scale, s.softcap = d.softcap;
  return s;
}

// What a step leaves on the device, so that it can be launched again.
struct Step {
  DecodeAttentionSm90 op;
  ir::Type dtype;
  runtime::Buffer lengths, first, table, plan, workspace, out;
  DecodeAttentionSm90::Arguments arguments;
  int64_t sequences, count;

  Step(const DecodeAttentionSm90Spec& spec, const AttentionProblem& p, int64_t longest = 0)
      : op(test_context(), spec),
        dtype(spec.dtype),
        sequences(static_cast<int64_t>(p.sequences.size())),
        count(static_cast<int64_t>(p.q.size())) {
    for (auto s : p.sequences) longest = std::max<int64_t>(longest, s.keys);
    auto& device = test_context().device();
    lengths = upload_integers(p.lengths), first = upload_integers(p.first), table = upload_integers(p.table);
    plan = device.allocate(static_cast<size_t>(DecodeAttentionSm90::plan_bytes(sequences)));
    workspace = device.allocate(static_cast<size_t>(op.workspace_bytes(sequences, longest)));
    out = poisoned(spec.dtype, count + 64);
    test_stream().fill(plan, 0xff, plan.bytes());
    test_stream().fill(workspace, 0, workspace.bytes());
    arguments.q = p.q_device, arguments.k = p.k_device, arguments.v = p.v_device, arguments.out = out;
    arguments.block_table = table, arguments.plan = plan, arguments.workspace = workspace;
    arguments.sequences = sequences, arguments.q_stride = p.q_stride, arguments.table_width = p.table_width;
    arguments.longest = longest;
  }
  void launch(bool with_first) {
    op.plan(test_stream(), lengths, with_first ? runtime::DevicePointer(first) : runtime::DevicePointer(),
            sequences, plan);
    op(test_stream(), arguments);
  }
  std::vector<double> result() {
    for (double x : download(dtype, out.pointer() + count * 2, 64))
      EXPECT_TRUE(std::isnan(x)) << "wrote beyond the output";
    return download(dtype, out, count);
  }
};

std::vector<double> run(const DecodeAttentionSm90Spec& spec, const AttentionProblem& p,
                        bool with_first = false) {
  Step step(spec, p);
  step.launch(with_first);
  return step.result();
}

std::vector<Sequence> steps(std::initializer_list<int32_t> keys) {
  std::vector<Sequence> list;
  for (int32_t k : keys) list.push_back({1, k});
  return list;
}

void check(const DecodeAttentionSm90Spec& spec, std::vector<Sequence> sequences, int64_t gap = 0) {
  AttentionProblem problem(as_prefill(spec), std::move(sequences), gap);
  problem.compare(run(spec, problem), "decode " + describe(problem));
}

DecodeAttentionSm90Spec heads(int64_t q, int64_t kv, int64_t dim, int64_t block_size = 64) {
  return {.q_heads = q, .kv_heads = kv, .head_dim = dim, .block_size = block_size};
}

class DecodeAttentionSm90Gpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!on_hopper()) GTEST_SKIP() << "needs a Hopper GPU: ROSE_TEST_DEVICE=cuda:0";
  }
};

const auto kKeys =
    steps({1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 511, 512, 513, 640, 1023, 1024, 1025, 3000});

TEST_F(DecodeAttentionSm90Gpu, AllLengthsAndHeadSizes) {
  for (int64_t dim : {128, 64, 256}) check(heads(8, 2, dim), kKeys);
  for (int64_t dim : {32, 72, 192}) check(heads(8, 2, dim), steps({1, 70, 600}));
}

TEST_F(DecodeAttentionSm90Gpu, GroupsOfHeads) {
  for (auto [q, kv] : {std::pair<int64_t, int64_t>{2, 2}, {7, 1}, {9, 1}, {16, 1}, {20, 1}, {71, 1}, {40, 2}})
    check(heads(q, kv, 64), steps({1, 65, 700, 1100}), 64);
  check(heads(12, 1, 256), steps({5, 700}));
}

TEST_F(DecodeAttentionSm90Gpu, BlockSizesAndChunks) {
  for (int64_t block : {16, 32, 128, 192}) check(heads(4, 1, 128, block), steps({1, 17, 64, 100, 513, 1300}));
  for (int64_t chunk : {64, 256, 1024}) {
    auto spec = heads(4, 1, 128);
    spec.chunk = chunk;
    check(spec, steps({1, 64, 65, 1000, 2049, 4000}));
  }
}

TEST_F(DecodeAttentionSm90Gpu, WindowsTypesScalesAndCaps) {
  for (int64_t window : {1, 63, 64, 100, 600, 5000}) {
    auto spec = heads(4, 2, 128);
    spec.window = window;
    check(spec, kKeys);
  }
  auto spec = heads(8, 2, 128);
  spec.dtype = ir::f16, spec.scale = 0.5;
  check(spec, kKeys);
  spec.softcap = 3, spec.window = 300;
  check(spec, kKeys);
  spec = heads(4, 4, 256), spec.softcap = 20, spec.scale = 0.3;
  check(spec, kKeys);
}

// Long sequences get longer pieces: the device's plan is the host's.
TEST_F(DecodeAttentionSm90Gpu, LongSequences) {
  auto spec = heads(2, 1, 64);
  AttentionProblem problem(as_prefill(spec), steps({8192, 8193, 16384, 40000, 70001}));
  Step step(spec, problem);
  step.launch(false);
  std::vector<int32_t> plan(step.plan.bytes() / 4);
  test_stream().download(plan.data(), step.plan, step.plan.bytes());
  test_stream().synchronize();
  size_t row = 1;
  for (size_t s = 0; s < problem.sequences.size(); ++s) {
    int64_t keys = problem.sequences[s].keys, piece = decode_piece(keys, spec.chunk);
    for (int64_t begin = 0; begin < keys; begin += piece, ++row) {
      ASSERT_EQ(plan[8 * row], static_cast<int32_t>(s)) << row;
      ASSERT_EQ(plan[8 * row + 2], begin) << row;
      ASSERT_EQ(plan[8 * row + 3], std::min(begin + piece, keys)) << row;
    }
  }
  EXPECT_EQ(plan[0], static_cast<int32_t>(row - 1));
  problem.compare(step.result(), "long sequences");
}

// Empty rows of a batch, and sequences that have more than one query, are left alone.
TEST_F(DecodeAttentionSm90Gpu, TakesSequencesWithOneQueryAlone) {
  auto spec = heads(4, 2, 128);
  AttentionProblem problem(as_prefill(spec), {{1, 600}, {5, 90}, {1, 40}, {0, 17}, {1, 1}, {2, 2}});
  auto got = run(spec, problem, true);
  auto want = problem.reference();
  size_t row = static_cast<size_t>(spec.q_heads * spec.head_dim);
  for (size_t s = 0; s < problem.sequences.size(); ++s)
    for (int32_t t = problem.first[s]; t < problem.first[s + 1]; ++t)
      for (size_t e = static_cast<size_t>(t) * row; e < static_cast<size_t>(t + 1) * row; ++e) {
        if (problem.sequences[s].queries == 1)
          ASSERT_NEAR(got[e], want[e], 0.02) << "sequence " << s;
        else
          ASSERT_TRUE(std::isnan(got[e])) << "sequence " << s;
      }
  AttentionProblem padded(as_prefill(spec), {{1, 600}, {1, 64}, {1, 40}});
  padded.lengths[1] = 0;
  auto some = run(spec, padded);
  for (size_t e = row; e < 2 * row; ++e) ASSERT_TRUE(std::isnan(some[e]));
  EXPECT_FALSE(std::isnan(some[0]) || std::isnan(some[2 * row]));
}

// Bit for bit: the neighbours in a launch leave no trace, nor does time, nor how many blocks share the work.
TEST_F(DecodeAttentionSm90Gpu, AnswersDoNotDependOnCompany) {
  auto spec = heads(8, 2, 128);
  AttentionProblem alone(as_prefill(spec), steps({2777}));
  AttentionProblem together(as_prefill(spec), steps({2777, 1, 5000, 64, 900, 900, 900, 10000}));
  std::copy(alone.q.begin(), alone.q.end(), together.q.begin());
  std::copy(alone.k.begin(), alone.k.end(), together.k.begin());
  std::copy(alone.v.begin(), alone.v.end(), together.v.begin());
  together.upload_all();
  auto want = run(spec, alone);
  Step step(spec, together);
  for (int round = 0; round < 20; ++round) {
    step.launch(false);
    auto got = step.result();
    got.resize(want.size());
    ASSERT_EQ(got, want) << round;
  }
  for (const char* text : {"stages=1", "stages=2", "blocks=1"}) {
    auto other = parse_spec<DecodeAttentionSm90Spec>(std::string("q_heads=8,kv_heads=2,") + text);
    EXPECT_EQ(run(other, alone), want) << text;
  }
}

// One graph serves steps of other lengths and tables.
TEST_F(DecodeAttentionSm90Gpu, IsCapturedOnceForAllLengths) {
  for (bool pdl : {false, true}) {
    auto spec = heads(8, 2, 128);
    spec.pdl = pdl;
    const std::vector<Sequence> lists[] = {steps({700, 64, 1, 3000}), steps({3000, 65, 2, 3}),
                                           steps({1, 1, 1, 1})};
    AttentionProblem widest(as_prefill(spec), steps({3000, 3000, 3000, 3000}));
    Step step(spec, widest, 3000);
    test_stream().begin_capture();
    step.launch(false);
    step.launch(false);
    auto graph = test_stream().end_capture();
    for (const auto& list : lists) {
      AttentionProblem problem = AttentionProblem(as_prefill(spec), list);
      // The same cache and queries, seen at other lengths.
      problem.q = widest.q;
      problem.k.clear(), problem.v.clear();
      size_t row = static_cast<size_t>(spec.kv_heads * spec.head_dim);
      for (size_t s = 0; s < list.size(); ++s)
        for (auto [from, to] : {std::pair{&widest.k, &problem.k}, {&widest.v, &problem.v}})
          to->insert(
              to->end(), from->begin() + static_cast<int64_t>(s * 3000 * row),
              from->begin() + static_cast<int64_t>((s * 3000 + static_cast<size_t>(list[s].keys)) * row));
      test_stream().upload(step.lengths, problem.lengths.data(), problem.lengths.size() * 4);
      test_stream().fill(step.out, 0xff, step.out.bytes());
      test_stream().launch(*graph);
      problem.compare(step.result(), "graph " + describe(problem));
    }
  }
}

TEST_F(DecodeAttentionSm90Gpu, PlansManySequences) {
  std::vector<Sequence> list;
  for (int i = 0; i < 700; ++i) list.push_back({1, 1 + i * 37 % 1500});
  DecodeAttentionSm90Spec spec = heads(1, 1, 64);
  AttentionProblem problem(as_prefill(spec), list);
  Step step(spec, problem);
  step.launch(false);
  std::vector<int32_t> plan(step.plan.bytes() / 4);
  test_stream().download(plan.data(), step.plan, step.plan.bytes());
  test_stream().synchronize();
  std::vector<int32_t> want;
  for (size_t s = 0; s < list.size(); ++s) {
    auto first = static_cast<int32_t>(want.size() / 8);
    int32_t pieces = (list[s].keys + 511) / 512;
    for (int32_t i = 0; i < pieces; ++i)
      want.insert(want.end(), {static_cast<int32_t>(s), static_cast<int32_t>(s), i * 512,
                               std::min(list[s].keys, (i + 1) * 512), 0, first, pieces, 0});
  }
  EXPECT_EQ(plan[0], static_cast<int32_t>(want.size() / 8));
  EXPECT_TRUE(std::equal(want.begin(), want.end(), plan.begin() + 8));
  problem.compare(step.result(), "700 sequences");
}

TEST(DecodeAttentionSm90, IsRecordedAndVerifiedWithoutAGpu) {
  auto target = ir::parse_target("sm_90a");
  auto make = [&](ir::Kernel kernel, const std::string& text) {
    ir::optimize(kernel);
    ir::verify(kernel);
    EXPECT_LE(kernel.shared_bytes, 232448) << text;
  };
  for (const auto& text : decode_attention_sm90_entry().standard)
    make(decode_attention_sm90(target, parse_spec<DecodeAttentionSm90Spec>(text)), text);
  for (const auto& text : decode_plan_sm90_entry().standard)
    make(decode_plan_sm90(target, parse_spec<DecodePlanSm90Spec>(text)), text);
}

TEST(DecodeAttentionSm90, PiecesDependOnTheLengthAlone) {
  EXPECT_EQ(decode_piece(1, 512), 512);
  EXPECT_EQ(decode_piece(8192, 512), 512);
  EXPECT_EQ(decode_piece(8193, 512), 576);
  EXPECT_EQ(decode_piece(16384, 512), 1024);
  EXPECT_EQ(decode_piece(50000, 512), 2048);
  EXPECT_EQ(decode_piece(131072, 512), 4096);
  for (int64_t keys = 1; keys < 300000; keys += 997)
    EXPECT_LE((keys + decode_piece(keys, 512) - 1) / decode_piece(keys, 512), kDecodeMostPieces) << keys;
}

TEST(DecodeAttentionSm90, RefusesWhatItCannotDo) {
  auto target = ir::parse_target("sm_90a");
  for (const char* text :
       {"dtype=f32", "q_heads=5,kv_heads=2", "head_dim=100", "head_dim=264", "window=-1", "block_size=48",
        "block_size=0", "scale=-1", "chunk=100", "chunk=0", "stages=9", "blocks=5"})
    EXPECT_THROW(decode_attention_sm90(target, parse_spec<DecodeAttentionSm90Spec>(text)), KernelError)
        << text;
  EXPECT_THROW(decode_attention_sm90(ir::parse_target("sm_100a"), {}), KernelError);
  EXPECT_THROW(decode_plan_sm90(target, parse_spec<DecodePlanSm90Spec>("chunk=65")), KernelError);
}

}  // namespace
}  // namespace rose::kernels
