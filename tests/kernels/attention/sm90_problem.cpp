#include "sm90_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace rose::kernels {

runtime::Buffer upload_integers(const std::vector<int32_t>& values) {
  auto buffer = test_context().device().allocate(std::max<size_t>(values.size(), 1) * 4);
  test_stream().upload(buffer, values.data(), values.size() * 4);
  test_stream().synchronize();
  return buffer;
}

AttentionProblem::AttentionProblem(const AttentionSm90Spec& s, std::vector<Sequence> list, int64_t gap)
    : spec(s), sequences(std::move(list)), gap_(gap) {
  for (auto& one : sequences) {
    if (!spec.block_size) one.keys = one.queries;
    first.push_back(first.back() + one.queries), keys += one.keys, lengths.push_back(one.keys);
  }
  q = random_values(spec.dtype, first.back() * spec.q_heads * spec.head_dim, 1);
  k = random_values(spec.dtype, keys * spec.kv_heads * spec.head_dim, 2);
  v = random_values(spec.dtype, keys * spec.kv_heads * spec.head_dim, 3);
  q_stride = spec.q_heads * spec.head_dim + gap;
  make_table();
  upload_all();
}

void AttentionProblem::make_table() {
  if (!spec.block_size) return;
  for (auto s : sequences) {
    int64_t count = (s.keys + spec.block_size - 1) / spec.block_size;
    blocks += count, table_width = std::max(table_width, count);
  }
  blocks += 3;  // some that nobody has
  std::vector<int32_t> order(static_cast<size_t>(blocks));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  table.assign(sequences.size() * static_cast<size_t>(table_width), -1);  // not a block: must not be read
  size_t next = 0;
  for (size_t s = 0; s < sequences.size(); ++s)
    for (int64_t i = 0; i * spec.block_size < sequences[s].keys; ++i)
      table[s * static_cast<size_t>(table_width) + static_cast<size_t>(i)] = order[next++];
}

void AttentionProblem::upload_all() {
  if (!on_gpu()) return;
  const int64_t row = spec.q_heads * spec.head_dim, kv_row = spec.kv_heads * spec.head_dim;
  std::vector<double> spread(static_cast<size_t>(std::max<int64_t>(1, first.back()) * q_stride),
                             std::nan(""));
  for (int64_t t = 0; t < first.back(); ++t)
    std::copy_n(&q[static_cast<size_t>(t * row)], row, &spread[static_cast<size_t>(t * q_stride)]);
  q_device = upload(spec.dtype, spread);
  if (!spec.block_size) {
    k_device = upload(spec.dtype, k), v_device = upload(spec.dtype, v);
    return;
  }
  std::vector<double> k_cache(static_cast<size_t>(blocks * spec.block_size * kv_row), std::nan("")),
      v_cache = k_cache;
  int64_t key = 0;
  for (size_t s = 0; s < sequences.size(); ++s)
    for (int64_t i = 0; i < sequences[s].keys; ++i, ++key) {
      int64_t block = table[s * static_cast<size_t>(table_width) + static_cast<size_t>(i / spec.block_size)];
      int64_t slot = block * spec.block_size + i % spec.block_size;
      std::copy_n(&k[static_cast<size_t>(key * kv_row)], kv_row,
                  &k_cache[static_cast<size_t>(slot * kv_row)]);
      std::copy_n(&v[static_cast<size_t>(key * kv_row)], kv_row,
                  &v_cache[static_cast<size_t>(slot * kv_row)]);
    }
  k_device = upload(spec.dtype, k_cache), v_device = upload(spec.dtype, v_cache);
}

std::vector<double> AttentionProblem::reference() const {
  std::vector<double> out(q.size());
  int64_t key = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    auto token = static_cast<size_t>(first[s] * spec.q_heads * spec.head_dim),
         row = static_cast<size_t>(key * spec.kv_heads * spec.head_dim);
    if (sequences[s].queries)
      attention_sm90_reference(spec, &q[token], &k[row], &v[row], &out[token], sequences[s].queries,
                               sequences[s].keys);
    key += sequences[s].keys;
  }
  return out;
}

void AttentionProblem::compare(const std::vector<double>& got, const std::string& what) const {
  auto want = reference();
  ASSERT_EQ(got.size(), want.size()) << what;
  const double u = ir::unit_roundoff(spec.dtype), f32_u = ir::unit_roundoff(ir::f32);
  const double scale = spec.scale ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.head_dim));
  // An error of a score moves its weight by as much: d products in f32, |q| and |k| at most 1, and what a
  // soft cap's exponential adds. The 4 covers both roundings (1/√3 each of their bound, on average) many
  // times over.
  double score =
      static_cast<double>(spec.head_dim) * scale * std::sqrt(static_cast<double>(spec.head_dim)) * f32_u +
      16 * spec.softcap * f32_u;
  const double allowed = 4 * u + 4 * score;
  int misses = 0;
  double worst = 0;
  for (size_t row = 0; row * static_cast<size_t>(spec.head_dim) < got.size(); ++row) {
    double error = 0, norm = 0;
    for (size_t e = row * static_cast<size_t>(spec.head_dim), n = 0; n < static_cast<size_t>(spec.head_dim);
         ++n, ++e) {
      error += (got[e] - want[e]) * (got[e] - want[e]), norm += want[e] * want[e];
    }
    double relative = std::sqrt(error / norm);
    worst = std::max(worst, std::isnan(relative) ? 1e30 : relative);
    if (relative <= allowed) continue;
    if (++misses <= 3)
      ADD_FAILURE() << fmt::format("{}: token {}, head {} differs by {:.3g} of its norm, above {:.3g}", what,
                                   row / static_cast<size_t>(spec.q_heads),
                                   row % static_cast<size_t>(spec.q_heads), relative, allowed);
  }
  EXPECT_EQ(misses, 0) << what << ": " << misses << " rows; the worst by " << worst;
}

std::string describe(const AttentionProblem& problem) {
  std::string what = spec_text(problem.spec);
  for (auto s : problem.sequences) what += fmt::format(" {}/{}", s.queries, s.keys);
  return what;
}

}  // namespace rose::kernels
