// One query a lane. A tile is 16 or 32 lanes: the query heads that share a key head, for as many neighbouring
// queries as there is room. Every element of a key or value is then one broadcast that meets all of them, and
// the softmax needs no sum across lanes. Queries and results are transposed, [head_dim, lanes], in scratch
// memory.
#include "kernels/attention/x86_attention.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "dsl/block.h"
#include "kernels/arguments.h"
#include "kernels/attention/x86_attention_amx.h"
#include "kernels/attention/x86_attention_single.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr const char* kName = "x86_attention";
constexpr int kLanes = 16;     // of a vector
constexpr int64_t kKeys = 32;  // of one step of the online softmax; divides the cache's blocks
constexpr double kLog2E = 1.4426950408889634;
constexpr double kLowest = -1e30;  // below all scores, and finite, so that differences are numbers

void check(const X86AttentionSpec& s) {
  check_row_spec(kName, s.dtype, s.head_dim, 512);
  check_row_spec(kName, s.kv_dtype, s.head_dim, 512);
  require(s.kv_heads >= 1 && s.q_heads >= 1 && s.q_heads <= 4096 && s.q_heads % s.kv_heads == 0, kName,
          "q_heads", s.q_heads, fmt::format("use a multiple of kv_heads {}, up to 4096", s.kv_heads));
  require(s.block_size >= 0 && s.block_size % kKeys == 0, kName, "block_size", s.block_size,
          "use a multiple of 32, or 0");
  require(s.window >= 0, kName, "window", s.window, "it must not be negative");
  if (s.mask != "causal" && s.mask != "full")
    throw KernelError(fmt::format("{}: mask is '{}'; use causal or full", kName, s.mask));
}

// How lanes are shared out: lane = query · heads + head.
struct TileShape {
  int panels;     // vectors
  int64_t heads;  // query heads, all of one key head
  int64_t queries;
  int64_t lanes() const { return int64_t{panels} * kLanes; }
};

TileShape tile_shape(const ir::Target& target, const X86AttentionSpec& s) {
  int64_t group = s.q_heads / s.kv_heads, most = target.x86.avx512 ? 2 * kLanes : kLanes,
          heads = std::min(group, most);
  while (group % heads) --heads;
  int64_t queries = s.single ? 1 : most / heads;
  return {static_cast<int>((heads * queries + kLanes - 1) / kLanes), heads, queries};
}

class Attention {
 public:
  Attention(Block& block, const X86AttentionSpec& spec)
      : block_(block), spec_(spec), tile_(tile_shape(block.target(), spec)) {
    Dim q_stride = dynamic("q_stride"),
        kv_stride = paged() ? Dim(spec.kv_heads * spec.head_dim) : dynamic("kv_stride");
    const char* rows = paged() ? "slots" : "tokens";
    q_ = block.input("q", spec.dtype, shape(dynamic("tokens"), spec.q_heads, spec.head_dim),
                     {q_stride, spec.head_dim, 1});
    k_ = block.input("k", spec.kv_dtype, shape(dynamic(rows), spec.kv_heads, spec.head_dim),
                     {kv_stride, spec.head_dim, 1});
    v_ = block.input("v", spec.kv_dtype, shape(dynamic(rows), spec.kv_heads, spec.head_dim),
                     {kv_stride, spec.head_dim, 1});
    out_ = block.output("out", spec.dtype, shape(dynamic("tokens"), spec.q_heads, spec.head_dim));
    first_queries_ = block.input("first_queries", s32, shape(dynamic("first_count")));
    if (paged()) {
      lengths_ = block.input("lengths", s32, shape(dynamic("sequences")));
      table_ = block.input("block_table", s32, shape(dynamic("sequences"), dynamic("table_width")));
    }
    tiles_ = block.input("tiles", s32, shape(dynamic("tile_count"), 2));
  }

  void run() {
    place();
    stage_queries();
    Val first = first_key(first_query_), end = last_key(last_query_) + 1;
    FOR (key, first - first % kKeys, end, kKeys, Unroll{1}) {
      step(key);
    }
    write();
  }

