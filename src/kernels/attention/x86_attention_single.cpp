// One query a sequence: here lanes are elements of the head, so that keys and values are read as they lie.
// The products of 16 keys are summed across lanes all at once, by a tree of shuffles that leaves one score in
// each lane; the softmax then works on 16 keys at a time.
#include "kernels/attention/x86_attention_single.h"

#include <cmath>
#include <limits>

#include "dsl/fragment.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kLanes = 16;
constexpr int64_t kKeys = 32;  // of one step of the online softmax; divides the cache's blocks
constexpr double kLog2E = 1.4426950408889634;
constexpr double kLowest = -1e30;

// Lane i of the result is the sum of the lanes of vectors[i].
Val sums_across(std::vector<Val> vectors) {
  // Each turn halves the number of vectors: of two, both halves of every run of lanes are added, the first
  // vector's sums going to even runs and the second's to odd ones.
  for (int64_t run = kLanes / 2; run >= 1; run /= 2) {
    std::vector<Val> next;
    for (size_t i = 0; i < vectors.size() / 2; ++i) {
      const Val &a = vectors[i], &b = vectors[i + vectors.size() / 2];
      std::vector<int64_t> low, high;
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        int64_t group = lane / (2 * run), within = lane % run, from = group * 2 * run + within;
        bool second = lane / run % 2 != 0;
        low.push_back(from + (second ? kLanes : 0));
        high.push_back(from + run + (second ? kLanes : 0));
      }
      next.push_back(shuffle_lanes(a, b, low) + shuffle_lanes(a, b, high));
    }
    vectors = std::move(next);
  }
  return vectors[0];
}

class Single {
 public:
  Single(Block& block, const X86AttentionSpec& spec)
      : block_(block), spec_(spec), heads_(spec.q_heads / spec.kv_heads), chunks_(spec.head_dim / kLanes) {
    Shape slots = shape(dynamic("slots"), spec.kv_heads, spec.head_dim);
    q_ = block.input("q", spec.dtype, shape(dynamic("tokens"), spec.q_heads, spec.head_dim),
                     {dynamic("q_stride"), spec.head_dim, 1});
    k_ = block.input("k", spec.kv_dtype, slots), v_ = block.input("v", spec.kv_dtype, slots);
    out_ = block.output("out", spec.dtype, shape(dynamic("tokens"), spec.q_heads, spec.head_dim));
    first_queries_ = block.input("first_queries", s32, shape(dynamic("first_count")));
    lengths_ = block.input("lengths", s32, shape(dynamic("sequences")));
    table_ = block.input("block_table", s32, shape(dynamic("sequences"), dynamic("table_width")));
    tiles_ = block.input("tiles", s32, shape(dynamic("tile_count"), 2));
  }

  void run() {
    kv_head_ = block_.index(1);
    sequence_ = entry(tiles_(block_.index(0)), 0);
    token_ = entry(first_queries_, sequence_);
    keys_ = entry(lengths_, sequence_);
    first_ = spec_.window == 0        ? literal(s64, 0)
             : spec_.mask == "causal" ? max(keys_ - spec_.window, 0)
                                      : max(keys_ - 1 - spec_.window / 2, 0);
    stage();
    FOR (key, first_ - first_ % kKeys, keys_, kKeys, Unroll{1}) {
      Val row = entry(table_(sequence_), key / spec_.block_size) * spec_.block_size + key % spec_.block_size;
      score(key, row);
      weigh(row, min(keys_ - key, kKeys));
    }
    write();
  }

 private:
  Val entry(const Tensor& list, const Arg& index) { return to(s64, load(list, index)); }
  Val vector(const Tensor& row, const Val& element, int64_t constant = 0) {
    return to(f32, load_pack(row, element, constant, kLanes)[0]);
  }

  void stage() {
    double scale = spec_.scale ? spec_.scale : 1 / std::sqrt(static_cast<double>(spec_.head_dim));
    scale *= spec_.softcap ? 1 / spec_.softcap : kLog2E;
    query_ = block_.shared("query", f32, shape(heads_, spec_.head_dim), 64);
    result_ = block_.shared("result", f32, shape(heads_, spec_.head_dim), 64);
    weights_ = block_.shared("weights", f32, shape(heads_, kKeys), 64);
    sums_ = block_.shared("sums", f32, shape(heads_, kLanes), 64);  // of weights, still one in each lane
    highest_ = block_.shared("highest", f32, shape(heads_), 64);
    shrink_ = block_.shared("shrink", f32, shape(heads_), 64);
    Val zero = literal(f32.with_lanes(kLanes), 0.0);
    for (int64_t h = 0; h < heads_; ++h) {
      store_at(highest_, h, literal(f32, kLowest));
      store_pack(sums_(h), {}, 0, {zero});
      Tensor from = q_(token_, kv_head_ * heads_ + h);
      FOR (c, 0, literal(s64, chunks_), Unroll{1}) {
        store_pack(query_(h), c * kLanes, 0, {vector(from, c * kLanes) * scale});
        store_pack(result_(h), c * kLanes, 0, {zero});
      }
    }
  }

