// The kernel of AttentionSm90. One producer thread keeps the copy engine busy; each consumer warpgroup owns
// 64 queries of the tile and walks over the keys from the last tile to the first:
//
//   S = q·kᵀ of tile j (wgmma, both operands in shared memory)
//   while the tensor cores do S of tile j and O += P·v of tile j + 1, the softmax of the tile before …
//
// Registers of a warpgroup: S [64, tile_keys] and O [64, width] in f32, P [64, tile_keys] in 16 bits as the A
// operand. A tile that no query of the block sees only in part needs no mask; tiles that none sees are not
// visited. Visiting one would change no bit: its weights are exp2(-inf) = 0 and the rescaling factors exp2(0)
// = 1.
#include <limits>

#include "dsl/grid.h"
#include "dsl/hopper_attention.h"
#include "kernels/attention/sm90_shape.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kRowBytes = 128;  // of a box: 64 elements, one row of the swizzle
constexpr double kLog2E = 1.4426950408889634;
constexpr double kNothing = -1e30;  // the maximum before any key: finite, so that differences are never NaN
constexpr int kWords = 7;           // of the mailbox
constexpr int kTurnBarrier = 1, kOwnBarrier = 4;  // named barriers; one for each consumer warpgroup

class Prefill {
 public:
  Prefill(Block& block, const AttentionSm90Spec& spec, const AttentionSm90Shape& shape)
      : block_(block),
        spec_(spec),
        shape_(shape),
        group_(static_cast<uint32_t>(spec.q_heads / spec.kv_heads)),
        q_bytes_(shape.tile_queries * shape.width * 2),
        kv_bytes_(shape.tile_keys * shape.width * 2) {
    map_q_ = block.tensor_map("map_q");  // box [tile_queries tokens, 1 head, 64]
    map_k_ = block.tensor_map("map_k");  // packed: box [tile_keys tokens, 1 head, 64]
    map_v_ = block.tensor_map("map_v");  // paged: box [1 block, box_keys tokens, 1 head, 64]
    out_ = block.output("out", spec.dtype, dsl::shape(dynamic("tokens"), spec.q_heads, spec.head_dim));
    first_queries_ = block.input("first_queries", s32, dsl::shape(dynamic("boundaries")));
    if (spec.block_size) {
      lengths_ = block.input("lengths", s32, dsl::shape(dynamic("sequences")));
      table_ = block.input("block_table", s32, dsl::shape(dynamic("sequences"), dynamic("table_width")));
    }
    tiles_ = block.input("tiles", s32, dsl::shape(dynamic("tile_count"), 2));

    sQ_ = block.shared("sQ", spec.dtype, dsl::shape(shape.slots, shape.chunks, shape.tile_queries, 64), 1024);
    sK_ = block.shared("sK", spec.dtype, dsl::shape(shape.stages, shape.chunks, shape.tile_keys, 64), 1024);
    sV_ = block.shared("sV", spec.dtype, dsl::shape(shape.stages, shape.chunks, shape.tile_keys, 64), 1024);
  }

  void run() {
    int boxes = spec_.block_size ? shape_.tile_keys / shape_.box_keys : 1;
    auto pipeline = [&](const char* name) {
      return Pipeline(block_,
                      {.name = name,
                       .stages = shape_.stages,
                       .bytes = kv_bytes_,
                       .consumers = shape_.consumers,
                       .producer_role = "producer",
                       .consumer_role = "consumer",
                       .copies = {{name, kv_bytes_ / shape_.chunks / boxes, shape_.chunks * boxes, 1}}});
    };
    Pipeline keys = pipeline("keys"), values = pipeline("values");
    Mailbox mail(block_, {.name = "tile",
                          .slots = shape_.slots,
                          .words = kWords,
                          .bytes = q_bytes_,
                          .consumers = 4 * shape_.consumers,  // one thread a warp
                          .producer_role = "producer",
                          .consumer_role = "consumer",
                          .copies = {{"q", q_bytes_ / shape_.chunks, shape_.chunks, 1}}});
    keys_ = &keys, values_ = &values, mail_ = &mail;
    IF (block_.thread32() == 0) {
      keys.init();
      values.init();
      mail.init();
    }
    sync_setup(block_);
    wait_for_previous_kernel(block_);
    let_next_kernel_start(block_);
    roles(block_, {{"producer", 128, shape_.producer_registers, [&](const Val&) { produce(); }},
                   {"consumer", 128 * shape_.consumers, shape_.consumer_registers,
                    [&](const Val& consumer) { consume(consumer); }}});
  }

