// Sampling on GPUs with a cluster of blocks for each row: the row is read once and stays in registers or
// shared memory, so that even one row keeps eight multiprocessors busy, and a threshold is searched without
// touching global memory.
#include <algorithm>
#include <numeric>

#include "dsl/grid.h"
#include "dsl/hopper.h"
#include "kernels/launch.h"
#include "kernels/sampling/random.h"
#include "kernels/sampling/sample_parts.h"

namespace rose::kernels::sampling {

using namespace dsl;

namespace {

constexpr int kMostBlocks = 8;  // of a cluster that every GPU can place
constexpr int kMostThreads = 1024;
constexpr int64_t kMostKept = 200 * 1024;  // bytes of a part in shared memory
constexpr int kPivots = 3;                 // thresholds tried in one step of the search
constexpr int kMostValues = 2 * kPivots;   // that blocks exchange at once

// Elements of one block's part of a row. Parts begin at multiples of it, but for the last one, which ends
// with the row.
int64_t part_length(const SampleSpec& spec, int blocks) {
  int64_t length = (spec.vocab + blocks - 1) / blocks, multiple = std::gcd(spec.vocab, int64_t{8});
  return std::min(spec.vocab, (length + multiple - 1) / multiple * multiple);
}

int threads_of(const SampleSpec& spec, int blocks) {
  const int64_t length = part_length(spec, blocks);
  const int64_t most = !spec.greedy && length > 20 * kMostThreads ? kMostThreads / 2 : kMostThreads;
  return static_cast<int>(std::clamp<int64_t>((length / 16 + 31) / 32 * 32, 64, most));
}

// Where a part stays: in registers if a thread holds few of its elements, else in shared memory. What a draw
// needs beside each element takes registers too.
bool in_registers(const SampleSpec& spec, const RowLayout& lanes) {
  return lanes.resident && lanes.chunks() * lanes.vector <= (adjusts(spec) ? 12 : spec.greedy ? 32 : 16);
}

// Sums and maxima over a cluster. Values are exchanged through each block's shared memory; the order is
// fixed.
class Cluster {
 public:
  Cluster(Block& block, int blocks) : block_(block), blocks_(blocks), turn_(u32, 0) {
    warps_ = block.shared("warp_values", f32, shape(kMostValues, block.threads() / 32), 16);
    slots_ = block.shared("block_values", f32, shape(2, kMostValues, blocks), 16);
    rank_ = blocks == 1 ? literal(u32, 0) : op1("special", Type{}, {}, {int64_t(ir::Special::kClusterRank)});
  }
  const Val& rank() const { return rank_; }

  // The sums of each thread's values over all threads of the cluster. Counts (u32) come back as f32, which
  // holds them.
  std::vector<Val> sums(const std::vector<Val>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      Val v = warp_sum(values[i]);
      IF (block_.lane() == 0) {
        store_at(warps_(static_cast<int>(i)), block_.warp(), v);
      }
    }
    block_.barrier();
    // Each warp adds up one value's parts, for all blocks.
    int count = block_.threads() / 32;
    next_set();
    for (size_t i = 0; i < values.size(); ++i) {
      IF (uniform_warp(block_) == static_cast<uint32_t>(static_cast<int>(i) % count)) {
        Val inside = block_.lane() < static_cast<uint32_t>(count);
        send(static_cast<int>(i),
             warp_sum(load_pack(warps_(static_cast<int>(i)), to(s64, block_.lane()), 0, 1, inside)[0]),
             block_.lane());
      }
    }
    std::vector<Val> out;
    for (auto& parts : receive(values.size())) {
      Val sum = parts[0];
      for (size_t r = 1; r < parts.size(); ++r) sum = sum + parts[r];
      out.push_back(sum);
    }
    return out;
  }

