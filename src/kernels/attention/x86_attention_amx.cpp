// As in x86_attention.cpp a lane is a query of one head, and keys are walked in steps with the online
// softmax; here the products are those of AMX tiles, of bf16:
//     scores [keys, lanes]  = K [keys, head_dim]  · Qᵀ     result [head_dim, lanes] += Vᵀ [head_dim, keys] ·
//     Pᵀ
// The left factors lie by rows; the right ones by words of two neighbours along the sum, one lane a column. A
// block has up to 128 lanes in parts of 32: keys and values are brought into this form once for all of them.
// Steps begin at multiples of kKeys whatever the tile holds, and steps of which a query sees nothing change
// nothing, so a query's result depends on itself alone.
#include "kernels/attention/x86_attention_amx.h"

#include <cmath>
#include <limits>

#include "dsl/block.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kLanes = 16;      // of a vector
constexpr int64_t kPart = 32;   // lanes that are computed together
constexpr int64_t kKeys = 64;   // of one step
constexpr int64_t kStage = 32;  // keys that lie in one block of the cache for certain
constexpr int64_t kTileBytes = 64;
constexpr double kLog2E = 1.4426950408889634;
constexpr double kLowest = -1e30;

Val address(const Tensor& t) { return t.offset ? t.base + t.offset : t.base; }

// Word i of vector j becomes word j of vector i.
std::vector<Val> transposed(std::vector<Val> v) {
  for (size_t run = 1; run < kLanes; run *= 2) {
    std::vector<int64_t> low, high;  // of a pair: blocks of `run` words change places
    for (size_t lane = 0; lane < kLanes; ++lane) {
      bool second = lane / run % 2 != 0;
      low.push_back(static_cast<int64_t>(second ? lane - run + kLanes : lane));
      high.push_back(static_cast<int64_t>(second ? lane + kLanes : lane + run));
    }
    std::vector<Val> next = v;
    for (size_t i = 0; i < kLanes; ++i)
      if (i / run % 2 == 0) {
        next[i] = shuffle_lanes(v[i], v[i + run], low);
        next[i + run] = shuffle_lanes(v[i], v[i + run], high);
      }
    v = std::move(next);
  }
  return v;
}

// Two vectors of f32 as one of bf16 pairs: word i holds first[i] and second[i].
Val pairs(const Val& first, const Val& second) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < kLanes; ++i) order.push_back(i), order.push_back(i + kLanes);
  Val both = to(bf16, concat({first, second}));
  return bitcast(u32.with_lanes(kLanes), shuffle_lanes(both, both, order));
}

class Amx {
 public:
  Amx(Block& block, const X86AttentionSpec& spec)
      : block_(block),
        spec_(spec),
        heads_(x86_attention_amx_heads(spec)),
        tile_queries_(kAmxAttentionLanes / heads_),
        dim_(spec.head_dim) {
    Dim kv_stride = paged() ? Dim(spec.kv_heads * dim_) : dynamic("kv_stride");
    const char* rows = paged() ? "slots" : "tokens";
    q_ = block.input("q", spec.dtype, shape(dynamic("tokens"), spec.q_heads, dim_),
                     {dynamic("q_stride"), dim_, 1});
    k_ = block.input("k", spec.kv_dtype, shape(dynamic(rows), spec.kv_heads, dim_), {kv_stride, dim_, 1});
    v_ = block.input("v", spec.kv_dtype, shape(dynamic(rows), spec.kv_heads, dim_), {kv_stride, dim_, 1});
    out_ = block.output("out", spec.dtype, shape(dynamic("tokens"), spec.q_heads, dim_));
    first_queries_ = block.input("first_queries", s32, shape(dynamic("first_count")));
    if (paged()) {
      lengths_ = block.input("lengths", s32, shape(dynamic("sequences")));
      table_ = block.input("block_table", s32, shape(dynamic("sequences"), dynamic("table_width")));
    }
    tiles_ = block.input("tiles", s32, shape(dynamic("tile_count"), 2));
  }

  void run() {
    place();
    configure();
    stage_queries();
    Val first = first_key(first_query_), end = last_key(last_query_) + 1;
    FOR (key, first - first % kKeys, end, kKeys, Unroll{1}) {
      FOR (half, literal(s64, 0), kKeys, kStage, Unroll{1}) stage_keys(key, half);
      FOR (part, literal(s64, 0), lanes_used_, kPart, Unroll{1}) {
        // The last query of this part; earlier parts do not see late keys.
        Val last = min(first_query_ + (part + kPart - 1) / heads_, last_query_);
        IF (last_key(last) >= key) {
          score(part);
          weigh(key, part);
          add_values(part);
        }
      }
    }
    op("tile.release", Type{}, {});
    write();
  }

