// The kernel of DecodeAttentionSm90. A job is one piece of one sequence for one key head and up to 16 of its
// query heads. A producer thread streams the piece's keys and values through shared memory, 64 keys a stage;
// four warps take 16 keys of each stage and keep their own running softmax, with the query heads as the rows
// of mma.m16n8k16. At the piece's end the four results are added, in the order of the warps; a sequence of
// one piece is then done. Of longer ones the block that finishes the last piece adds all pieces, in their
// order.
#include <limits>

#include "dsl/grid.h"
#include "dsl/hopper_attention.h"
#include "kernels/attention/sm90_shape.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kRowBytes = 128;  // of a box: 64 elements, one row of the swizzle
constexpr int kWarps = 4;       // that multiply; a fifth one produces
constexpr int kChunkBytes = kDecodeKeys * kRowBytes;
constexpr double kLog2E = 1.4426950408889634;
constexpr double kNothing = -1e30;  // the maximum before any key: finite, so that differences are never NaN
constexpr int kBarrier = 1;         // named barrier of the four warps

class Decode {
 public:
  Decode(Block& block, const DecodeAttentionSm90Spec& spec, const DecodeAttentionSm90Shape& shape)
      : block_(block),
        spec_(spec),
        shape_(shape),
        rows_(std::min(16, shape.group)),
        halves_(rows_ > 8 ? 2 : 1),
        heads_(static_cast<uint32_t>(spec.kv_heads * shape.row_tiles)),
        stage_bytes_(shape.chunks * kChunkBytes),
        factor_(spec.softcap ? kLog2E : shape.scale * kLog2E),
        packed_(spec.dtype.with_lanes(2)) {
    map_k_ = block.tensor_map("map_k");  // box [1 block, box_keys tokens, 1 head, 64]
    map_v_ = block.tensor_map("map_v");
    q_ = block.input("q", spec.dtype, dsl::shape(dynamic("tokens"), spec.q_heads, spec.head_dim),
                     dsl::shape(dynamic("q_stride"), spec.head_dim, 1));
    out_ = block.output("out", spec.dtype, dsl::shape(dynamic("tokens"), spec.q_heads, spec.head_dim));
    table_ = block.input("block_table", s32, dsl::shape(dynamic("sequences"), dynamic("table_width")));
    plan_ = block.input("plan", s32, dsl::shape(dynamic("plan_rows"), kDecodePlanWords));
    counters_ = block.inout("counters", u32, dsl::shape(dynamic("sequences"), int64_t{heads_}));
    // Of every piece: the maximum and the sum, and the values not yet divided by it.
    state_ = block.inout("states", f32, dsl::shape(dynamic("pieces"), int64_t{heads_}, rows_, 2));
    parts_ = block.inout("parts", f32, dsl::shape(dynamic("pieces"), int64_t{heads_}, rows_, shape.width));

    sK_ = block.shared("sK", spec.dtype, dsl::shape(shape.stages, shape.chunks, kDecodeKeys, 64), 1024);
    sV_ = block.shared("sV", spec.dtype, dsl::shape(shape.stages, shape.chunks, kDecodeKeys, 64), 1024);
    sPart_ = block.shared("sPart", f32, dsl::shape(kWarps, rows_, shape.width));
    sState_ = block.shared("sState", f32, dsl::shape(kWarps, rows_, 2));
    sLast_ = block.shared("sLast", u32, dsl::shape(1));
  }

  void run() {
    int boxes = shape_.chunks * kDecodeKeys / shape_.box_keys, box_bytes = shape_.box_keys * kRowBytes;
    Pipeline pipe(block_, {.name = "keys",
                           .stages = shape_.stages,
                           .bytes = 2 * stage_bytes_,
                           .consumers = kWarps,
                           .producer_role = "producer",
                           .consumer_role = "consumer",
                           .copies = {{"k", box_bytes, boxes, 1}, {"v", box_bytes, boxes, 1}}});
    pipe_ = &pipe;
    IF (block_.thread32() == 0) {
      pipe.init();
    }
    sync_setup(block_);
    wait_for_previous_kernel(block_);
    let_next_kernel_start(block_);
    Val warp = uniform_warp(block_);
    IF (warp < kWarps, ir::Role{"consumer", 0, kWarps * 32, 0}, Location::current()) {
      consume(warp);
    }
    ELSE {
      IF (warp >= kWarps, ir::Role{"producer", kWarps * 32, 32, 0}, Location::current()) {
        produce();
      }
    }
  }