 private:
  bool paged() const { return spec_.block_size != 0; }
  int64_t lanes() const { return tile_.lanes(); }
  Tensor lane_row(const char* name, Type type) { return block_.shared(name, type, shape(lanes()), 64); }
  Val panel(const Tensor& row, int p) { return load_pack(row, {}, int64_t{p} * kLanes, kLanes)[0]; }
  void put(const Tensor& row, int p, const Val& value) { store_pack(row, {}, int64_t{p} * kLanes, {value}); }
  Val entry(const Tensor& list, const Arg& index) { return to(s64, load(list, index)); }

  // Which sequence, queries and heads this block works on.
  void place() {
    Val tile = block_.index(0), group = block_.index(1);
    sequence_ = entry(tiles_(tile), 0);
    first_query_ = entry(tiles_(tile), 1);
    begin_ = entry(first_queries_, sequence_);
    queries_ = entry(first_queries_, sequence_ + 1) - begin_;
    keys_ = paged() ? entry(lengths_, sequence_) : queries_;
    last_query_ = min(first_query_ + tile_.queries, queries_) - 1;
    q_head_ = group * tile_.heads;
    kv_head_ = q_head_ / (spec_.q_heads / spec_.kv_heads);
    position_ = keys_ - queries_;
  }

  // The first and the last key that a query sees.
  Val first_key(const Val& query) {
    if (spec_.window == 0) return literal(s64, 0);
    return max(query + position_ + (spec_.mask == "causal" ? 1 - spec_.window : -(spec_.window / 2)), 0);
  }
  Val last_key(const Val& query) {
    if (spec_.mask == "causal") return query + position_;
    return spec_.window == 0 ? keys_ - 1 : min(query + position_ + spec_.window / 2, keys_ - 1);
  }

  // q transposed and scaled, so that scores are exponents of two; what each lane sees; empty results.
  void stage_queries() {
    double scale = spec_.scale ? spec_.scale : 1 / std::sqrt(static_cast<double>(spec_.head_dim));
    scale *= spec_.softcap ? 1 / spec_.softcap : kLog2E;
    query_ = block_.shared("query", f32, shape(spec_.head_dim, lanes()), 64);
    result_ = block_.shared("result", f32, shape(spec_.head_dim, lanes()), 64);
    scores_ = block_.shared("scores", f32, shape(kKeys, lanes()), 64);
    highest_ = lane_row("highest", f32), sum_ = lane_row("sum", f32);
    first_ = lane_row("first", s32), last_ = lane_row("last", s32);
    Type vector = f32.with_lanes(kLanes), integers = s32.with_lanes(kLanes);
    for (int p = 0; p < tile_.panels; ++p) {
      put(highest_, p, literal(vector, kLowest)), put(sum_, p, literal(vector, 0.0));
      put(first_, p, literal(integers, 0)), put(last_, p, literal(integers, 0));
    }
    FOR (d, 0, literal(s64, spec_.head_dim), Unroll{1})
      for (int p = 0; p < tile_.panels; ++p) {
        put(query_(d), p, literal(vector, 0.0));
        put(result_(d), p, literal(vector, 0.0));
      }
    FOR (i, 0, literal(s64, tile_.queries), Unroll{1}) {
      Val query = min(first_query_ + i, queries_ - 1);
      for (int64_t h = 0; h < tile_.heads; ++h) {
        Val lane = i * tile_.heads + h;
        store_at(first_, lane, to(s32, first_key(query)));
        store_at(last_, lane, to(s32, last_key(query)));
        Tensor row = q_(begin_ + query, q_head_ + h);
        FOR (d, 0, literal(s64, spec_.head_dim), Unroll{1})
          store_at(query_(d), lane, to(f32, load(row, d)) * scale);
      }
    }
  }

  // Keys [key, key + kKeys), those behind the sequence's end being its last, masked.
  void step(const Val& key) {
    Val row =
        paged() ? entry(table_(sequence_), key / spec_.block_size) * spec_.block_size + key % spec_.block_size
                : begin_ + key;
    Val most = keys_ - 1 - key;
    score(key, row, most);
    weigh(row, most);
  }

  // Largest divisor of `count` up to `most`: how far a loop of `count` turns is unrolled.
  static int unroll(int64_t count, int most) {
    while (count % most) --most;
    return most;
  }
  int registers() const { return block_.target().x86.avx512 ? 16 : 6; }  // vectors of sums held at once

  using Vectors =
      std::vector<std::vector<Var>>;  // [row][panel]; a Var is never moved: a copy is another variable