 private:
  bool paged() const { return spec_.block_size != 0; }
  Val entry(const Tensor& list, const Arg& index) { return to(s64, load(list, index)); }
  Val panel(const Tensor& row, const Val& part, int64_t p) {
    return load_pack(row, part, p * kLanes, kLanes)[0];
  }
  void put(const Tensor& row, const Val& part, int64_t p, const Val& value) {
    store_pack(row, part, p * kLanes, {value});
  }

  void place() {
    Val tile = block_.index(0), group = block_.index(1);
    sequence_ = entry(tiles_(tile), 0);
    first_query_ = entry(tiles_(tile), 1);
    begin_ = entry(first_queries_, sequence_);
    queries_ = entry(first_queries_, sequence_ + 1) - begin_;
    keys_ = paged() ? entry(lengths_, sequence_) : queries_;
    last_query_ = min(first_query_ + tile_queries_, queries_) - 1;
    lanes_used_ = (last_query_ - first_query_ + 1) * heads_;
    q_head_ = group * heads_;
    kv_head_ = q_head_ / (spec_.q_heads / spec_.kv_heads);
    position_ = keys_ - queries_;
  }

  Val first_key(const Val& query) {
    if (spec_.window == 0) return literal(s64, 0);
    return max(query + position_ + (spec_.mask == "causal" ? 1 - spec_.window : -(spec_.window / 2)), 0);
  }
  Val last_key(const Val& query) {
    if (spec_.mask == "causal") return query + position_;
    return spec_.window == 0 ? keys_ - 1 : min(query + position_ + spec_.window / 2, keys_ - 1);
  }

  // Palette 1; every tile has 16 rows of 64 bytes.
  void configure() {
    auto configuration = block_.shared("tiles", u32, shape(16), 64);
    for (int word = 0; word < 16; ++word)
      store_at(configuration, word,
               literal(u32, int64_t{word == 0                 ? 1
                                    : word >= 4 && word < 8   ? 0x00400040
                                    : word >= 12 && word < 14 ? 0x10101010
                                                              : 0}));
    op("tile.config", Type{}, {address(configuration)});
  }

  // Sixteen lanes' row of q or out, from `lane` on; lanes behind the last one repeat it.
  Tensor lane_row(const Tensor& rows, const Val& lane, int64_t i) {
    Val one = min(lane + i, lanes_used_ - 1);
    return rows(begin_ + first_query_ + one / heads_, q_head_ + one % heads_);
  }

  void stage_queries() {
    double scale = spec_.scale ? spec_.scale : 1 / std::sqrt(static_cast<double>(dim_));
    scale *= spec_.softcap ? 1 / spec_.softcap : kLog2E;
    constexpr int64_t n = kAmxAttentionLanes;
    query_ = block_.shared("query", u32, shape(dim_ / 2, n), 64);
    result_ = block_.shared("result", f32, shape(dim_, n), 64);
    keys_staged_ = block_.shared("keys", bf16, shape(kKeys, dim_), 64);
    values_staged_ = block_.shared("values", u32, shape(dim_, kKeys / 2), 64);
    scores_ = block_.shared("scores", f32, shape(kKeys, kPart), 64);
    weights_ = block_.shared("weights", u32, shape(kKeys / 2, kPart), 64);
    highest_ = block_.shared("highest", f32, shape(n), 64), sum_ = block_.shared("sum", f32, shape(n), 64);
    first_ = block_.shared("first", s32, shape(n), 64), last_ = block_.shared("last", s32, shape(n), 64);
    Type vector = f32.with_lanes(kLanes);
    FOR (lane, literal(s64, 0), lanes_used_, kLanes, Unroll{1}) {
      put(highest_, lane, 0, literal(vector, kLowest)), put(sum_, lane, 0, literal(vector, 0.0));
      FOR (i, literal(s64, 0), kLanes, Unroll{1}) {
        Val query = first_query_ + min(lane + i, lanes_used_ - 1) / heads_;
        store_at(first_, lane + i, to(s32, first_key(query)));
        store_at(last_, lane + i, to(s32, last_key(query)));
      }
      FOR (d, literal(s64, 0), dim_, Unroll{1}) put(result_(d), lane, 0, literal(vector, 0.0));
      FOR (d, literal(s64, 0), dim_, 2 * kLanes, Unroll{1}) {
        std::vector<Val> rows;
        for (int64_t i = 0; i < kLanes; ++i) {
          Val row = to(f32, load_pack(lane_row(q_, lane, i), d, 0, 2 * kLanes)[0]) * scale;
          rows.push_back(bitcast(u32.with_lanes(kLanes), to(bf16, row)));
        }
        rows = transposed(rows);
        for (int64_t i = 0; i < kLanes; ++i) put(query_(d / 2 + i), lane, 0, rows[static_cast<size_t>(i)]);
      }
    }
    // What is empty of the last part.
    FOR (lane, (lanes_used_ + kLanes - 1) / kLanes * kLanes, (lanes_used_ + kPart - 1) / kPart * kPart,
         kLanes, Unroll{1}) {
      put(highest_, lane, 0, literal(vector, kLowest)), put(sum_, lane, 0, literal(vector, 0.0));
      put(first_, lane, 0, literal(s32.with_lanes(kLanes), 0));
      put(last_, lane, 0, literal(s32.with_lanes(kLanes), -1));
      FOR (d, literal(s64, 0), dim_, Unroll{1}) put(result_(d), lane, 0, literal(vector, 0.0));
      FOR (d, literal(s64, 0), dim_ / 2, Unroll{1})
        put(query_(d), lane, 0, literal(u32.with_lanes(kLanes), 0));
    }
  }