 private:
  template <class Body>
  void walk(Body body) {
    Val total = bitcast(u32, load(plan_(0)(0))) * heads_;
    FOR (job, to(u32, block_.index()), total, to(u32, block_.grid())) {
      body(job / heads_, job % heads_);
    }
  }

  // --- producer
  // -----------------------------------------------------------------------------------------------------

  void produce() {
    IF (elected()) {
      PipelineState state;
      walk([&](const Val& piece, const Val& head) {
        Tensor record = plan_(to(s64, piece) + 1);
        Pack words = load_pack(record, {}, 0, 4);
        Val sequence = words[0], begin = words[2], end = words[3];
        Val kv_head = bitcast(s32, head / static_cast<uint32_t>(shape_.row_tiles));
        Tensor table = table_(sequence);
        auto look_up = [&](const Val& first) {  // beyond the end: the last block again
          std::vector<Val> pages;
          for (int key = 0; key < kDecodeKeys; key += shape_.box_keys)
            pages.push_back(load(
                table, bitcast(u32, min(first + key, end - 1)) / static_cast<uint32_t>(spec_.block_size)));
          return pages;
        };
        std::vector<Var> pages;
        pages.reserve(kDecodeKeys / 16);
        for (const Val& page : look_up(begin)) pages.emplace_back(page);
        FOR (key, begin, end, kDecodeKeys) {
          auto ahead = look_up(key + kDecodeKeys);  // before the wait: the table lies in global memory
          Val full = pipe_->acquire(state);
          fetch(map_k_, sK_, kv_head, key, pages, Val(state.stage), full);
          fetch(map_v_, sV_, kv_head, key, pages, Val(state.stage), full);
          state.advance(shape_.stages);
          for (size_t i = 0; i < pages.size(); ++i) pages[i] = ahead[i];
        }
      });
    }
  }

  void fetch(const Val& map, const Tensor& to, const Val& kv_head, const Val& first,
             const std::vector<Var>& pages, const Val& stage, const Val& full) {
    Val stage_address = address_of(to) + stage * static_cast<uint32_t>(stage_bytes_);
    for (int chunk = 0; chunk < shape_.chunks; ++chunk)
      for (size_t i = 0; i < pages.size(); ++i) {
        int key = static_cast<int>(i) * shape_.box_keys;
        Val inside = spec_.block_size <= shape_.box_keys
                         ? literal(s32, 0)
                         : bitcast(s32, bitcast(u32, first + key) % static_cast<uint32_t>(spec_.block_size));
        tma_load(stage_address + static_cast<uint32_t>(chunk * kChunkBytes + key * kRowBytes), map,
                 {chunk * 64, kv_head, inside, Val(pages[i])}, full);
      }
  }

  // --- consumers
  // ----------------------------------------------------------------------------------------------------

  // A warp's running softmax. Fragments of mma.m16n8k16: thread 4g + t holds of the result rows g and g + 8,
  // columns 2t and 2t + 1. Halves: rows g alone, where the second half of the 16 rows is empty.
  struct Rows {
    std::vector<Val> q;  // A: [width / 16][4]
    std::vector<Var> o;  // [width / 8][4]
    std::vector<Var> highest, sum;
  };