  // Of each block's best, the greatest; of equal ones the smaller number.
  std::pair<Val, Val> best(const Val& value, const Val& number) {
    next_set();
    send(0, value, block_.thread32());
    send(1, bitcast(f32, number), block_.thread32());
    auto all = receive(2);
    Val most = all[0][0], place = bitcast(s32, all[1][0]);
    for (size_t r = 1; r < all[0].size(); ++r) {
      Val other = all[0][r], there = bitcast(s32, all[1][r]);
      Val better = (other > most) | ((other == most) & (there < place));
      most = select(better, other, most), place = select(better, there, place);
    }
    return {most, place};
  }

 private:
  static Val warp_sum(Val v) {
    const Val all = literal(u32, 0xffffffffu);
    if (v.type() == u32) return to(f32, op1("redux.add", u32, {v, all}));
    for (int distance = 16; distance > 0; distance /= 2)
      v = v + op1("shfl.bfly", f32, {v, distance, 31, all});
    return v;
  }

  // Two sets of slots in turn: a neighbour may be one exchange ahead.
  void next_set() {
    set_ = slots_(to(s64, Val(turn_)));
    turn_ = Arg(Val(turn_) ^ 1u);
  }

  // Thread `to_block` of those that call gives that block of the cluster this block's value number i.
  void send(int i, const Val& value, const Val& to_block) {
    IF (to_block < static_cast<uint32_t>(blocks_)) {
      Tensor slot = set_(i)(rank_);
      if (blocks_ == 1) {
        store(slot, value);
      } else {
        Val there = op1("mapa", Type{}, {slot.base + static_cast<uint32_t>(slot.offset), to_block});
        op("st.shared::cluster", f32, {there, value}, {0});
      }
    }
  }

  // Every block's values, by value and block. All threads of a block have the same ones.
  std::vector<std::vector<Val>> receive(size_t count) {
    if (blocks_ == 1) {
      block_.barrier();
    } else {
      op("cluster.arrive.aligned", Type{}, {});
      op("cluster.wait.aligned", Type{}, {});
    }
    std::vector<std::vector<Val>> out;
    for (size_t i = 0; i < count; ++i) out.push_back(load_pack(set_(static_cast<int>(i)), {}, 0, blocks_));
    return out;
  }

  Block& block_;
  int blocks_;
  Tensor warps_, slots_, set_;
  Val rank_;
  Var turn_;
};

// One thread's sums of f(element) for each of several f.
std::vector<Val> thread_sums(const Frag& v, const std::vector<Type>& types,
                             const std::function<std::vector<Val>(const Val&)>& f) {
  std::vector<Var> sums;
  for (Type type : types) sums.emplace_back(type.is_float() ? literal(type, 0.0) : literal(type, 0));
  for_each_chunk(v.layout(), [&](const Chunk& c) {
    for (const Val& e : v.at(c)) {
      auto terms = f(e);
      for (size_t i = 0; i < types.size(); ++i) {
        Val none = types[i].is_float() ? literal(types[i], 0.0) : literal(types[i], 0);
        sums[i] += c.valid ? select(*c.valid, terms[i], none) : terms[i];
      }
    }
  });
  return {sums.begin(), sums.end()};
}

// The search of sample.cpp's Threshold, with the row in registers and its sums over a cluster.
class Search {
 public:
  Search(Cluster& cluster, const Frag& v, const Val& most, const Val& lowest, const Val& scale)
      : cluster_(cluster),
        v_(v),
        most_(most),
        scale_(scale),
        low_(key_of(max(lowest, -FLT_MAX))),
        high_(s32),
        low_count_(f32),
        low_mass_(f32, 0.0),
        high_count_(f32) {
    low_count_ = Arg(shares({value_of(low_)}, false)[0]);
  }

  Val count() const { return Val(low_count_); }
  Val mass() const { return Val(low_mass_); }
  Val value() const { return value_of(low_); }