  // Scores of all keys of the step, masked, and the highest of each lane so far; then their weights and the
  // sum of them.
  void score(const Val& key, const Val& row, const Val& most) {
    int width = unroll(kKeys, std::max(1, registers() / tile_.panels));
    std::vector<Var> highest;
    highest.reserve(static_cast<size_t>(tile_.panels));
    for (int p = 0; p < tile_.panels; ++p) highest.emplace_back(panel(highest_, p));
    FOR (j, 0, literal(s64, kKeys), width, Unroll{1}) {
      std::vector<Tensor> keys;
      for (int i = 0; i < width; ++i) keys.push_back(k_(row + min(j + i, most), kv_head_));
      Vectors sums(static_cast<size_t>(width));
      for (auto& sum : sums) {
        sum.reserve(static_cast<size_t>(tile_.panels));
        for (int p = 0; p < tile_.panels; ++p) sum.emplace_back(literal(f32.with_lanes(kLanes), 0.0));
      }
      FOR (d, 0, literal(s64, spec_.head_dim), Unroll{1}) {
        std::vector<Val> q;
        for (int p = 0; p < tile_.panels; ++p) q.push_back(panel(query_(d), p));
        for (size_t i = 0; i < keys.size(); ++i) {
          Val element = splat(to(f32, load(keys[i], d)), kLanes);
          for (size_t p = 0; p < q.size(); ++p) sums[i][p] = fma(element, q[p], sums[i][p]);
        }
      }
      for (int i = 0; i < width; ++i)
        for (int p = 0; p < tile_.panels; ++p) {
          Val number = splat(to(s32, key + j + i), kLanes),
              value = sums[static_cast<size_t>(i)][static_cast<size_t>(p)];
          if (spec_.softcap) value = tanh(value) * (spec_.softcap * kLog2E);
          Val seen = number <= panel(last_, p);
          if (spec_.window) seen = seen & (number >= panel(first_, p));
          value = select(seen, value, literal(value.type(), -std::numeric_limits<double>::infinity()));
          auto& top = highest[static_cast<size_t>(p)];
          top = max(top, value);
          put(scores_(j + i), p, value);
        }
    }
    for (int p = 0; p < tile_.panels; ++p) {
      Val top = highest[static_cast<size_t>(p)];
      Val shrink = exp2(panel(highest_, p) - top);
      Var sum = panel(sum_, p) * shrink;
      put(highest_, p, top);
      FOR (j, 0, literal(s64, kKeys), Unroll{1}) {
        Val weight = exp2(panel(scores_(j), p) - top);
        put(scores_(j), p, weight);
        sum += weight;
      }
      put(sum_, p, sum);
      shrink_.resize(static_cast<size_t>(tile_.panels));
      shrink_[static_cast<size_t>(p)] = shrink;
    }
  }

  // result = result · shrink + weights · v.
  void weigh(const Val& row, const Val& most) {
    int width = unroll(spec_.head_dim, std::max(1, registers() / tile_.panels));
    FOR (d, 0, literal(s64, spec_.head_dim), width, Unroll{1}) {
      Vectors sums(static_cast<size_t>(width));
      for (int i = 0; i < width; ++i) {
        auto& sum = sums[static_cast<size_t>(i)];
        sum.reserve(static_cast<size_t>(tile_.panels));
        for (int p = 0; p < tile_.panels; ++p)
          sum.emplace_back(panel(result_(d + i), p) * shrink_[static_cast<size_t>(p)]);
      }
      FOR (j, 0, literal(s64, kKeys), Unroll{1}) {
        Tensor value = v_(row + min(j, most), kv_head_);
        std::vector<Val> weights;
        for (int p = 0; p < tile_.panels; ++p) weights.push_back(panel(scores_(j), p));
        for (int i = 0; i < width; ++i) {
          Val element = splat(to(f32, load_pack(value, d, i, 1)[0]), kLanes);
          for (size_t p = 0; p < weights.size(); ++p) {
            auto& sum = sums[static_cast<size_t>(i)][p];
            sum = fma(element, weights[p], sum);
          }
        }
      }
      for (int i = 0; i < width; ++i)
        for (int p = 0; p < tile_.panels; ++p)
          put(result_(d + i), p, sums[static_cast<size_t>(i)][static_cast<size_t>(p)]);
    }
  }