  void consume(const Val& warp) {
    PipelineState state;
    warp_ = warp;
    lane_ = block_.lane();
    Val g = lane_ >> 2, matrix = lane_ >> 3, r = lane_ & 7u;
    pair_ = bitcast(s32, (lane_ & 3u) * 2u);
    row_ = bitcast(s32, g);
    // ldmatrix: lane l gives the address of row l % 8 of matrix l / 8. Keys: matrices are (keys 0-7, 8
    // columns), (keys 0-7, next 8), (keys 8-15, …); values, transposed: (keys 0-7, 8 columns), (keys 8-15,
    // same), ….
    auto places = [&](const Val& upper_keys, const Val& upper_columns) {
      Val key = warp * 16u + upper_keys * 8u + r;
      Val column = (upper_columns ^ r) << 4u;
      std::vector<Val> offsets;
      for (uint32_t k = 0; k < 4; ++k) offsets.push_back(key * kRowBytes + (column ^ (k << 5)));
      return offsets;
    };
    key_places_ = places(matrix >> 1, matrix & 1u);
    value_places_ = places(matrix & 1u, matrix >> 1);

    Rows rows;
    rows.o.reserve(static_cast<size_t>(shape_.width / 2));
    for (int i = 0; i < shape_.width / 2; ++i) rows.o.emplace_back(f32, 0.0);
    rows.highest.reserve(2), rows.sum.reserve(2);
    for (int h = 0; h < halves_; ++h)
      rows.highest.emplace_back(f32, kNothing), rows.sum.emplace_back(f32, 0.0);

    walk([&](const Val& piece, const Val& head) {
      Tensor record = plan_(to(s64, piece) + 1);
      Pack words = load_pack(record, {}, 0, 4), more = load_pack(record, {}, 4, 4);
      Val sequence = words[0], token = words[1], begin = words[2], end = words[3];
      Val low = more[0], first_piece = more[1], pieces = more[2];
      Val row_tile = head % static_cast<uint32_t>(shape_.row_tiles);
      Val first_head = bitcast(s32, head / static_cast<uint32_t>(shape_.row_tiles)) * shape_.group +
                       bitcast(s32, row_tile) * 16;
      Val heads = shape_.group <= 16 ? literal(s32, shape_.group)
                                     : min(shape_.group - bitcast(s32, row_tile) * 16, 16);
      load_queries(rows, q_(token), first_head, heads);
      for (Var& o : rows.o) o = 0.0;
      for (int h = 0; h < halves_; ++h) rows.highest[at(h)] = kNothing, rows.sum[at(h)] = 0.0;

      FOR (key, begin, end, kDecodeKeys, Unroll{1}) {
        pipe_->wait(state);
        Val stage = state.stage * static_cast<uint32_t>(stage_bytes_);
        Val mine = key + bitcast(s32, warp_ * 16u);  // the warp's first key
        auto scores = multiply_keys(rows, address_of(sK_) + stage);
        auto weights = weigh(rows, scores, mine, end, low);
        Val values = address_of(sV_) + stage;
        IF (mine + 16 > end) {
          clear_values(values, end - mine);
        }
        multiply_values(rows, weights, values);
        op("bar.warp.sync", Type{}, {0xffffffffu});  // all lanes have read the stage
        IF (lane_ == 0) {
          pipe_->release(state.stage);
        }
        state.advance(shape_.stages);
      }
      add_warps(rows);
      finish(piece, head, sequence, token, first_head, heads, first_piece, pieces);
    });
  }

  static size_t at(int i) { return static_cast<size_t>(i); }

  void load_queries(Rows& rows, const Tensor& token, const Val& first_head, const Val& heads) {
    rows.q.clear();
    Tensor upper = token(first_head + row_), lower = token(first_head + row_ + 8);
    Val zero = bitcast(packed_, literal(u32, 0) + (block_.thread32() - block_.thread32()));
    Val pair = to(s64, pair_);
    for (int k = 0; k < shape_.width; k += 16)
      for (int part = 0; part < 4; ++part) {
        int column = k + part / 2 * 8;
        if (part % 2 >= halves_ || column >= spec_.head_dim) {
          rows.q.push_back(zero);
          continue;
        }
        Val valid = row_ + 8 * (part % 2) < heads;
        rows.q.push_back(load_pack(part % 2 ? lower : upper, pair, column, 2, valid)[0]);
      }
  }

