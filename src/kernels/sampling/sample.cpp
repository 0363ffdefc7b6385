#include "kernels/sampling/sample.h"

#include <algorithm>

#include "dsl/grid.h"
#include "kernels/arguments.h"
#include "kernels/launch.h"
#include "kernels/sampling/random.h"
#include "kernels/sampling/sample_parts.h"

namespace rose::kernels {

using namespace dsl;
using namespace sampling;

namespace {

constexpr int kPivotsGpu = 3,
              kPivotsX86 = 1;  // thresholds tried in one walk over the row; more of them, more code

// How many elements lie at a threshold or above, and their weights' sum.
struct Share {
  Val count, mass;
};

// The tokens that stay: all at or above a threshold. Found by cutting the interval of possible thresholds
// again and again, until one element or one distinct value is left in it; so the threshold is exact.
class Threshold {
 public:
  Threshold(Block& block, const Frag& v, const Val& most, const Val& lowest, const Val& scale)
      : block_(block),
        v_(v),
        most_(most),
        scale_(scale),
        low_(key_of(max(lowest, -FLT_MAX))),
        high_(s32),
        low_count_(f32),
        low_mass_(f32),
        high_count_(f32) {
    auto all = shares({value_of(low_)})[0];
    low_count_ = Arg(all.count), low_mass_ = Arg(all.mass);
  }

  Val count() const { return Val(low_count_); }
  Val mass() const { return Val(low_mass_); }
  Val value() const { return value_of(low_); }

  // Raises the threshold as far as the count (or mass) at or above it stays at least `target`.
  void raise(const Val& by_count, const Val& target) {
    high_ = key_of(most_) + 1;
    high_count_ = 0.0;
    WHILE ((bitcast(u32, high_) - bitcast(u32, low_) > 1u) & (Arg(low_count_) - Arg(high_count_) > 1.5)) {
      int count = block_.gpu() ? kPivotsGpu : kPivotsX86;
      Val step = max((bitcast(u32, high_) - bitcast(u32, low_)) / (count + 1), 1u);
      std::vector<Val> keys, pivots;
      for (int i = 1; i <= count; ++i) {
        keys.push_back(bitcast(s32, bitcast(u32, low_) + step * static_cast<uint32_t>(i)));
        pivots.push_back(value_of(keys.back()));
      }
      auto found = shares(pivots);
      Val low = Val(low_), low_count = Val(low_count_), low_mass = Val(low_mass_), high = Val(high_),
          high_count = Val(high_count_);
      for (size_t i = 0; i < keys.size(); ++i) {
        Val enough = (select(by_count, found[i].count, found[i].mass) >= target) & (keys[i] < Val(high_));
        low = select(enough, keys[i], low), low_count = select(enough, found[i].count, low_count),
        low_mass = select(enough, found[i].mass, low_mass);
        Val lower = ~enough & (keys[i] < high);
        high = select(lower, keys[i], high), high_count = select(lower, found[i].count, high_count);
      }
      low_ = Arg(low), low_count_ = Arg(low_count), low_mass_ = Arg(low_mass), high_ = Arg(high),
      high_count_ = Arg(high_count);
    }
  }

 private:
  std::vector<Share> shares(const std::vector<Val>& thresholds) {
    auto weight = map(v_, [most = most_, scale = scale_](Val e) { return exp2((e - most) * scale); });
    std::vector<Frag> sums;
    for (const Val& t : thresholds) {
      sums.push_back(one_where(v_, [t](Val e) { return e >= t; }));
      sums.push_back(
          map(v_, weight, [t](Val e, Val w) { return select(e >= t, w, literal(w.type(), 0.0)); }));
    }
    auto values = row_sums(block_, sums);
    std::vector<Share> out;
    for (size_t i = 0; i < values.size(); i += 2) out.push_back({values[i], values[i + 1]});
    return out;
  }