  // Raises the threshold as far as the count, or else the mass, at or above it stays at least `target`.
  void raise(bool by_count, const Val& target) {
    high_ = key_of(most_) + 1;
    high_count_ = 0.0;
    WHILE ((bitcast(u32, high_) - bitcast(u32, low_) > 1u) & (Arg(low_count_) - Arg(high_count_) > 1.5)) {
      Val step = max((bitcast(u32, high_) - bitcast(u32, low_)) / (kPivots + 1), 1u);
      std::vector<Val> keys, pivots;
      for (int i = 1; i <= kPivots; ++i) {
        keys.push_back(bitcast(s32, bitcast(u32, low_) + step * static_cast<uint32_t>(i)));
        pivots.push_back(value_of(keys.back()));
      }
      auto found = shares(pivots, !by_count);
      Val low = Val(low_), low_count = Val(low_count_), low_mass = Val(low_mass_), high = Val(high_),
          high_count = Val(high_count_);
      for (size_t i = 0; i < keys.size(); ++i) {
        Val count = found[i], mass = by_count ? low_mass : found[kPivots + i];
        Val enough = ((by_count ? count : mass) >= target) & (keys[i] < Val(high_));
        low = select(enough, keys[i], low), low_count = select(enough, count, low_count);
        low_mass = select(enough, mass, low_mass);
        Val lower = ~enough & (keys[i] < high);
        high = select(lower, keys[i], high), high_count = select(lower, count, high_count);
      }
      low_ = Arg(low), low_count_ = Arg(low_count), low_mass_ = Arg(low_mass), high_ = Arg(high),
      high_count_ = Arg(high_count);
    }
  }
  // Sums the mass at or above the threshold.
  void weigh() { low_mass_ = Arg(shares({value_of(low_)}, true)[1]); }

 private:
  // The counts of the elements at or above each threshold, then their masses.
  std::vector<Val> shares(const std::vector<Val>& thresholds, bool masses) {
    std::vector<Type> types(thresholds.size(), u32);
    if (masses) types.resize(2 * thresholds.size(), f32);
    return cluster_.sums(thread_sums(v_, types, [&](const Val& e) {
      std::vector<Val> terms;
      for (const Val& t : thresholds) terms.push_back(select(e >= t, literal(u32, 1), literal(u32, 0)));
      if (masses) {
        Val weight = exp2((e - most_) * scale_);
        for (const Val& t : thresholds) terms.push_back(select(e >= t, weight, literal(f32, 0.0)));
      }
      return terms;
    }));
  }

  Cluster& cluster_;
  Frag v_;
  Val most_, scale_;
  Var low_, high_, low_count_, low_mass_, high_count_;
};

}  // namespace

int cluster_blocks(const ir::Target& target, const SampleSpec& spec) {
  if (!target.is_gpu()) return 0;
  int blocks = 1;
  while (blocks < kMostBlocks && part_length(spec, blocks) > 2048) blocks *= 2;
  return part_length(spec, blocks) * 4 > kMostKept ? 0 : blocks;
}