  // Scores of 16 keys: two fragments of 8.
  std::vector<Val> multiply_keys(const Rows& rows, const Val& keys) {
    std::vector<Val> s(8, literal(f32, 0.0));
    for (int k = 0; k < shape_.width / 16; ++k) {
      auto b = op("ldmatrix.x4", packed_,
                  {keys + key_places_[at(k % 4)] + static_cast<uint32_t>(k / 4 * kChunkBytes)});
      for (int n = 0; n < 2; ++n) multiply(&rows.q[at(4 * k)], b[at(2 * n)], b[at(2 * n + 1)], &s[at(4 * n)]);
    }
    return s;
  }

  template <class Accumulators>
  void multiply(const Val* a, const Val& b0, const Val& b1, Accumulators* c) {
    auto d = op("mma.m16n8k16.f32." + ir::to_string(spec_.dtype), Type{},
                {a[0], a[1], a[2], a[3], b0, b1, c[0], c[1], c[2], c[3]});
    for (int i = 0; i < 4; ++i) c[i] = d[at(i)];
  }

  // Scores become weights, packed as the A operand; highest, sum and o follow.
  std::vector<Val> weigh(Rows& rows, std::vector<Val>& s, const Val& mine, const Val& end, const Val& low) {
    Val hidden = literal(f32, -std::numeric_limits<double>::infinity());
    Val last = end - mine - pair_, first = low - mine - pair_;
    std::vector<Val> p(8);
    for (int h = 0; h < halves_; ++h) {
      auto score = [&](int i) -> Val& { return s[at(i / 2 * 4 + 2 * h + i % 2)]; };
      Var& highest = rows.highest[at(h)];
      Val top = highest;
      for (int i = 0; i < 4; ++i) {
        Val& x = score(i);
        if (spec_.softcap) {  // tanh(y) = 1 - 2 / (exp(2y) + 1)
          Val e = exp2(x * (2 * kLog2E * shape_.scale / spec_.softcap));
          x = fma(rcp(e + 1.0), -2 * spec_.softcap, literal(f32, spec_.softcap));
        }
        int column = i / 2 * 8 + i % 2;
        Val seen = last > column;
        if (spec_.window) seen = seen & (first <= column);
        x = select(seen, x, hidden);
        top = max(top, x);
      }
      top = quad_max(top);
      Val shrink = exp2((highest - top) * factor_), shift = top * -factor_;
      highest = top;
      for (int i = 0; i < 4; ++i) p[at(2 * h + i / 2 * 4 + i % 2)] = exp2(fma(score(i), factor_, shift));
      auto weight = [&](int i) -> Val& { return p[at(i / 2 * 4 + 2 * h + i % 2)]; };
      rows.sum[at(h)] = fma(rows.sum[at(h)], shrink, (weight(0) + weight(1)) + (weight(2) + weight(3)));
      for (int j = 0; j < shape_.width / 8; ++j)
        for (int e = 0; e < 2; ++e) rows.o[at(4 * j + 2 * h + e)] *= shrink;
    }
    std::vector<Val> a;
    for (int part = 0; part < 4; ++part) {
      int h = part % 2, n = part / 2;
      a.push_back(h < halves_ ? pack2(packed_, p[at(4 * n + 2 * h)], p[at(4 * n + 2 * h + 1)])
                              : bitcast(packed_, literal(u32, 0) + (block_.thread32() - block_.thread32())));
    }
    return a;
  }

  void multiply_values(Rows& rows, const std::vector<Val>& weights, const Val& values) {
    for (int n = 0; n < shape_.width / 16; ++n) {
      auto b = op("ldmatrix.x4.trans", packed_,
                  {values + value_places_[at(n % 4)] + static_cast<uint32_t>(n / 4 * kChunkBytes)});
      for (int i = 0; i < 2; ++i)
        multiply(weights.data(), b[at(2 * i)], b[at(2 * i + 1)], &rows.o[at(4 * (2 * n + i))]);
    }
  }