  Block& block_;
  Frag v_;
  Val most_, scale_;
  Var low_, high_, low_count_, low_mass_,
      high_count_;  // keys; count and mass at or above low, count at or above high
};

Val draw(Block& block, const Settings& settings, const Frag& v, const Val& most) {
  Val scale = kLog2E / settings.real(kTemperature);
  Val min_p = settings.real(kMinP);
  Val lowest = select(min_p > 0.0, most + log2(min_p) / scale, literal(f32, -FLT_MAX));
  Threshold threshold(block, v, most, lowest, scale);
  Val top_k = to(f32, settings.integer(kTopK)), top_p = settings.real(kTopP);
  FOR (step, literal(s32, 0), 2, 1, Unroll{1}) {  // first top-k, then top-p
    Val by_count = step == 0;
    Val wanted = (by_count & (top_k > 0.0) & (top_k < threshold.count())) | ((step == 1) & (top_p < 1.0));
    IF (wanted) {
      // The largest weight is one: a tiny target keeps the largest logits.
      threshold.raise(by_count, select(by_count, top_k, max(threshold.mass() * top_p, 1e-6)));
    }
  }
  Val lowest_kept = threshold.value();
  auto key = random_key(settings.word(kSeedLow), settings.word(kSeedHigh), settings.word(kPosition));
  auto score = map_index(v, [=](Val e, Val start) {
    Val index = lane_numbers(u32, e.lanes()) + to(u32, start);
    Val race = (e - most) * scale - log2(exponential(random_bits(key, index)));
    return select(e >= lowest_kept, race, literal(e.type(), -kInfinity));
  });
  return row_argmax(block, score).second;
}

}  // namespace

// On a GPU a cluster of blocks shares a row that fits in their registers. Else one block per row walks over
// its row several times; it lies in the second-level cache.
ir::Kernel sample(const ir::Target& target, const SampleSpec& spec) {
  check_row_spec(kName, spec.dtype, spec.vocab, 1 << 20);
  if (cluster_blocks(target, spec)) return sample_in_cluster(target, spec);
  int threads =
      !target.is_gpu() ? 1 : static_cast<int>(std::clamp<int64_t>((spec.vocab / 8 + 31) / 32 * 32, 64, 1024));
  return record(kName, {.target = target, .threads = threads, .pdl = spec.pdl}, [&](Block& block) {
    auto logits = block.input("logits", spec.dtype, shape(dynamic("rows"), spec.vocab));
    bool reads_settings = !spec.greedy || adjusts(spec);
    Settings settings;
    auto all_settings =
        reads_settings ? block.input("settings", u32, shape(dynamic("rows"), int{kWords})) : Tensor{};
    auto counts =
        spec.penalties ? block.input("counts", s32, shape(dynamic("count_rows"), spec.vocab)) : Tensor{};
    auto bias = spec.bias ? block.input("bias", f32, shape(dynamic("bias_rows"), spec.vocab)) : Tensor{};
    auto workspace =
        adjusts(spec) ? block.inout("workspace", f32, shape(dynamic("rows"), spec.vocab)) : Tensor{};
    auto tokens = block.output("tokens", s32, shape(dynamic("rows")));
    auto flags = block.output("flags", s32, shape(dynamic("rows")));
    auto logprobs = spec.logprob ? block.output("logprobs", f32, shape(dynamic("rows"))) : Tensor{};

    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    auto group = row_group(block, block.dimension("rows"));
    auto lanes = row_layout(block, group, spec.vocab, 4);
    lanes.resident = false;
    lanes.streams = 1;  // many walks, each with much to do for an element
    if (reads_settings) settings.words = all_settings(group.row);

    auto raw = to(f32, load(logits(group.row), lanes));
    auto clean =
        map(raw, [](Val e) { return select(is_nan(e), literal(e.type(), -kInfinity), min(e, FLT_MAX)); });
    auto v = clean;
    if (adjusts(spec)) {  // each thread reads back what it wrote itself
      store(workspace(group.row),
            adjusted(
                spec, settings, clean, lanes, [&](const Val& row) { return counts(row); },
                [&](const Val& row) { return bias(row); }));
      v = load(workspace(group.row), lanes);
    }
    auto [most, largest] = row_argmax(block, v);
    Var token(largest);
    if (!spec.greedy) {
      IF ((settings.real(kTemperature) >= kGreedyBelow) & (most > -kInfinity)) {
        token = Arg(draw(block, settings, v, most));
      }
    }

    auto nan = one_where(raw, is_nan);
    Val nans, sum, level;
    if (spec.logprob) {
      level = adjusts(spec) ? row_max(block, clean) : most;
      level = select(level > -kInfinity, level, 0.0);
      auto power = map(clean, [level](Val e) { return exp2((e - level) * kLog2E); });
      std::tie(nans, sum) = row_sums(block, nan, power);
    } else {
      nans = row_sum(block, nan);
    }
    IF (group.thread == 0) {
      store_at(tokens, group.row, Val(token));
      store_at(flags, group.row,
               select(nans > 0.0, literal(s32, kNanLogits), literal(s32, 0)) |
                   select(most > -kInfinity, literal(s32, 0), literal(s32, kNoFiniteLogit)));
      if (spec.logprob) {
        Val chosen = to(f32, load(logits(group.row), Val(token)));
        store_at(logprobs, group.row, min(chosen, FLT_MAX) - level - log2(sum) * (1 / kLog2E));
      }
    }
  });
}

Sample::Sample(runtime::Context& context, const SampleSpec& spec)
    : program_(&program(context, kName, spec, sample)),
      spec_(spec),
      blocks_(std::max(1, cluster_blocks(runtime::target_of(context.properties()), spec))) {}

void Sample::operator()(runtime::Stream& stream, const Arguments& a) const {
  LaunchArguments list(kName);
  list.add(a.logits).add(a.rows).optional("settings", !spec_.greedy || adjusts(spec_), a.settings);
  list.optional("counts", spec_.penalties, a.counts);
  if (spec_.penalties) list.add(int64_t{0});  // the numbers of rows are not read
  list.optional("bias", spec_.bias, a.bias);
  if (spec_.bias) list.add(int64_t{0});
  list.optional("workspace", adjusts(spec_), a.workspace)
      .add(a.tokens)
      .add(a.flags)
      .optional("logprobs", spec_.logprob, a.logprobs);
  stream.launch(*program_, grid_of(a.rows * blocks_), list.list());
}

CatalogEntry sample_entry() {
  auto e = catalog_entry<SampleSpec>(
      kName, "choice of the next token: penalties, temperature, min-p, top-k, top-p, seeds", sample,
      {"vocab=128256", "vocab=128256,greedy=1,dtype=bf16", "vocab=151936,penalties=1,bias=1,logprob=1",
       "vocab=50257,dtype=bf16,logprob=1", "vocab=262144,greedy=1,pdl=1", "vocab=262144,dtype=bf16",
       "vocab=1000000"});
  e.bench_rows = 256;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<SampleSpec>(text);
    struct Data {
      Sample op;
      runtime::Buffer logits, settings, counts, bias, workspace, tokens, flags, logprobs;
    };
    int64_t count = rows * spec.vocab;
    auto allocate = [&](int64_t bytes) { return context.device().allocate(static_cast<size_t>(bytes)); };
    auto data = std::make_shared<Data>(
        Data{Sample(context, spec), random_buffer(context, spec.dtype, count, 1), allocate(rows * 48),
             allocate(spec.vocab * 4), allocate(spec.vocab * 4), allocate(adjusts(spec) ? count * 4 : 0),
             allocate(rows * 4), allocate(rows * 4), allocate(rows * 4)});
    std::vector<SampleSettings> settings(static_cast<size_t>(rows));
    for (size_t i = 0; i < settings.size(); ++i)
      settings[i].temperature = 0.7f, settings[i].top_k = 50, settings[i].top_p = 0.9f,
      settings[i].bias_row = 0, settings[i].seed = i;
    context.stream().upload(data->settings, settings.data(), settings.size() * sizeof(SampleSettings));
    context.stream().fill(data->counts, 0, data->counts.bytes());
    context.stream().fill(data->bias, 0, data->bias.bytes());
    context.stream().synchronize();
    Case c;
    c.bytes = static_cast<double>(count) * spec.dtype.bits() / 8;
    c.launch = [data, rows](runtime::Stream& stream) {
      data->op(stream, {.logits = data->logits,
                        .settings = data->settings,
                        .counts = data->counts,
                        .bias = data->bias,
                        .workspace = data->workspace,
                        .tokens = data->tokens,
                        .flags = data->flags,
                        .logprobs = data->logprobs,
                        .rows = rows});
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
