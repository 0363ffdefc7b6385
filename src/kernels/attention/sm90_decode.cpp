// The kernel of DecodeAttentionSm90. A job is one piece of one sequence for one key head and up to 16 of its
// query heads. Three roles:
//   producer   one thread streams the piece's keys and values through shared memory, 64 keys a stage, and
//   hands over the
//              queries; what it needs of the next job and the one after it has asked for before it starts a
//              job
//   consumers  four warps take 16 keys of each stage and keep their own running softmax, with the query heads
//   as the
//              rows of mma.m16n8k16; at the piece's end they add their results, in the order of the warps. A
//              sequence of one piece is then done, results of longer ones go to the workspace.
//   finisher   one warp counts the pieces of each sequence, and when it counts the last one adds them all, in
//   their order
// Consumers wait for nothing in global memory.
#include <limits>

#include "dsl/grid.h"
#include "dsl/hopper_attention.h"
#include "kernels/attention/sm90_decode_finisher.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kRowBytes = 128;  // of a box: 64 elements, one row of the swizzle
constexpr int kChunkBytes = kDecodeKeys * kRowBytes;
constexpr double kLog2E = 1.4426950408889634;
constexpr double kNothing = -1e30;  // the maximum before any key: finite, so that differences are never NaN
constexpr uint32_t kAll = 0xffffffffu;
constexpr int kBarrier = 1;  // named barrier of the four warps

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
    map_q_ = block.tensor_map("map_q");  // box [1 token, rows heads, 64]
    g_.out = block.output("out", spec.dtype, dsl::shape(dynamic("tokens"), spec.q_heads, spec.head_dim));
    table_ = block.input("block_table", s32, dsl::shape(dynamic("sequences"), dynamic("table_width")));
    g_.plan = block.input("plan", s32, dsl::shape(dynamic("plan_rows"), kDecodePlanWords));
    g_.counters = block.inout("counters", u32, dsl::shape(dynamic("sequences"), int64_t{heads_}));
    g_.states = block.inout("states", f32, dsl::shape(dynamic("pieces"), int64_t{heads_}, rows_, 2));
    g_.parts = block.inout("parts", f32, dsl::shape(dynamic("pieces"), int64_t{heads_}, rows_, shape.width));

    sK_ = block.shared("sK", spec.dtype, dsl::shape(shape.stages, shape.chunks, kDecodeKeys, 64), 1024);
    sV_ = block.shared("sV", spec.dtype, dsl::shape(shape.stages, shape.chunks, kDecodeKeys, 64), 1024);
    sQ_ = block.shared("sQ", spec.dtype, dsl::shape(shape.chunks, 8 * halves_, 64), 1024);
    g_.sPart = block.shared("sPart", f32, dsl::shape(kDecodeWarps, rows_, shape.width));
    g_.sState = block.shared("sState", f32, dsl::shape(kDecodeWarps, rows_, 2));
  }

  void run() {
    int boxes = shape_.chunks * kDecodeKeys / shape_.box_keys, box_bytes = shape_.box_keys * kRowBytes;
    Pipeline pipe(block_, {.name = "keys",
                           .stages = shape_.stages,
                           .bytes = 2 * stage_bytes_,
                           .consumers = kDecodeWarps,
                           .producer_role = "producer",
                           .consumer_role = "consumer",
                           .copies = {{"k", box_bytes, boxes, 1}, {"v", box_bytes, boxes, 1}}});
    Mailbox mail(block_, {.name = "job",
                          .words = 7,
                          .bytes = shape_.chunks * rows_ * kRowBytes,
                          .consumers = kDecodeWarps,
                          .producer_role = "producer",
                          .consumer_role = "consumer",
                          .copies = {{"q", rows_ * kRowBytes, shape_.chunks, 1}}});
    Handoff results(block_, {.name = "results",
                             .writers = kDecodeWarps * 32,
                             .readers = 1,
                             .writer_role = "consumer",
                             .reader_role = "finisher"});
    pipe_ = &pipe, mail_ = &mail, results_ = &results;
    IF (block_.thread32() == 0) {
      pipe.init();
      mail.init();
      results.init();
    }
    sync_setup(block_);
    wait_for_previous_kernel(block_);
    let_next_kernel_start(block_);
    Val warp = uniform_warp(block_);
    auto here = Location::current();
    IF (warp < kDecodeWarps, ir::Role{"consumer", 0, kDecodeWarps * 32, 0}, here) {
      consume(warp);
    }
    ELSE {
      IF (warp < kDecodeWarps + 1, ir::Role{"producer", kDecodeWarps * 32, 32, 0}, here) {
        produce();
      }
      ELSE {
        IF (warp < kDecodeWarps + 2, ir::Role{"finisher", kDecodeWarps * 32 + 32, 32, 0}, here) {
          finish_decode(block_, spec_, shape_, g_, results);
        }
      }
    }
  }

 private:
  Val jobs() { return bitcast(u32, load(g_.plan(0)(0))) * heads_; }

  // --- producer: see the file's head ---

  struct Job {
    // Sequence, row of q, first key, key behind the last, first key that is seen, first piece, pieces.
    std::vector<Var> words;
    explicit Job(const std::vector<Val>& values) {
      words.reserve(values.size());
      for (const Val& v : values) words.emplace_back(v);
    }
    void operator=(const std::vector<Val>& values) {
      for (size_t i = 0; i < words.size(); ++i) words[i] = values[i];
    }
    Val sequence() const { return words[0]; }
    Val token() const { return words[1]; }
    Val begin() const { return words[2]; }
    Val end() const { return words[3]; }
    Val low() const { return words[4]; }
    Val pieces() const { return words[6]; }
  };

  std::vector<Val> record_of(const Val& job) {
    Tensor record = g_.plan(to(s64, job / heads_) + 1);
    auto words = load_pack(record, {}, 0, 4), more = load_pack(record, {}, 4, 4);
    words.insert(words.end(), more.begin(), more.end() - 1);
    return words;
  }

  // Numbers of the cache's blocks that hold 64 keys from `first` on; beyond the end the last block again.
  std::vector<Val> look_up(const Job& job, const Val& first) {
    std::vector<Val> pages;
    for (int key = 0; key < kDecodeKeys; key += shape_.box_keys)
      pages.push_back(load(table_(job.sequence()), bitcast(u32, min(first + key, job.end() - 1)) /
                                                       static_cast<uint32_t>(spec_.block_size)));
    return pages;
  }

  void produce() {
    IF (elected()) {
      PipelineState state;
      PipelineState mail_state;
      Val total = jobs(), step = to(u32, block_.grid());
      Var number(to(u32, block_.index()));
      IF (number < total) {
        Val last = total - 1;
        Job job(record_of(Val(number))), next(record_of(min(number + step, last)));
        std::vector<Var> pages;
        pages.reserve(kDecodeKeys / 16);
        for (const Val& page : look_up(job, job.begin())) pages.emplace_back(page);
        WHILE (number < total) {
          auto next_pages = look_up(next, next.begin());
          auto after = record_of(min(number + 2u * step, last));
          Val head = number % heads_;
          Val kv_head = bitcast(s32, head / static_cast<uint32_t>(shape_.row_tiles));
          Val first_head = kv_head * shape_.group;
          if (shape_.row_tiles > 1)
            first_head = first_head + bitcast(s32, head % static_cast<uint32_t>(shape_.row_tiles)) * 16;
          Val full = mail_->post(mail_state, {job.begin(), job.end(), job.low(), job.token(), first_head,
                                              Val(number), job.pieces()});
          mail_state.advance(1);
          for (int chunk = 0; chunk < shape_.chunks; ++chunk)
            tma_load(address_of(sQ_(chunk)), map_q_, {chunk * 64, first_head, job.token()}, full);
          FOR (key, job.begin(), job.end(), kDecodeKeys) {
            auto ahead = look_up(job, key + kDecodeKeys);  // before the wait: the table lies in global memory
            Val stage_full = pipe_->acquire(state);
            fetch(map_k_, sK_, kv_head, key, pages, Val(state.stage), stage_full);
            fetch(map_v_, sV_, kv_head, key, pages, Val(state.stage), stage_full);
            state.advance(shape_.stages);
            for (size_t i = 0; i < pages.size(); ++i) pages[i] = ahead[i];
          }
          for (size_t i = 0; i < pages.size(); ++i) pages[i] = next_pages[i];
          std::vector<Val> following;
          for (const Var& word : next.words) following.emplace_back(word);
          job = following;
          next = after;
          number += step;
        }
      }
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

  // --- consumers ---

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

    PipelineState mail_state;
    Var phase(u32, 0);
    FOR (job, to(u32, block_.index()), jobs(), to(u32, block_.grid())) {
      auto words = mail_->receive(mail_state);
      Val begin = bitcast(s32, words[0]), end = bitcast(s32, words[1]), low = bitcast(s32, words[2]);
      load_queries(rows);
      op("bar.warp.sync", Type{}, {kAll});  // all lanes have read the words and the queries
      IF (lane_ == 0) {
        mail_->release(mail_state);
      }
      mail_state.advance(1);
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
        op("bar.warp.sync", Type{}, {kAll});  // all lanes have read the stage
        IF (lane_ == 0) {
          pipe_->release(state.stage);
        }
        state.advance(shape_.stages);
      }
      leave(rows);
      named_sync(kBarrier, kDecodeWarps * 32);
      results_->wait_until_free(phase);
      add_warps(bitcast(s32, words[3]), bitcast(s32, words[4]), words[5], bitcast(s32, words[6]));
      results_->hand_over();
      named_sync(kBarrier, kDecodeWarps * 32);  // all have read shared memory
      phase ^= 1;
    }
  }

  static size_t at(int i) { return static_cast<size_t>(i); }

  // Matrices of ldmatrix: (rows 0-7, 8 columns), (rows 8-15, same), (rows 0-7, next 8), …; without a second
  // half, (rows 0-7, 8 columns), (rows 0-7, next 8).
  void load_queries(Rows& rows) {
    Val matrix = lane_ >> 3, r = lane_ & 7u;
    Val row = halves_ == 2 ? (matrix & 1u) * 8u + r : r, upper = halves_ == 2 ? matrix >> 1 : matrix & 1u;
    Val place = address_of(sQ_) + row * kRowBytes, column = (upper ^ r) << 4u;
    Val zero = bitcast(packed_, literal(u32, 0) + (block_.thread32() - block_.thread32()));
    rows.q.clear();
    for (uint32_t k = 0; k < static_cast<uint32_t>(shape_.width) / 16; ++k) {
      Val from = place + (column ^ ((k % 4) << 5)) + k / 4 * static_cast<uint32_t>(8 * halves_ * kRowBytes);
      auto a = op(halves_ == 2 ? "ldmatrix.x4" : "ldmatrix.x2", packed_, {from});
      if (halves_ == 2)
        rows.q.insert(rows.q.end(), a.begin(), a.end());
      else
        rows.q.insert(rows.q.end(), {a[0], zero, a[1], zero});
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
    op("bar.warp.sync", Type{}, {kAll});
  }

  // A warp's rows into shared memory.
  void leave(Rows& rows) {
    for (int h = 0; h < halves_; ++h) {
      Val sum = quad_sum(rows.sum[at(h)]);
      IF (row_ + 8 * h < rows_) {
        Tensor part = g_.sPart(warp_)(row_ + 8 * h);
        Val pair = to(s64, pair_);
        for (int j = 0; j < shape_.width / 8; ++j)
          store_pack(part, pair, 8 * j, {Val(rows.o[at(4 * j + 2 * h)]), Val(rows.o[at(4 * j + 2 * h + 1)])});
        IF (pair_ == 0) {
          store_pack(g_.sState(warp_)(row_ + 8 * h), {}, 0, {Val(rows.highest[at(h)]), sum});
        }
      }
    }
  }

  // The sum of the four: to `out`, or as a piece's into the workspace.
  void add_warps(const Val& token, const Val& first_head, const Val& job, const Val& pieces) {
    const int quads = shape_.width / 4, units = rows_ * quads;
    Val piece = job / heads_, head = job % heads_;
    Val heads =
        shape_.row_tiles == 1
            ? literal(s32, shape_.group)
            : min(shape_.group - bitcast(s32, head % static_cast<uint32_t>(shape_.row_tiles)) * 16, 16);
    for (int first = 0; first < units; first += kDecodeWarps * 32) {
      Val unit = block_.thread32() + static_cast<uint32_t>(first);
      Val row = bitcast(s32, unit / static_cast<uint32_t>(quads)),
          column = bitcast(s32, unit % static_cast<uint32_t>(quads)) * 4;
      IF (row < heads) {
        Pack states[kDecodeWarps];
        for (int w = 0; w < kDecodeWarps; ++w) states[w] = load_pack(g_.sState(w)(row), {}, 0, 2);
        Val top = max(max(states[0][0], states[1][0]), max(states[2][0], states[3][0]));
        Val sum, o[4];
        for (int w = 0; w < kDecodeWarps; ++w) {
          Val weight = exp2((states[w][0] - top) * factor_);
          Pack part = load_pack(g_.sPart(w)(row), to(s64, column), 0, 4);
          sum = w ? fma(states[w][1], weight, sum) : states[w][1] * weight;
          for (int i = 0; i < 4; ++i) o[i] = w ? fma(part[at(i)], weight, o[i]) : part[at(i)] * weight;
        }
        IF (pieces == 1) {
          write_decoded(spec_, shape_, g_, token, first_head + row, column, o, 4, rcp(sum));
        }
        ELSE {
          store_pack(g_.parts(piece)(head)(row), to(s64, column), 0, {o[0], o[1], o[2], o[3]});
          IF (column == 0) {
            store_pack(g_.states(piece)(head)(row), {}, 0, {top, sum});
          }
        }
      }
    }
  }

  Block& block_;
  const DecodeAttentionSm90Spec& spec_;
  const DecodeAttentionSm90Shape shape_;
  const int rows_, halves_;  // query heads of a job; halves of the 16 rows that hold any
  const uint32_t heads_;     // jobs of a piece
  const int stage_bytes_;    // of keys, and of values
  const double factor_;
  const Type packed_;
  Val map_k_, map_v_, map_q_;
  Tensor table_, sK_, sV_, sQ_;
  DecodeTensors g_;
  Pipeline* pipe_ = nullptr;
  Mailbox* mail_ = nullptr;
  Handoff* results_ = nullptr;
  // Of a consumer thread.
  Val warp_, lane_, pair_, row_;
  std::vector<Val> key_places_, value_places_;
};

}  // namespace

ir::Kernel decode_attention_sm90(const ir::Target& target, const DecodeAttentionSm90Spec& spec) {
  if (target.arch != ir::Arch::kSm90a)
    throw KernelError("decode_attention_sm90 exists on sm_90a, not on " + ir::to_string(target));
  auto shape = decode_attention_sm90_shape(spec);
  Launch launch{
      .target = target, .threads = 32 * (kDecodeWarps + 2), .min_blocks = shape.blocks, .pdl = spec.pdl};
  return record("decode_attention_sm90", launch, [&](Block& block) { Decode(block, spec, shape).run(); });
}

}  // namespace rose::kernels