  // Zeros in the rows from `valid` on of the warp's 16 values: what lies there may be NaN.
  void clear_values(const Val& values, const Val& valid) {
    Val row = bitcast(s32, lane_ >> 3);
    Val to_address = values + warp_ * (16u * kRowBytes) + lane_ * 16u;
    Val zero = literal(u32, 0);
    for (int first = 0; first < 16; first += 4)
      IF (row + first >= valid) {
        for (int chunk = 0; chunk < shape_.chunks; ++chunk)
          op("st.shared", u32, {to_address, zero, zero, zero, zero},
             {int64_t{chunk} * kChunkBytes + first * kRowBytes});
      }
    op("fence.proxy.async.shared", Type{}, {});  // before the copy engine fills the stage again
    op("bar.warp.sync", Type{}, {0xffffffffu});
  }

  // Each warp's rows into shared memory.
  void add_warps(Rows& rows) {
    for (int h = 0; h < halves_; ++h) {
      Val sum = quad_sum(rows.sum[at(h)]);
      IF (row_ + 8 * h < rows_) {
        Tensor part = sPart_(warp_)(row_ + 8 * h);
        Val pair = to(s64, pair_);
        for (int j = 0; j < shape_.width / 8; ++j)
          store_pack(part, pair, 8 * j, {Val(rows.o[at(4 * j + 2 * h)]), Val(rows.o[at(4 * j + 2 * h + 1)])});
        IF (pair_ == 0) {
          store_pack(sState_(warp_)(row_ + 8 * h), {}, 0, {Val(rows.highest[at(h)]), sum});
        }
      }
    }
    named_sync(kBarrier, kWarps * 32);
  }

  void finish(const Val& piece, const Val& head, const Val& sequence, const Val& token, const Val& first_head,
              const Val& heads, const Val& first_piece, const Val& pieces) {
    Val thread = block_.thread32();
    const int quads = shape_.width / 4, units = rows_ * quads;
    for (int first = 0; first < units; first += kWarps * 32) {
      Val unit = thread + static_cast<uint32_t>(first);
      Val row = bitcast(s32, unit / static_cast<uint32_t>(quads)),
          column = bitcast(s32, unit % static_cast<uint32_t>(quads)) * 4;
      Val inside = row < heads;
      if (first + kWarps * 32 > units) inside = inside & (unit < static_cast<uint32_t>(units));
      IF (inside) {
        Pack states[kWarps];
        for (int w = 0; w < kWarps; ++w) states[w] = load_pack(sState_(w)(row), {}, 0, 2);
        Val top = max(max(states[0][0], states[1][0]), max(states[2][0], states[3][0]));
        Val sum, o[4];
        for (int w = 0; w < kWarps; ++w) {
          Val weight = exp2((states[w][0] - top) * factor_);
          Pack part = load_pack(sPart_(w)(row), to(s64, column), 0, 4);
          sum = w ? fma(states[w][1], weight, sum) : states[w][1] * weight;
          for (int i = 0; i < 4; ++i) o[i] = w ? fma(part[at(i)], weight, o[i]) : part[at(i)] * weight;
        }
        IF (pieces == 1) {
          write(token, first_head + row, column, o, 4, rcp(sum));
        }
        ELSE {
          store_pack(parts_(piece)(head)(row), to(s64, column), 0, {o[0], o[1], o[2], o[3]});
          IF (column == 0) {
            store_pack(state_(piece)(head)(row), {}, 0, {top, sum});
          }
        }
      }
    }
    IF (pieces != 1) {
      // What this block has written is seen by the one that finds the counter full.
      op("fence.acq_rel.gpu", Type{}, {});
      named_sync(kBarrier, kWarps * 32);
      Tensor counter = counters_(sequence)(head);
      IF (thread == 0) {
        Val before = op1("atom.global.acq_rel.gpu.add", u32, {counter.base, 1}, {counter.offset});
        store_at(sLast_, 0, select(before == bitcast(u32, pieces) - 1u, literal(u32, 1), literal(u32, 0)));
      }
      named_sync(kBarrier, kWarps * 32);
      IF (load(sLast_, 0) == 1) {
        op("fence.acq_rel.gpu", Type{}, {});
        add_pieces(head, token, first_head, heads, first_piece, pieces);
        IF (thread == 0) {
          store(counter, 0);  // as it was found
        }
      }
    }
    named_sync(kBarrier, kWarps * 32);  // shared memory is free again
  }