  void write() {
    std::vector<Val> inverse;
    for (int p = 0; p < tile_.panels; ++p) inverse.push_back(1.0 / panel(sum_, p));
    FOR (d, 0, literal(s64, spec_.head_dim), Unroll{1})
      for (int p = 0; p < tile_.panels; ++p)
        put(result_(d), p, panel(result_(d), p) * inverse[static_cast<size_t>(p)]);
    FOR (i, 0, last_query_ - first_query_ + 1, Unroll{1})
      for (int64_t h = 0; h < tile_.heads; ++h) {
        Tensor row = out_(begin_ + first_query_ + i, q_head_ + h);
        FOR (d, 0, literal(s64, spec_.head_dim), Unroll{1})
          store_at(row, d, to(spec_.dtype, load(result_(d), i * tile_.heads + h)));
      }
  }

  Block& block_;
  const X86AttentionSpec& spec_;
  TileShape tile_;
  Tensor q_, k_, v_, out_, first_queries_, lengths_, table_, tiles_;
  Tensor query_, result_, scores_, highest_, sum_, first_, last_;
  Val sequence_, begin_, queries_, keys_, position_, first_query_, last_query_, q_head_, kv_head_;
  std::vector<Val> shrink_;  // of each panel: what the step's new maximum does to earlier weights
};

}  // namespace

ir::Kernel x86_attention(const ir::Target& target, const X86AttentionSpec& spec) {
  check(spec);
  if (target.is_gpu()) throw KernelError("x86_attention: the target is a GPU");
  if (x86_attention_has_single_form(spec)) return x86_attention_single(target, spec);
  if (x86_attention_has_amx_form(target, spec)) return x86_attention_amx(target, spec);
  return record(kName, {.target = target}, [&](Block& block) { Attention(block, spec).run(); });
}

X86Attention::X86Attention(runtime::Context& context, const X86AttentionSpec& spec) : spec_(spec) {
  auto target = runtime::target_of(context.properties());
  check(spec);
  spec_.single = true;
  single_ = &program(context, kName, spec_, x86_attention);
  single_heads_ =
      x86_attention_has_single_form(spec_) ? spec.q_heads / spec.kv_heads : tile_shape(target, spec_).heads;
  spec_.single = false;
  several_ = &program(context, kName, spec_, x86_attention);
  bool amx = x86_attention_has_amx_form(target, spec_);
  several_heads_ = amx ? x86_attention_amx_heads(spec_) : tile_shape(target, spec_).heads;
  tile_queries_ = amx ? kAmxAttentionLanes / several_heads_ : tile_shape(target, spec_).queries;
}

X86Attention::Tiles X86Attention::tiles(std::span<const int32_t> first_queries) const {
  Tiles tiles;
  for (size_t s = 0; s + 1 < first_queries.size(); ++s) {
    auto count = first_queries[s + 1] - first_queries[s];
    auto& list = count == 1 ? tiles.single : tiles.several;
    for (int32_t first = 0; first < count; first += static_cast<int32_t>(tile_queries_))
      list.push_back(static_cast<int32_t>(s)), list.push_back(first);
  }
  return tiles;
}

void X86Attention::operator()(runtime::Stream& stream, const Arguments& a) const {
  auto launch = [&](const runtime::Program& program, runtime::DevicePointer tiles, int64_t count,
                    int64_t heads) {
    if (count == 0) return;
    int64_t row = spec_.q_heads * spec_.head_dim, kv_row = spec_.kv_heads * spec_.head_dim;
    LaunchArguments list(kName);
    // Extents of k, v and of the lists are not read.
    list.add(a.q).add(a.tokens).add(a.q_stride ? a.q_stride : row).add(a.k);
    if (spec_.block_size)
      list.add(int64_t{0});
    else
      list.add(a.kv_stride ? a.kv_stride : kv_row);
    list.add(a.v).add(a.out).add(a.first_queries).add(a.sequences + 1);
    list.optional("lengths", spec_.block_size > 0, a.lengths);
    if (spec_.block_size) list.add(a.sequences);
    list.optional("block_table", spec_.block_size > 0, a.block_table);
    if (spec_.block_size) list.add(a.table_width);
    list.add(tiles).add(count);
    runtime::Grid grid = grid_of(count);
    grid.y = grid_of(spec_.q_heads / heads).x;
    stream.launch(program, grid, list.list());
  };
  launch(*several_, a.several, a.several_count, several_heads_);
  launch(*single_, a.single, a.single_count, single_heads_);
}

}  // namespace rose::kernels