 private:
  // The tiles of this block. The list has the longest first, and odd rounds run backwards: all blocks get
  // about the same work. The last round may have none for this one.
  struct Walk {
    explicit Walk(const Prefill& p)
        : total(to(u32, p.block_.dimension("tile_count")) * static_cast<uint32_t>(p.spec_.q_heads)),
          index(to(u32, p.block_.index())),
          grid(to(u32, p.block_.grid())) {}
    // The job of this round, or of a later one; beyond the end the last job.
    Val job(uint32_t later = 0) const {
      Val turn = later % 2 ? backwards ^ 1 : Val(backwards);
      return min(base + later * grid + select(turn == 1, grid - 1 - index, index), total - 1);
    }
    // Whether it is this block's: job() has not been cut.
    Val mine() const { return base + select(backwards == 1, grid - 1 - index, index) < total; }
    void advance() {
      base += grid;
      backwards ^= 1;
    }
    Val total, index, grid;
    Var base{u32, 0}, backwards{u32, 0};
  };

  // The last and the first key that the query at a position sees.
  Val last_key(const Val& position, const Val& length) const {
    if (shape_.right < 0) return length - 1;
    return min(length - 1, position + static_cast<int32_t>(shape_.right));
  }
  Val first_key(const Val& position) const { return max(position - static_cast<int32_t>(shape_.left), 0); }
  // Division of a number that is not negative.
  Val tile_of(const Val& key) const {
    return bitcast(s32, bitcast(u32, key) / static_cast<uint32_t>(shape_.tile_keys));
  }

  // --- producer
  // -----------------------------------------------------------------------------------------------------

  // What the lists say about a tile. They lie in global memory and follow from each other, so a tile's
  // numbers are asked for while the two tiles before it are loaded: its entry of the list first, then the
  // rest.
  struct Entry {
    Var sequence, first;  // of the list
    Entry(const Val& s, const Val& f) : sequence(s), first(f) {}
  };
  struct Numbers {
    Var sequence, first, begin, end, length;
  };

  std::pair<Val, Val> entry_of(const Val& job) {
    Tensor entry = tiles_(job / static_cast<uint32_t>(spec_.q_heads));
    return {load(entry(0)), load(entry(1))};
  }
  Numbers numbers_of(const Entry& entry) {
    Val begin = load(first_queries_, Val(entry.sequence)), end = load(first_queries_, entry.sequence + 1);
    Val length = spec_.block_size ? load(lengths_, Val(entry.sequence)) : end - begin;
    return {Var(entry.sequence), Var(entry.first), Var(begin), Var(end), Var(length)};
  }

  void produce() {
    IF ((uniform_warp(block_) == 0) & elected()) {
      PipelineState key_state, value_state, mail_state;
      Walk walk(*this);
      IF (walk.base < walk.total) {
        auto [sequence, first] = entry_of(walk.job());
        Entry entry(sequence, first);
        Numbers now = numbers_of(entry);
        auto [next_sequence, next_first] = entry_of(walk.job(1));
        entry.sequence = next_sequence, entry.first = next_first;
        WHILE (walk.base < walk.total) {
          Numbers next = numbers_of(entry);
          auto [later_sequence, later_first] = entry_of(walk.job(2));
          Val job = walk.job();
          IF (walk.mine()) {
            load_tile(job, now, key_state, value_state, mail_state);
          }
          now.sequence = next.sequence, now.first = next.first, now.begin = next.begin, now.end = next.end,
          now.length = next.length;
          entry.sequence = later_sequence, entry.first = later_first;
          walk.advance();
        }
      }
    }
  }