  // Adds all pieces of a sequence: a warp takes every fourth row, a lane the weight of one piece.
  void add_pieces(const Val& head, const Val& token, const Val& first_head, const Val& heads,
                  const Val& first_piece, const Val& pieces) {
    constexpr const char* kFresh = "ld.global.relaxed.gpu";
    Val lane = bitcast(s32, lane_);
    for (int first = 0; first < rows_; first += kWarps) {
      Val row = bitcast(s32, warp_) + first;
      IF (row < heads) {
        Val mine = min(lane, pieces - 1);
        Pack state = load_pack(state_(first_piece + mine)(head)(row), {}, 0, 2, {}, kFresh);
        Val top = state[0];
        for (int distance = 16; distance; distance /= 2)
          top = max(top, op1("shfl.bfly", f32, {top, distance, 31, 0xffffffffu}));
        Val weight = select(lane < pieces, exp2((state[0] - top) * factor_), literal(f32, 0.0));
        Val sum = state[1] * weight;
        for (int distance = 16; distance; distance /= 2)
          sum = sum + op1("shfl.bfly", f32, {sum, distance, 31, 0xffffffffu});
        std::vector<Var> o;
        o.reserve(at(2 * shape_.chunks));
        for (int i = 0; i < 2 * shape_.chunks; ++i) o.emplace_back(f32, 0.0);
        FOR (p, literal(s32, 0), pieces) {
          Val w = op1("shfl.idx", f32, {weight, bitcast(u32, p), 31, 0xffffffffu});
          Tensor part = parts_(first_piece + p)(head)(row);
          for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
            Pack x = load_pack(part, to(s64, lane) * 2, chunk * 64, 2, {}, kFresh);
            for (int e = 0; e < 2; ++e) {
              Var& sum_o = o[at(2 * chunk + e)];
              sum_o = fma(x[at(e)], w, sum_o);
            }
          }
        }
        Val inverse = rcp(sum);
        for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
          Val pair[2] = {o[at(2 * chunk)], o[at(2 * chunk + 1)]};
          write(token, first_head + row, lane * 2 + chunk * 64, pair, 2, inverse);
        }
      }
    }
  }

  void write(const Val& token, const Val& head, const Val& column, const Val* o, int count,
             const Val& inverse) {
    Pack values;
    for (int i = 0; i < count; i += 2) values.push_back(pack2(packed_, o[i] * inverse, o[i + 1] * inverse));
    std::optional<Val> inside;
    if (spec_.head_dim < shape_.width) inside = column < static_cast<int32_t>(spec_.head_dim);
    store_pack(out_(token)(head), to(s64, column), 0, values, inside);
  }

  Block& block_;
  const DecodeAttentionSm90Spec& spec_;
  const DecodeAttentionSm90Shape shape_;
  const int rows_, halves_;  // query heads of a job; halves of the 16 rows that hold any
  const uint32_t heads_;     // jobs of a piece
  const int stage_bytes_;    // of keys, and of values
  const double factor_;
  const Type packed_;
  Val map_k_, map_v_;
  Tensor q_, out_, table_, plan_, counters_, state_, parts_, sK_, sV_, sPart_, sState_, sLast_;
  Pipeline* pipe_ = nullptr;
  // Of a consumer thread.
  Val warp_, lane_, pair_, row_;
  std::vector<Val> key_places_, value_places_;
};

}  // namespace

ir::Kernel decode_attention_sm90(const ir::Target& target, const DecodeAttentionSm90Spec& spec) {
  if (target.arch != ir::Arch::kSm90a)
    throw KernelError("decode_attention_sm90 exists on sm_90a, not on " + ir::to_string(target));
  auto shape = decode_attention_sm90_shape(spec);
  Launch launch{.target = target, .threads = 32 * (kWarps + 1), .min_blocks = shape.blocks, .pdl = spec.pdl};
  return record("decode_attention_sm90", launch, [&](Block& block) { Decode(block, spec, shape).run(); });
}

}  // namespace rose::kernels
