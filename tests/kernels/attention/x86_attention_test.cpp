#include "kernels/attention/x86_attention.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "support.h"

namespace rose::kernels {
namespace {

struct Sequence {
  int32_t queries, keys;
};

runtime::Buffer integers(const std::vector<int32_t>& values) {
  auto buffer = test_context().device().allocate(std::max<size_t>(values.size(), 1) * 4);
  test_stream().upload(buffer, values.data(), values.size() * 4);
  test_stream().synchronize();
  return buffer;
}

// The cache's blocks are handed out backwards and with gaps, so that a wrong table shows.
constexpr int32_t kBlocks = 64;

struct Problem {
  X86AttentionSpec spec;
  std::vector<Sequence> sequences;
  std::vector<double> q, k, v;    // of all sequences, one after the other; k and v also hold the older keys
  std::vector<int32_t> first{0};  // tokens ahead of each sequence
  int64_t keys = 0;

  Problem(const X86AttentionSpec& s, std::vector<Sequence> list) : spec(s), sequences(std::move(list)) {
    for (auto& one : sequences) {
      if (!spec.block_size) one.keys = one.queries;
      first.push_back(first.back() + one.queries), keys += one.keys;
    }
    q = random_values(spec.dtype, first.back() * spec.q_heads * spec.head_dim, 1);
    k = random_values(spec.kv_dtype, keys * spec.kv_heads * spec.head_dim, 2);
    v = random_values(spec.kv_dtype, keys * spec.kv_heads * spec.head_dim, 3);
  }

  std::vector<double> reference() const {
    std::vector<double> out(q.size());
    int64_t key = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
      int64_t token = first[s] * spec.q_heads * spec.head_dim, row = key * spec.kv_heads * spec.head_dim;
      x86_attention_reference(spec, &q[static_cast<size_t>(token)], &k[static_cast<size_t>(row)],
                              &v[static_cast<size_t>(row)], &out[static_cast<size_t>(token)],
                              sequences[s].queries, sequences[s].keys);
      key += sequences[s].keys;
    }
    return out;
  }

  std::vector<double> run() const {
    X86Attention op(test_context(), spec);
    auto tiles = op.tiles(first);
    auto out = poisoned(spec.dtype, static_cast<int64_t>(q.size()));
    auto q_device = upload(spec.dtype, q), first_device = integers(first), several = integers(tiles.several),
         single = integers(tiles.single);
    X86Attention::Arguments a;
    a.q = q_device, a.out = out, a.first_queries = first_device, a.several = several, a.single = single;
    a.several_count = static_cast<int64_t>(tiles.several.size() / 2),
    a.single_count = static_cast<int64_t>(tiles.single.size() / 2);
    a.tokens = first.back(), a.sequences = static_cast<int64_t>(sequences.size());
    std::vector<int32_t> lengths, table;
    std::vector<double> k_cache = k, v_cache = v;
    if (spec.block_size) {
      page(lengths, table, k_cache, v_cache);
      a.table_width = static_cast<int64_t>(table.size() / sequences.size());
    }
    auto k_device = upload(spec.kv_dtype, k_cache), v_device = upload(spec.kv_dtype, v_cache),
         lengths_device = integers(lengths), table_device = integers(table);
    a.k = k_device, a.v = v_device, a.lengths = lengths_device, a.block_table = table_device;
    op(test_stream(), a);
    return download(spec.dtype, out, static_cast<int64_t>(q.size()));
  }

  // Spreads keys and values over the blocks of a cache that is NaN wherever no key lies.
  void page(std::vector<int32_t>& lengths, std::vector<int32_t>& table, std::vector<double>& k_cache,
            std::vector<double>& v_cache) const {
    int64_t row = spec.kv_heads * spec.head_dim, longest = 0;
    for (auto s : sequences) longest = std::max<int64_t>(longest, s.keys);
    int64_t width = (longest + spec.block_size - 1) / spec.block_size;
    table.assign(sequences.size() * static_cast<size_t>(width), -1);
    k_cache.assign(static_cast<size_t>(kBlocks * spec.block_size * row), std::nan(""));
    v_cache = k_cache;
    int32_t next = kBlocks - 1;
    int64_t key = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
      lengths.push_back(sequences[s].keys);
      for (int64_t i = 0; i < sequences[s].keys; ++i, ++key) {
        auto& number = table[s * static_cast<size_t>(width) + static_cast<size_t>(i / spec.block_size)];
        if (i % spec.block_size == 0) number = next, next -= 2;
        ASSERT_GE(number, 0);
        int64_t slot = number * spec.block_size + i % spec.block_size;
        std::copy_n(&k[static_cast<size_t>(key * row)], row, &k_cache[static_cast<size_t>(slot * row)]);
        std::copy_n(&v[static_cast<size_t>(key * row)], row, &v_cache[static_cast<size_t>(slot * row)]);
      }
    }
  }
};

void check(const X86AttentionSpec& spec, std::vector<Sequence> sequences) {
  Problem problem(spec, std::move(sequences));
  std::string what = spec_text(spec);
  for (auto s : problem.sequences) what += fmt::format(" {}/{}", s.queries, s.keys);
  // |q|, |k|, |v| ≤ 1. A score is a sum of head_dim products in one accumulator; an error of it moves all
  // weights by that much, relatively, and so does the sum of the weights' errors (exp2: 2 ulp each, adding
  // them up: one a step).
  double u = ir::unit_roundoff(ir::f32), d = static_cast<double>(spec.head_dim),
         scale = spec.scale ? spec.scale : 1 / std::sqrt(d);
  double longest = 0;
  for (auto s : problem.sequences) longest = std::max<double>(longest, s.keys);
  double score_error = (d + 4) * d * scale * u + (spec.softcap ? 8 * spec.softcap * u : 0);
  // With bf16: q, k and v are rounded, and so are the weights ahead of the products with v.
  double rounding = spec.bf16 ? 1.01 * ir::unit_roundoff(ir::bf16) : 0;
  score_error += 2 * rounding * d * scale;
  double absolute = 2 * score_error + 2 * rounding + (2 * longest + 8) * u;
  expect_close(problem.run(), problem.reference(), absolute, 1.01 * ir::unit_roundoff(spec.dtype), what);
}