  void load_tile(const Val& job, const Numbers& n, PipelineState& key_state, PipelineState& value_state,
                 PipelineState& mail_state) {
    Val head = bitcast(s32, job % static_cast<uint32_t>(spec_.q_heads));
    Val sequence = n.sequence, first = n.first, begin = n.begin, length = n.length;
    Val queries = n.end - begin;
    Val rows = min(queries - first, shape_.tile_queries);
    Val position = length - queries + first;  // of the tile's first query among the keys
    Val last = position + rows - 1;
    Val stop = tile_of(last_key(last, length)) + 1;
    Val start = shape_.has_left ? tile_of(first_key(position)) : literal(s32, 0);
    Val kv_head = bitcast(s32, job % static_cast<uint32_t>(spec_.q_heads) / group_);
    Val row = begin + first;

    Place place{sequence, begin, length, kv_head};
    std::vector<Var> pages;
    pages.reserve(static_cast<size_t>(shape_.tile_keys / shape_.box_keys));
    for (const Val& page : look_up(place, stop - 1)) pages.emplace_back(page);
    Val full = keys_->acquire(key_state);
    fetch(place, pages, stop - 1, sK_, Val(key_state.stage), map_k_, full);
    key_state.advance(shape_.stages);

    full = mail_->post(mail_state, {row, rows, position, length, start, stop, head});
    Val slot = address_of(sQ_) + mail_state.stage * static_cast<uint32_t>(q_bytes_);
    for (int chunk = 0; chunk < shape_.chunks; ++chunk)
      tma_load(slot + static_cast<uint32_t>(chunk * shape_.tile_queries * kRowBytes), map_q_,
               {chunk * 64, head, row}, full);
    mail_state.advance(shape_.slots);

    Var tile_now(stop - 2);
    WHILE (tile_now >= start) {
      auto ahead = look_up(place, Val(tile_now));  // before the waits: the table lies in global memory
      Val key_full = keys_->acquire(key_state);
      fetch(place, ahead, Val(tile_now), sK_, Val(key_state.stage), map_k_, key_full);
      key_state.advance(shape_.stages);
      fetch_values(place, pages, tile_now + 1, value_state);
      for (size_t i = 0; i < pages.size(); ++i) pages[i] = ahead[i];
      tile_now -= 1;
    }
    fetch_values(place, pages, start, value_state);
  }

  struct Place {
    Val sequence, begin, length, kv_head;
  };

  // Numbers of the cache's blocks that hold a tile. Those beyond the sequence's end repeat the last one.
  std::vector<Val> look_up(const Place& place, const Val& tile) const {
    std::vector<Val> pages;
    if (!spec_.block_size) return pages;
    Val last = place.length - 1;
    for (int key = 0; key < shape_.tile_keys; key += shape_.box_keys) {
      Val number =
          bitcast(u32, min(tile * shape_.tile_keys + key, last)) / static_cast<uint32_t>(spec_.block_size);
      pages.push_back(load(table_(place.sequence), number));
    }
    return pages;
  }

  void fetch_values(const Place& place, const std::vector<Var>& pages, const Val& tile,
                    PipelineState& state) {
    Val full = values_->acquire(state);
    fetch(place, pages, tile, sV_, Val(state.stage), map_v_, full);
    state.advance(shape_.stages);
  }