  // Weights of the keys [key, key + kKeys). Rows behind the last key are read, being part of the block, and
  // masked.
  void score(const Val& key, const Val& row) {
    for (int64_t h = 0; h < heads_; ++h) {
      std::vector<Val> scores;
      for (int64_t part = 0; part < kKeys; part += kLanes) {
        std::vector<Var> products;
        products.reserve(kLanes);
        for (int j = 0; j < kLanes; ++j) products.emplace_back(literal(f32.with_lanes(kLanes), 0.0));
        Tensor first = k_(row, kv_head_);
        int64_t stride = spec_.kv_heads * spec_.head_dim;
        FOR (c, 0, literal(s64, chunks_), Unroll{1}) {
          Val q = vector(query_(h), c * kLanes);
          for (int j = 0; j < kLanes; ++j) {
            auto& sum = products[static_cast<size_t>(j)];
            sum = fma(vector(first, c * kLanes, (part + j) * stride), q, sum);
          }
        }
        Val score = sums_across({products.begin(), products.end()});
        if (spec_.softcap) score = tanh(score) * (spec_.softcap * kLog2E);
        Val number = lane_numbers(s32, kLanes) + splat(to(s32, key + part), kLanes);
        Val seen = number < splat(to(s32, keys_), kLanes);
        if (spec_.window) seen = seen & (number >= splat(to(s32, first_), kLanes));
        scores.push_back(
            select(seen, score, literal(score.type(), -std::numeric_limits<double>::infinity())));
      }
      Val before = load(highest_, h);
      Val highest = max(before, reduce_max(max(scores[0], scores[1]))), shrink = exp2(before - highest);
      store_at(highest_, h, highest), store_at(shrink_, h, shrink);
      Val sum = vector(sums_(h), literal(s64, 0)) * splat(shrink, kLanes);
      for (size_t i = 0; i < scores.size(); ++i) {
        Val weight = exp2(scores[i] - splat(highest, kLanes));
        store_pack(weights_(h), {}, static_cast<int64_t>(i) * kLanes, {weight});
        sum = sum + weight;
      }
      store_pack(sums_(h), {}, 0, {sum});
    }
  }

  // result = result · shrink + weights · v over the step's `count` keys.
  void weigh(const Val& row, const Val& count) {
    int64_t width = std::max<int64_t>(1, (block_.target().x86.avx512 ? 16 : 6) / heads_);
    while (chunks_ % width) --width;
    FOR (c, 0, literal(s64, chunks_), width, Unroll{1}) {
      std::vector<std::vector<Var>> sums(static_cast<size_t>(heads_));
      for (int64_t h = 0; h < heads_; ++h) {
        auto& mine = sums[static_cast<size_t>(h)];
        mine.reserve(static_cast<size_t>(width));
        Val shrink = splat(load(shrink_, h), kLanes);
        for (int64_t i = 0; i < width; ++i)
          mine.emplace_back(vector(result_(h), c * kLanes, i * kLanes) * shrink);
      }
      FOR (j, 0, count, Unroll{1}) {
        Tensor value = v_(row + j, kv_head_);
        std::vector<Val> elements;
        for (int64_t i = 0; i < width; ++i) elements.push_back(vector(value, c * kLanes, i * kLanes));
        for (int64_t h = 0; h < heads_; ++h) {
          Val weight = splat(load(weights_(h), j), kLanes);
          for (size_t i = 0; i < elements.size(); ++i) {
            auto& sum = sums[static_cast<size_t>(h)][i];
            sum = fma(weight, elements[i], sum);
          }
        }
      }
      for (int64_t h = 0; h < heads_; ++h)
        for (int64_t i = 0; i < width; ++i)
          store_pack(result_(h), c * kLanes, i * kLanes,
                     {Val(sums[static_cast<size_t>(h)][static_cast<size_t>(i)])});
    }
  }

  void write() {
    for (int64_t h = 0; h < heads_; ++h) {
      Val inverse = splat(1.0 / reduce_add(vector(sums_(h), literal(s64, 0))), kLanes);
      Tensor into = out_(token_, kv_head_ * heads_ + h);
      FOR (c, 0, literal(s64, chunks_), Unroll{1})
        store_pack(into, c * kLanes, 0, {to(spec_.dtype, vector(result_(h), c * kLanes) * inverse)});
    }
  }

  Block& block_;
  const X86AttentionSpec& spec_;
  int64_t heads_, chunks_;  // query heads of this block; vectors of a head
  Tensor q_, k_, v_, out_, first_queries_, lengths_, table_, tiles_;
  Tensor query_, result_, weights_, sums_, highest_, shrink_;
  Val kv_head_, sequence_, token_, keys_, first_;
};

}  // namespace

bool x86_attention_has_single_form(const X86AttentionSpec& spec) {
  return spec.single && spec.block_size > 0 && spec.head_dim % kLanes == 0 &&
         spec.q_heads / spec.kv_heads <= 8;
}

ir::Kernel x86_attention_single(const ir::Target& target, const X86AttentionSpec& spec) {
  return record("x86_attention", {.target = target}, [&](Block& block) { Single(block, spec).run(); });
}

}  // namespace rose::kernels