ir::Kernel sample_in_cluster(const ir::Target& target, const SampleSpec& spec) {
  const int blocks = cluster_blocks(target, spec), threads = threads_of(spec, blocks);
  const int64_t length = part_length(spec, blocks);
  Launch launch{.target = target, .threads = threads, .cluster = blocks, .min_blocks = 1, .pdl = spec.pdl};
  return record(kName, launch, [&](Block& block) {
    auto logits = block.input("logits", spec.dtype, shape(dynamic("rows"), spec.vocab));
    bool reads_settings = !spec.greedy || adjusts(spec);
    Settings settings;
    auto all_settings =
        reads_settings ? block.input("settings", u32, shape(dynamic("rows"), int{kWords})) : Tensor{};
    auto counts =
        spec.penalties ? block.input("counts", s32, shape(dynamic("count_rows"), spec.vocab)) : Tensor{};
    auto bias = spec.bias ? block.input("bias", f32, shape(dynamic("bias_rows"), spec.vocab)) : Tensor{};
    if (adjusts(spec)) block.inout("workspace", f32, shape(dynamic("rows"), spec.vocab));
    auto tokens = block.output("tokens", s32, shape(dynamic("rows")));
    auto flags = block.output("flags", s32, shape(dynamic("rows")));
    auto logprobs = spec.logprob ? block.output("logprobs", f32, shape(dynamic("rows"))) : Tensor{};

    Cluster cluster(block, blocks);
    Val row = block.index() / blocks;
    Val begin = to(s64, cluster.rank()) * length, start = min(begin, spec.vocab - length);
    auto part = [&](const Tensor& whole) {
      Tensor t = whole;
      t.base = whole.base + bitcast(u64, start * whole.element_bytes());
      t.shape = shape(length);
      return t;
    };
    RowGroup group{threads, row, {}, block.thread()};
    auto lanes = row_layout(block, group, length, 4, std::gcd(spec.vocab, length));
    lanes.resident = in_registers(spec, lanes);
    lanes.streams = 1;
    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    if (reads_settings) settings.words = all_settings(row);

    auto raw = to(f32, load(part(logits(row)), lanes));
    if (length * blocks != spec.vocab) {  // the last part begins within the one before it
      Val skip = begin - start;
      raw = map_index(raw,
                      [=](Val e, Val index) { return select(index >= skip, e, literal(f32, -kInfinity)); });
    }
    auto clean =
        map(raw, [](Val e) { return select(is_nan(e), literal(e.type(), -kInfinity), min(e, FLT_MAX)); });
    std::vector<Val> nan = thread_sums(raw, {u32}, [](const Val& e) {
      return std::vector{select(is_nan(e), literal(u32, 1), literal(u32, 0))};
    });
    auto v = clean;
    if (adjusts(spec)) {
      v = adjusted(
          spec, settings, clean, lanes, [&](const Val& r) { return part(counts(r)); },
          [&](const Val& r) { return part(bias(r)); });
    }
    if (!spec.greedy) v = keep(block, v);
    auto best_of = [&](const Frag& f) {
      auto [value, number] = row_argmax(block, f);
      return cluster.best(value, number + to(s32, start));
    };
    auto [most, largest] = best_of(v);
    Val level;
    if (spec.logprob) {
      level = adjusts(spec) ? best_of(clean).first : most;
      level = select(level > -kInfinity, level, 0.0);
      nan.push_back(thread_sums(clean, {f32},
                                [&](const Val& e) { return std::vector{exp2((e - level) * kLog2E)}; })[0]);
    }
    auto sums = cluster.sums(nan);

    Var token(largest);
    if (!spec.greedy) {
      IF ((settings.real(kTemperature) >= kGreedyBelow) & (most > -kInfinity)) {
        Val scale = kLog2E / settings.real(kTemperature);
        Val min_p = settings.real(kMinP);
        Val lowest = select(min_p > 0.0, most + log2(min_p) / scale, literal(f32, -FLT_MAX));
        Search search(cluster, v, most, lowest, scale);
        Val top_k = to(f32, settings.integer(kTopK)), top_p = settings.real(kTopP);
        IF ((top_k > 0.0) & (top_k < search.count())) {
          search.raise(true, top_k);
        }
        IF (top_p < 1.0) {
          search.weigh();
          // The largest weight is one: a tiny target keeps the largest logits.
          search.raise(false, max(search.mass() * top_p, 1e-6));
        }
        Val lowest_kept = search.value();
        auto key = random_key(settings.word(kSeedLow), settings.word(kSeedHigh), settings.word(kPosition));
        auto score = map_index(v, [=](Val e, Val index) {
          Val race = (e - most) * scale - log2(exponential(random_bits(key, to(u32, index + start))));
          return select(e >= lowest_kept, race, literal(e.type(), -kInfinity));
        });
        token = Arg(best_of(score).second);
      }
    }
    IF ((cluster.rank() == 0) & (block.thread32() == 0)) {
      store_at(tokens, row, Val(token));
      store_at(flags, row,
               select(sums[0] > 0.0, literal(s32, kNanLogits), literal(s32, 0)) |
                   select(most > -kInfinity, literal(s32, 0), literal(s32, kNoFiniteLogit)));
      if (spec.logprob) {
        Val chosen = to(f32, load(logits(row), Val(token)));
        store_at(logprobs, row, min(chosen, FLT_MAX) - level - log2(sums[1]) * (1 / kLog2E));
      }
    }
  });
}

}  // namespace rose::kernels::sampling