X86AttentionSpec heads(int64_t q, int64_t kv, int64_t dim) {
  return {.q_heads = q, .kv_heads = kv, .head_dim = dim};
}

class X86AttentionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (on_gpu()) GTEST_SKIP() << "an x86 kernel";
  }
};

// Tiles of AMX where the machine has them; random values, so that 2 d scale roundings of scores are far more
// than what is seen.
TEST_F(X86AttentionTest, ProductsOfBf16) {
  for (const char* mask : {"causal", "full"})
    for (auto [q, kv, d] : {std::array<int64_t, 3>{9, 3, 64}, {4, 1, 256}, {5, 5, 32}}) {
      auto spec = heads(q, kv, d);
      spec.mask = mask, spec.bf16 = true;
      check(spec, {{2, 0}, {5, 0}, {31, 0}, {32, 0}, {33, 0}, {43, 0}, {64, 0}, {65, 0}, {200, 0}});
      spec.window = 40;
      check(spec, {{2, 0}, {30, 0}, {130, 0}});
      spec.block_size = 32, spec.window = 0;
      check(spec, {{2, 2}, {7, 40}, {42, 42}, {43, 143}, {90, 222}});
      spec.window = 48, spec.softcap = 30;
      check(spec, {{2, 100}, {60, 190}});
    }
}

TEST_F(X86AttentionTest, PackedSequencesOfAllLengths) {
  for (const char* mask : {"causal", "full"})
    for (auto [q, kv, d] : {std::array<int64_t, 3>{9, 3, 64}, {4, 4, 32}, {4, 1, 20}, {6, 2, 7}}) {
      auto spec = heads(q, kv, d);
      spec.mask = mask;
      check(spec, {{1, 0}, {2, 0}, {5, 0}, {10, 0}, {11, 0}, {31, 0}, {32, 0}, {33, 0}, {100, 0}});
    }
}

TEST_F(X86AttentionTest, PagedCache) {
  for (ir::Type kv : {ir::f32, ir::bf16, ir::f16})
    for (int64_t block : {32, 64}) {
      auto spec = heads(6, 2, 64);
      spec.kv_dtype = kv, spec.block_size = block;
      check(spec, {{1, 1}, {1, 33}, {17, 17}, {1, 64}, {40, 131}, {3, 70}, {1, 200}});
    }
}

TEST_F(X86AttentionTest, Windows) {
  for (int64_t window : {1, 2, 31, 32, 33, 64})
    for (const char* mask : {"causal", "full"}) {
      auto spec = heads(4, 2, 32);
      spec.window = window, spec.mask = mask;
      check(spec, {{1, 0}, {50, 0}, {131, 0}});
      spec.block_size = 32;
      check(spec, {{1, 100}, {50, 150}, {1, 7}});
    }
}

TEST_F(X86AttentionTest, ManyHeadsForOneKeyHead) {
  for (int64_t q : {16, 17, 32, 40, 71}) check(heads(q, 1, 16), {{1, 0}, {9, 0}});
}

TEST_F(X86AttentionTest, NarrowTypesScalesAndCaps) {
  for (ir::Type type : {ir::bf16, ir::f16}) {
    auto spec = heads(4, 2, 128);
    spec.dtype = type, spec.kv_dtype = type, spec.scale = 0.25, spec.softcap = 3;
    check(spec, {{1, 0}, {40, 0}});
  }
  check(heads(2, 1, 256), {{70, 0}});
}

// Bit for bit: the neighbours in a launch, and where a prompt was cut, leave no trace.
TEST_F(X86AttentionTest, AnswersDoNotDependOnCompany) {
  for (bool bf16 : {false, true}) {
    auto spec = heads(9, 3, 64);
    spec.block_size = 32, spec.bf16 = bf16;
    Problem alone(spec, {{77, 77}});
    Problem together(spec, {{77, 77}, {1, 40}, {30, 60}});
    // The same numbers for the first sequence.
    std::copy(alone.q.begin(), alone.q.end(), together.q.begin());
    std::copy(alone.k.begin(), alone.k.end(), together.k.begin());
    std::copy(alone.v.begin(), alone.v.end(), together.v.begin());
    auto want = alone.run(), got = together.run();
    got.resize(want.size());
    EXPECT_EQ(got, want);

    Problem rest(spec, {{37, 77}});  // its last 37 queries
    rest.k = alone.k, rest.v = alone.v;
    rest.q.assign(alone.q.end() - static_cast<int64_t>(rest.q.size()), alone.q.end());
    EXPECT_EQ(rest.run(), std::vector<double>(want.end() - static_cast<int64_t>(rest.q.size()), want.end()));
  }
}

TEST_F(X86AttentionTest, RefusesSpecsOutsideItsRange) {
  auto refused = [](X86AttentionSpec spec) {
    EXPECT_THROW(X86Attention(test_context(), spec), KernelError) << spec_text(spec);
  };
  refused(heads(5, 2, 64));
  refused(heads(4, 2, 513));
  auto spec = heads(4, 2, 64);
  spec.mask = "diagonal";
  refused(spec);
  spec = heads(4, 2, 64), spec.block_size = 48;
  refused(spec);
  spec = heads(4, 2, 64), spec.window = -1;
  refused(spec);
}

}  // namespace
}  // namespace rose::kernels