  template <class Pages>
  void fetch(const Place& place, const Pages& pages, const Val& tile, const Tensor& to, const Val& stage,
             const Val& map, const Val& full) {
    Val stage_address = address_of(to) + stage * static_cast<uint32_t>(kv_bytes_);
    for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
      Val chunk_address = stage_address + static_cast<uint32_t>(chunk * shape_.tile_keys * kRowBytes);
      if (!spec_.block_size) {
        tma_load(chunk_address, map, {chunk * 64, place.kv_head, place.begin + tile * shape_.tile_keys},
                 full);
        continue;
      }
      for (size_t i = 0; i < pages.size(); ++i) {
        int key = static_cast<int>(i) * shape_.box_keys;
        // Whole blocks, or a part of a larger one.
        Val inside = spec_.block_size <= shape_.box_keys
                         ? literal(s32, 0)
                         : bitcast(s32, bitcast(u32, tile * shape_.tile_keys + key) %
                                            static_cast<uint32_t>(spec_.block_size));
        tma_load(chunk_address + static_cast<uint32_t>(key * kRowBytes), map,
                 {chunk * 64, place.kv_head, inside, Val(pages[i])}, full);
      }
    }
  }

  // --- consumers
  // ----------------------------------------------------------------------------------------------------

  // The state of one warpgroup.
  struct Rows {
    Accumulator scores, out;
    std::vector<Var> weights;  // 16-bit pairs: the A operand of the second product
    Var highest[2], sum[2];    // of rows g and g + 8; the sum of this thread's columns
    Var shrink[2];             // what the last tile did to earlier weights
    Rows(int keys, int width, Type packed)
        : scores(1, keys),
          out(1, width),
          highest{Var(f32, kNothing), Var(f32, kNothing)},
          sum{Var(f32, 0.0), Var(f32, 0.0)},
          shrink{Var(f32, 1.0), Var(f32, 1.0)} {
      weights.reserve(static_cast<size_t>(keys / 4));
      for (int i = 0; i < keys / 4; ++i) weights.emplace_back(packed);
    }
    std::vector<Var>& s() { return scores.fragments[0]; }
    std::vector<Var>& o() { return out.fragments[0]; }
  };

  void consume(const Val& consumer) {
    Rows r(shape_.tile_keys, shape_.width, spec_.dtype.with_lanes(2));
    PipelineState key_state, value_state, mail_state;
    consumer_ = consumer;
    Val lane = block_.lane();
    leader_ = (block_.thread32() & 127u) == 0;
    Val warp_leader = lane == 0;
    quad_lane_ = bitcast(s32, lane & 3u);
    row_ = bitcast(s32, consumer * 64u + ((block_.thread32() & 127u) >> 5) * 16u + (lane >> 2));
    Val queries = descriptor_k_major_128(address_of(sQ_) + consumer * (64 * kRowBytes));
    descriptor_k_ = descriptor_k_major_128(address_of(sK_));
    descriptor_v_ = descriptor_mn_major_128(address_of(sV_), shape_.tile_keys * kRowBytes);
    const bool turns = shape_.turns;
    if (turns)
      IF (consumer == static_cast<uint32_t>(shape_.consumers - 1)) {
        named_arrive(kTurnBarrier, 256);  // the first one's turn
      }

    Walk walk(*this);
    auto tile_of_walk = [&] {
      auto words = mail_->receive(mail_state);
      descriptor_q_ = queries + to(u64, mail_state.stage * static_cast<uint32_t>(q_bytes_ / 16));
      Val row = bitcast(s32, words[0]), rows = bitcast(s32, words[1]), position = bitcast(s32, words[2]),
          length = bitcast(s32, words[3]), start = bitcast(s32, words[4]), stop = bitcast(s32, words[5]),
          head = bitcast(s32, words[6]);
      for (int h = 0; h < 2; ++h) {
        Val mine = position + row_ + 8 * h;
        last_[h] = last_key(mine, length) - quad_lane_ * 2;
        if (shape_.has_left) first_[h] = first_key(mine) - quad_lane_ * 2;
        r.highest[h] = kNothing;
        r.sum[h] = 0.0;
      }
      for (Var& o : r.o()) o = 0.0;

      // The last tile alone. Its values beyond the sequence's end may be anything; 0 · NaN would be NaN.
      keys_->wait(key_state);
      mma_begin();
      multiply_keys(r, key_state);
      mma_commit();
      mma_wait(0);
      release(*keys_, key_state);
      weigh(r, stop - 1, literal(u32, 0) == literal(u32, 0));
      IF (stop * shape_.tile_keys > length) {
        values_->wait(value_state);
        clear_values(value_state, length - (stop - 1) * shape_.tile_keys);
      }
      pack(r);

      // Tiles from `seen_by_all` on need a mask at the right, those before `left_of_all` one at the left.
      Val seen_by_all = tile_of(last_key(position, length) + 1);
      Val left_of_all =
          shape_.has_left ? tile_of(first_key(position + rows - 1) + (shape_.tile_keys - 1)) : Val();
      Var tile(stop - 2);
      WHILE (tile >= start) {
        Val masked = tile >= seen_by_all;
        if (shape_.has_left) masked = masked | (tile < left_of_all);
        if (spec_.overlap)
          step_overlapped(r, Val(tile), masked, turns, key_state, value_state);
        else
          step(r, Val(tile), masked, turns, key_state, value_state);
        tile -= 1;
      }

      IF (warp_leader) {
        mail_->release(mail_state);
      }
      mail_state.advance(shape_.slots);
      values_->wait(value_state);
      mma_begin();
      multiply_values(r, value_state);
      mma_commit();
      mma_wait(0);
      release(*values_, value_state);
      write(r, row, rows, head);
    };
    WHILE (walk.base < walk.total) {
      IF (walk.mine()) {
        tile_of_walk();
      }
      walk.advance();
    }
    if (turns)
      IF (consumer == 0) {
        named_sync(kTurnBarrier, 256);  // takes the last turn that was given
      }
  }

  void release(Pipeline& pipeline, PipelineState& state) {
    IF (leader_) {
      pipeline.release(state.stage);
    }
    state.advance(shape_.stages);
  }

  void multiply_keys(Rows& r, const PipelineState& state) {
    Val k = descriptor_k_ + to(u64, state.stage * static_cast<uint32_t>(kv_bytes_ / 16));
    Val never = literal(u32, 0) != literal(u32, 0), always = literal(u32, 0) == literal(u32, 0);
    for (int chunk = 0; chunk < shape_.chunks; ++chunk)
      for (int i = 0; i < 4; ++i)
        mma(r.scores, 0, spec_.dtype, descriptor_q_ + (chunk * shape_.tile_queries * kRowBytes / 16 + 2 * i),
            k + (chunk * shape_.tile_keys * kRowBytes / 16 + 2 * i), chunk + i == 0 ? never : always);
  }

  void multiply_values(Rows& r, const PipelineState& state) {
    Val v = descriptor_v_ + to(u64, state.stage * static_cast<uint32_t>(kv_bytes_ / 16));
    for (int i = 0; i < shape_.tile_keys / 16; ++i) {
      auto w = [&](int k) { return Val(r.weights[static_cast<size_t>(4 * i + k)].operand()); };
      mma_from_registers(r.out, 0, spec_.dtype, {w(0), w(1), w(2), w(3)}, v + i * (16 * kRowBytes / 16),
                         true);
    }
  }

  void wait_turn() { named_sync(consumer_ + kTurnBarrier, 256); }
  void give_turn() {
    Val next =
        select(consumer_ == static_cast<uint32_t>(shape_.consumers - 1), literal(u32, 0), consumer_ + 1u);
    named_arrive(next + kTurnBarrier, 256);
  }

  // Tile `tile`'s scores, while the weights of tile + 1 meet their values.
  void step_overlapped(Rows& r, const Val& tile, const Val& masked, bool turns, PipelineState& key_state,
                       PipelineState& value_state) {
    keys_->wait(key_state);
    if (turns) wait_turn();
    mma_begin();
    multiply_keys(r, key_state);
    mma_commit();
    values_->wait(value_state);
    mma_begin();  // the weights were written since the last one of a warpgroup's registers
    multiply_values(r, value_state);
    mma_commit();
    if (turns) give_turn();
    mma_wait(1);
    release(*keys_, key_state);
    weigh(r, tile, masked);
    mma_wait(0);
    release(*values_, value_state);
    pack(r);
    rescale(r);
  }

  // Both products, then the softmax.
  void step(Rows& r, const Val& tile, const Val& masked, bool turns, PipelineState& key_state,
            PipelineState& value_state) {
    keys_->wait(key_state);
    values_->wait(value_state);
    if (turns) wait_turn();
    mma_begin();
    multiply_keys(r, key_state);
    multiply_values(r, value_state);
    mma_commit();
    if (turns) give_turn();
    mma_wait(0);
    release(*keys_, key_state);
    release(*values_, value_state);
    weigh(r, tile, masked);
    pack(r);
    rescale(r);
  }

  // Scores become weights exp2((score - highest) · log2 e), highest and sum follow.
  void weigh(Rows& r, const Val& tile, const Val& masked) {
    auto& s = r.s();
    const double factor = spec_.softcap ? kLog2E : shape_.scale * kLog2E;
    if (spec_.softcap)
      for (Var& x : s) {  // tanh(y) = 1 - 2 / (exp(2y) + 1): tanh.approx would err by softcap / 2000
        Val e = exp2(x * (2 * kLog2E * shape_.scale / spec_.softcap));
        x = fma(rcp(e + 1.0), -2 * spec_.softcap, literal(f32, spec_.softcap));
      }
    IF (masked) {
      Val hidden = literal(f32, -std::numeric_limits<double>::infinity());
      Val from = tile * shape_.tile_keys;
      for (int h = 0; h < 2; ++h) {
        Val last = last_[h] - from;
        Val first = shape_.has_left ? first_[h] - from : Val();
        for (int j = 0; j < shape_.tile_keys / 8; ++j)
          for (int e = 0; e < 2; ++e) {
            Val seen = last >= 8 * j + e;
            if (shape_.has_left) seen = seen & (first <= 8 * j + e);
            Var& x = s[static_cast<size_t>(4 * j + 2 * h + e)];
            x = select(seen, x, hidden);
          }
      }
    }
    for (int h = 0; h < 2; ++h) {
      auto at = [&](int i) -> Var& { return s[static_cast<size_t>(i / 2 * 4 + 2 * h + i % 2)]; };
      const int count = shape_.tile_keys / 4;
      Val tops[4];
      for (int i = 0; i < count; ++i) {
        Val& top = tops[i % 4];
        top = i < 4 ? Val(at(i)) : max(top, at(i));
      }
      Val top = quad_max(max(max(max(tops[0], tops[1]), max(tops[2], tops[3])), r.highest[h]));
      r.shrink[h] = exp2((r.highest[h] - top) * factor);
      r.highest[h] = top;
      Val shift = top * -factor;
      Val sums[4];
      for (int i = 0; i < count; ++i) {
        at(i) = exp2(fma(at(i), factor, shift));
        Val& sum = sums[i % 4];
        sum = i < 4 ? Val(at(i)) : sum + at(i);
      }
      r.sum[h] = fma(r.sum[h], r.shrink[h], (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
  }

  void pack(Rows& r) {
    auto& s = r.s();
    for (size_t i = 0; i < r.weights.size(); ++i)
      r.weights[i] = pack2(spec_.dtype.with_lanes(2), s[2 * i], s[2 * i + 1]);
  }

  void rescale(Rows& r) {
    auto& o = r.o();
    for (size_t i = 0; i < o.size(); ++i) o[i] *= r.shrink[i / 2 % 2];
  }

  // Zeros in the rows from `valid` on of the tile of values. Every warpgroup does it for itself, so that no
  // barrier between them is needed: all write the same.
  void clear_values(const PipelineState& state, const Val& valid) {
    Val thread = block_.thread32() & 127u;
    Val to_address = address_of(sV_) + state.stage * static_cast<uint32_t>(kv_bytes_) + thread * 16u;
    Val row = bitcast(s32, thread >> 3);
    Val zero = literal(u32, 0);
    for (int first = 0; first < shape_.tile_keys; first += 16)
      IF (row + first >= valid) {
        for (int chunk = 0; chunk < shape_.chunks; ++chunk)
          op("st.shared", u32, {to_address, zero, zero, zero, zero},
             {int64_t{chunk} * shape_.tile_keys * kRowBytes + first * kRowBytes});
      }
    op("fence.proxy.async.shared", Type{}, {});
    named_sync(consumer_ + kOwnBarrier, 128);
  }

  // Four threads hold a row, each two columns of every eight. They trade, so that each writes eight
  // neighbours.
  void write(Rows& r, const Val& row, const Val& rows, const Val& head) {
    Val odd = (quad_lane_ & 1) != 0, high = (quad_lane_ & 2) != 0;
    Type packed = spec_.dtype.with_lanes(2);
    auto& o = r.o();
    auto trade = [&](Val& a, Val& b, const Val& upper, int distance) {
      Val got = op1("shfl.bfly", u32, {select(upper, a, b), distance, 31, 0xffffffffu});
      Val low = select(upper, got, a);
      b = select(upper, b, got);
      a = low;
    };
    for (int h = 0; h < 2; ++h) {
      Val inverse = rcp(quad_sum(r.sum[h]));
      Tensor line = out_(row + row_ + 8 * h)(head);
      Val valid = row_ + 8 * h < rows;
      for (int j = 0; j < shape_.width / 8; j += 4) {
        Val x[4];
        for (int k = 0; k < 4; ++k) {
          auto at = static_cast<size_t>(4 * (j + k) + 2 * h);
          x[k] = bitcast(u32, pack2(packed, o[at] * inverse, o[at + 1] * inverse));
        }
        trade(x[0], x[1], odd, 1), trade(x[2], x[3], odd, 1);
        trade(x[0], x[2], high, 2), trade(x[1], x[3], high, 2);
        int left = static_cast<int>(spec_.head_dim) / 8 - j;  // columns of eight that are there
        if (left <= 0) continue;
        Val stored = left >= 4 ? valid : valid & (quad_lane_ < left);
        Pack values;
        for (const Val& pair : x) values.push_back(bitcast(packed, pair));
        store_pack(line, to(s64, quad_lane_) * 8, 8 * j, values, stored);
      }
    }
  }

  Block& block_;
  const AttentionSm90Spec& spec_;
  const AttentionSm90Shape shape_;
  const uint32_t group_;
  const int q_bytes_, kv_bytes_;
  Val map_q_, map_k_, map_v_;
  Tensor out_, first_queries_, lengths_, table_, tiles_, sQ_, sK_, sV_;
  Pipeline *keys_ = nullptr, *values_ = nullptr;
  Mailbox* mail_ = nullptr;
  // Of a consumer thread.
  Val consumer_, leader_, quad_lane_, row_, descriptor_q_, descriptor_k_, descriptor_v_;
  Val last_[2], first_[2];  // keys that its two rows see, less the thread's own columns
};

}  // namespace

ir::Kernel attention_sm90(const ir::Target& target, const AttentionSm90Spec& spec) {
  if (target.arch != ir::Arch::kSm90a)
    throw KernelError("attention_sm90 exists on sm_90a, not on " + ir::to_string(target));
  auto shape = attention_sm90_shape(spec);
  Launch launch{
      .target = target, .threads = 128 * (shape.consumers + 1), .min_blocks = shape.blocks, .pdl = spec.pdl};
  return record("attention_sm90", launch, [&](Block& block) { Prefill(block, spec, shape).run(); });
}

}  // namespace rose::kernels