  // Keys [key + half, + kStage) to bf16, values to bf16 and transposed. Rows behind the last key repeat it.
  void stage_keys(const Val& key, const Val& half) {
    Val start = min(key + half, keys_ - 1), most = keys_ - 1 - start;
    Val row = paged() ? entry(table_(sequence_), start / spec_.block_size) * spec_.block_size +
                            start % spec_.block_size
                      : begin_ + start;
    FOR (j, literal(s64, 0), kStage, Unroll{1}) {
      Tensor from = k_(row + min(j, most), kv_head_);
      FOR (d, literal(s64, 0), dim_, 2 * kLanes, Unroll{1})
        store_pack(keys_staged_(half + j), d, 0, {to(bf16, to(f32, load_pack(from, d, 0, 2 * kLanes)[0]))});
    }
    FOR (d, literal(s64, 0), dim_, kLanes, Unroll{1}) {
      std::vector<Val> words;
      for (int64_t j = 0; j < kStage; j += 2) {
        std::vector<Val> two;
        for (int64_t i = j; i < j + 2; ++i)
          two.push_back(to(f32, load_pack(v_(row + min(literal(s64, i), most), kv_head_), d, 0, kLanes)[0]));
        words.push_back(pairs(two[0], two[1]));
      }
      words = transposed(words);
      for (int64_t i = 0; i < kLanes; ++i)
        store_pack(values_staged_(d + i), half / 2, 0, {words[static_cast<size_t>(i)]});
    }
  }

  // Two by two tiles of sums; left factors row_bytes apart in rows, right ones in words.
  void dots() {
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 2; ++j) op("tile.dot.bf16", Type{}, {}, {2 * i + j, 4 + i, 6 + j});
  }
  void tiles(const char* name, const std::vector<Val>& at, int64_t stride, int64_t first) {
    for (size_t i = 0; i < at.size(); ++i)
      op(name, Type{}, {at[i], stride}, {first + static_cast<int64_t>(i)});
  }

  void score(const Val& part) {
    FOR (key, literal(s64, 0), kKeys, 32, Unroll{1}) {
      for (int64_t tile = 0; tile < 4; ++tile) op("tile.zero", Type{}, {}, {tile});
      FOR (d, literal(s64, 0), dim_, 32, Unroll{1}) {
        tiles("tile.load", {at(keys_staged_, key, d), at(keys_staged_, key + 16, d)}, dim_ * 2, 4);
        tiles("tile.load", {at(query_, d / 2, part), at(query_, d / 2, part + kLanes)},
              kAmxAttentionLanes * 4, 6);
        dots();
      }
      Val lane = literal(s64, 0);
      tiles("tile.store",
            {at(scores_, key, lane), at(scores_, key, lane + kLanes), at(scores_, key + 16, lane),
             at(scores_, key + 16, lane + kLanes)},
            kPart * 4, 0);
    }
  }
  // The address of an element.
  Val at(const Tensor& t, const Val& row, const Val& column) {
    return address(t(row)) + bitcast(u64, column * int64_t{t.element_bytes()});
  }

  // Scores become weights, and what is there shrinks where a lane's highest score has risen.
  void weigh(const Val& key, const Val& part) {
    std::vector<Var> highest;
    highest.reserve(2);
    for (int64_t p = 0; p < 2; ++p) highest.emplace_back(panel(highest_, part, p));
    Val zero = literal(s64, 0);
    FOR (j, literal(s64, 0), kKeys, Unroll{1}) {
      Val number = splat(to(s32, key + j), kLanes);
      for (int64_t p = 0; p < 2; ++p) {
        Val value = panel(scores_(j), zero, p);
        if (spec_.softcap) value = tanh(value) * (spec_.softcap * kLog2E);
        Val seen = number <= panel(last_, part, p);
        if (spec_.window) seen = seen & (number >= panel(first_, part, p));
        value = select(seen, value, literal(value.type(), -std::numeric_limits<double>::infinity()));
        auto& top = highest[static_cast<size_t>(p)];
        top = max(top, value);
        put(scores_(j), zero, p, value);
      }
    }
    std::vector<Val> tops, shrinks;
    std::vector<Var> sums;
    sums.reserve(2);
    for (int64_t p = 0; p < 2; ++p) {
      tops.emplace_back(highest[static_cast<size_t>(p)]);
      shrinks.push_back(exp2(panel(highest_, part, p) - tops.back()));
      sums.emplace_back(panel(sum_, part, p) * shrinks.back());
      put(highest_, part, p, tops.back());
    }
    FOR (j, literal(s64, 0), kKeys / 2, Unroll{1})
      for (int64_t p = 0; p < 2; ++p) {
        auto i = static_cast<size_t>(p);
        std::vector<Val> two;
        for (int64_t k = 0; k < 2; ++k) {
          two.push_back(exp2(panel(scores_(j * 2 + k), zero, p) - tops[i]));
          sums[i] += two.back();
        }
        put(weights_(j), zero, p, pairs(two[0], two[1]));
      }
    for (int64_t p = 0; p < 2; ++p) put(sum_, part, p, sums[static_cast<size_t>(p)]);
    IF (reduce_min(min(shrinks[0], shrinks[1])) < 1.0)
      FOR (d, literal(s64, 0), dim_, Unroll{1})
        for (int64_t p = 0; p < 2; ++p)
          put(result_(d), part, p, panel(result_(d), part, p) * shrinks[static_cast<size_t>(p)]);
  }

  void add_values(const Val& part) {
    Val zero = literal(s64, 0);
    FOR (d, literal(s64, 0), dim_, 32, Unroll{1}) {
      std::vector<Val> sums{at(result_, d, part), at(result_, d, part + kLanes), at(result_, d + 16, part),
                            at(result_, d + 16, part + kLanes)};
      tiles("tile.load", sums, kAmxAttentionLanes * 4, 0);
      for (int64_t key = 0; key < kKeys; key += 32) {
        Val pair = literal(s64, key / 2);
        tiles("tile.load", {at(values_staged_, d, pair), at(values_staged_, d + 16, pair)}, kKeys * 2, 4);
        tiles("tile.load", {at(weights_, pair, zero), at(weights_, pair, zero + kLanes)}, kPart * 4, 6);
        dots();
      }
      tiles("tile.store", sums, kAmxAttentionLanes * 4, 0);
    }
  }

  void write() {
    FOR (lane, literal(s64, 0), lanes_used_, kLanes, Unroll{1}) {
      Val inverse = 1.0 / panel(sum_, lane, 0);
      FOR (d, literal(s64, 0), dim_, kLanes, Unroll{1}) {
        std::vector<Val> rows;
        for (int64_t i = 0; i < kLanes; ++i) rows.push_back(panel(result_(d + i), lane, 0) * inverse);
        rows = transposed(rows);
        // Lanes behind the last one have its query, and its row is written last by itself: so backwards.
        for (int64_t i = kLanes; i-- > 0;)
          store_pack(lane_row(out_, lane, i), d, 0, {to(spec_.dtype, rows[static_cast<size_t>(i)])});
      }
    }
  }

  Block& block_;
  const X86AttentionSpec& spec_;
  int64_t heads_, tile_queries_, dim_;
  Tensor q_, k_, v_, out_, first_queries_, lengths_, table_, tiles_;
  Tensor query_, result_, keys_staged_, values_staged_, scores_, weights_, highest_, sum_, first_, last_;
  Val sequence_, begin_, queries_, keys_, position_, first_query_, last_query_, lanes_used_, q_head_,
      kv_head_;
};

}  // namespace

bool x86_attention_has_amx_form(const ir::Target& target, const X86AttentionSpec& spec) {
  return spec.bf16 && !spec.single && target.x86.amx_bf16 && target.x86.avx512 && spec.head_dim % 32 == 0;
}

int64_t x86_attention_amx_heads(const X86AttentionSpec& spec) {
  int64_t group = spec.q_heads / spec.kv_heads, heads = std::min(group, kAmxAttentionLanes);
  while (group % heads) --heads;
  return heads;
}

ir::Kernel x86_attention_amx(const ir::Target& target, const X86AttentionSpec& spec) {
  return record("x86_attention", {.target = target}, [&](Block& block) { Amx(block, spec).run(); });
}

}  // namespace rose::kernels
