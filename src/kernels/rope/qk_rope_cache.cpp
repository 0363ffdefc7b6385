#include "kernels/rope/qk_rope_cache.h"

#include <fmt/format.h>

#include <numeric>

#include "dsl/grid.h"
#include "kernels/arguments.h"
#include "kernels/rope/frequencies.h"
#include "kernels/rope/rotary.h"
#include "kernels/row_groups.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr const char* kName = "qk_rope_cache";

bool scaled(const QkRopeCacheSpec& s) { return s.kv_dtype == e4m3; }
int64_t all_heads(const QkRopeCacheSpec& s) { return s.q_heads + 2 * s.kv_heads; }

void check(const QkRopeCacheSpec& s) {
  check_row_spec(kName, s.dtype, s.head_dim, 1024);
  if (s.kv_dtype != e4m3) check_row_spec(kName, s.kv_dtype, s.head_dim, 1024);
  if (s.slot_dtype != s32 && s.slot_dtype != s64)
    throw KernelError(
        fmt::format("{}: slot_dtype is {}; use s32 or s64", kName, ir::to_string(s.slot_dtype)));
  require(s.q_heads >= 1 && s.q_heads <= 4096, kName, "q_heads", s.q_heads, "use 1 to 4096");
  require(s.kv_heads >= 1 && s.kv_heads <= 4096, kName, "kv_heads", s.kv_heads, "use 1 to 4096");
  require(s.rotary_dim >= 0 && s.rotary_dim % 2 == 0 && s.rotary_dim <= s.head_dim, kName, "rotary_dim",
          s.rotary_dim, fmt::format("use an even number up to head_dim {}", s.head_dim));
  if (parse_rope_style(kName, s.style) == RopeStyle::kInterleaved)
    require(s.head_dim % 2 == 0, kName, "head_dim", s.head_dim, "interleaved pairs need an even head_dim");
}

RowGroups groups_of(const ir::Target& target, const QkRopeCacheSpec& s) {
  return row_groups(target, s.rotary_dim ? s.rotary_dim / 2 : s.head_dim, s.dtype);
}

// A head as the kernel sees it: the pair that turns, and the elements behind it. Either may be absent.
struct Head {
  std::optional<HeadPair> pair;
  std::optional<Frag> rest;

  Head each(const std::function<Frag(const Frag&)>& f) const {
    Head h;
    if (pair) h.pair = HeadPair{f(pair->first), f(pair->second)};
    if (rest) h.rest = f(*rest);
    return h;
  }
};

struct HeadLayout {
  RopeStyle style;
  int64_t rotary_dim, head_dim;
  std::optional<RowLayout> half, behind;

  Head load_head(const Tensor& row) const {
    Head h;
    if (half) h.pair = load_pair(style, row.slice(0, rotary_dim), *half);
    if (behind) h.rest = to(f32, load(row.slice(rotary_dim, head_dim - rotary_dim), *behind));
    return h;
  }
  void store_head(Block& block, const Tensor& row, const Head& head) const {
    std::optional<Frag> rest;  // read before the pair is stored, perhaps to where it came from
    if (behind) rest = half ? keep(block, *head.rest) : *head.rest;
    if (half) store_pair(style, row.slice(0, rotary_dim), *head.pair);
    if (behind) store(row.slice(rotary_dim, head_dim - rotary_dim), *rest);
  }
};

HeadLayout head_layout(Block& block, const RowGroup& group, const QkRopeCacheSpec& s) {
  HeadLayout l{parse_rope_style(kName, s.style), s.rotary_dim, s.head_dim, {}, {}};
  int bytes = std::max(s.dtype.bits(), s.kv_dtype.bits()) / 8;
  int64_t unit = l.style == RopeStyle::kInterleaved ? s.head_dim / 2 : s.head_dim;
  if (s.rotary_dim) l.half = rope_layout(block, group, s.rotary_dim, bytes, unit);
  if (s.rotary_dim < s.head_dim)
    l.behind = row_layout(block, group, s.head_dim - s.rotary_dim, bytes, std::gcd(s.head_dim, s.rotary_dim));
  return l;
}

// x / sqrt(mean(x²) + epsilon) · weight over the whole head.
Head normalise(Block& block, const QkRopeCacheSpec& s, const Head& head, const Head& weight) {
  Val squares;
  auto add = [&](const Val& sum) { squares = squares.empty() ? sum : squares + sum; };
  if (head.pair) {
    auto [first, second] =
        row_sums(block, head.pair->first * head.pair->first, head.pair->second * head.pair->second);
    add(first), add(second);
  }
  if (head.rest) add(row_sum(block, *head.rest * *head.rest));
  Val scale = rsqrt(squares * (1.0 / static_cast<double>(s.head_dim)) + s.epsilon);
  Head w = s.weight_plus_one
               ? weight.each([](const Frag& f) { return map(f, [](Val e) { return e + 1.0; }); })
               : weight;
  Head out;
  if (head.pair)
    out.pair = HeadPair{head.pair->first * scale * w.pair->first, head.pair->second * scale * w.pair->second};
  if (head.rest) out.rest = *head.rest * scale * *w.rest;
  return out;
}

Frag choose(const Val& condition, const Frag& a, const Frag& b) {
  return map(a, b, [condition](Val x, Val y) { return select(condition, x, y); });
}

}  // namespace

// One row is one head of one token, whichever of q, k and v it belongs to. All heads take the same steps, so
// that the threads of a warp stay together; value heads keep what was loaded.
ir::Kernel qk_rope_cache(const ir::Target& target, const QkRopeCacheSpec& spec) {
  check(spec);
  auto groups = groups_of(target, spec);
  return record(
      kName,
      {.target = target, .threads = groups.threads, .min_blocks = target.is_gpu() ? 4 : 0, .pdl = spec.pdl},
      [&](Block& block) {
        int64_t heads = all_heads(spec);
        auto qkv = block.inout("qkv", spec.dtype, shape(dynamic("tokens"), heads, spec.head_dim));
        auto q_weight = spec.norm ? block.input("q_weight", spec.dtype, shape(spec.head_dim)) : Tensor{};
        auto k_weight = spec.norm ? block.input("k_weight", spec.dtype, shape(spec.head_dim)) : Tensor{};
        auto positions = spec.rotary_dim ? block.input("positions", s32, shape(dynamic("tokens"))) : Tensor{};
        auto table = spec.rotary_dim
                         ? block.input("table", f32, shape(dynamic("table_rows"), spec.rotary_dim))
                         : Tensor{};
        auto slots = block.input("slots", spec.slot_dtype, shape(dynamic("tokens")));
        Shape cache = shape(dynamic("slot_count"), spec.kv_heads, spec.head_dim);
        Shape cache_strides = shape(spec.kv_heads * spec.head_dim, spec.head_dim, 1);
        auto k_cache = block.output("k_cache", spec.kv_dtype, cache, cache_strides);
        auto v_cache = block.output("v_cache", spec.kv_dtype, cache, cache_strides);
        auto kv_scales = scaled(spec) ? block.input("kv_scales", f32, shape(2)) : Tensor{};
        auto q_out = spec.q_out ? block.output("q_out", spec.dtype,
                                               shape(dynamic("tokens"), spec.q_heads, spec.head_dim))
                                : qkv;

        let_next_kernel_start(block);
        wait_for_previous_kernel(block);
        auto group = row_group(block, block.dimension("tokens") * heads, groups.size);
        auto [token, head] = split_row(group.row, heads);
        auto layout = head_layout(block, group, spec);
        Val is_q = head < spec.q_heads, is_v = head >= spec.q_heads + spec.kv_heads;

        Head loaded = layout.load_head(qkv(token, head)), value = loaded;
        if (spec.norm) {
          Tensor weight = k_weight;
          weight.base = select(is_q, q_weight.base, k_weight.base);
          value = normalise(block, spec, value, layout.load_head(weight));
        }
        if (spec.rotary_dim) {
          auto angles = angles_of(table, positions, token, block.dimension("table_rows"));
          int64_t half = spec.rotary_dim / 2;
          value.pair = rotate(*value.pair, load(angles.slice(0, half), *layout.half),
                              load(angles.slice(half, half), *layout.half));
          value.pair = HeadPair{choose(is_v, loaded.pair->first, value.pair->first),
                                choose(is_v, loaded.pair->second, value.pair->second)};
        }
        if (value.rest) value.rest = choose(is_v, *loaded.rest, *value.rest);

        Val slot = to(s64, load(slots, token));
        IF ((head >= spec.q_heads) & (slot >= 0)) {
          Tensor into = k_cache;
          into.base = select(is_v, v_cache.base, k_cache.base);
          Val cached_head = head - spec.q_heads - select(is_v, literal(s64, spec.kv_heads), literal(s64, 0));
          Head stored = value;
          if (scaled(spec)) {
            Val inverse = 1.0 / load(kv_scales, select(is_v, literal(s64, 1), literal(s64, 0)));
            stored = value.each([inverse](const Frag& f) { return f * inverse; });
          }
          layout.store_head(block, into(slot, cached_head), stored);
        }
        IF (is_q) {
          layout.store_head(block, q_out(token, head), value);
        }
      });
}

QkRopeCache::QkRopeCache(runtime::Context& context, const QkRopeCacheSpec& spec)
    : program_(&program(context, kName, spec, qk_rope_cache)),
      spec_(spec),
      target_(runtime::target_of(context.properties())) {}

void QkRopeCache::operator()(runtime::Stream& stream, const Arguments& a) const {
  int64_t rows = a.tokens * all_heads(spec_);
  require(a.tokens >= 0 && rows <= INT32_MAX, kName, "the number of heads of all tokens", rows,
          "use at most 2^31 - 1");
  bool rotates = spec_.rotary_dim > 0;
  LaunchArguments list(kName);
  list.add(a.qkv)
      .add(a.tokens)
      .optional("q_weight", spec_.norm, a.q_weight)
      .optional("k_weight", spec_.norm, a.k_weight);
  list.optional("positions", rotates, a.positions).optional("table", rotates, a.table);
  if (rotates) {
    require(a.table_rows > 0, kName, "table_rows", a.table_rows, "the table needs a row");
    list.add(a.table_rows);
  }
  list.add(a.slots).add(a.k_cache).add(int64_t{0}).add(a.v_cache);  // the cache's extent is not read
  list.optional("kv_scales", scaled(spec_), a.kv_scales).optional("q_out", spec_.q_out, a.q_out);
  stream.launch(*program_, groups_of(target_, spec_).grid(rows), list.list());
}

CatalogEntry qk_rope_cache_entry() {
  auto e = catalog_entry<QkRopeCacheSpec>(
      kName, "query and key norm, rotary embedding and the write into a paged KV cache", qk_rope_cache,
      {"q_heads=32", "q_heads=32,norm=1", "q_heads=64,kv_dtype=e4m3,norm=1,q_out=1",
       "q_heads=16,kv_heads=2,style=interleaved,rotary_dim=64",
       "q_heads=9,kv_heads=3,head_dim=64,rotary_dim=64,dtype=f32,kv_dtype=f32",
       "q_heads=8,kv_heads=8,rotary_dim=0,slot_dtype=s32",
       "q_heads=8,kv_heads=4,head_dim=256,rotary_dim=256,norm=1,weight_plus_one=1"});
  e.bench_rows = 16384;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t tokens) {
    auto spec = parse_spec<QkRopeCacheSpec>(text);
    constexpr int64_t kPositions = 4096;
    struct Data {
      QkRopeCache op;
      runtime::Buffer qkv, q_weight, k_weight, positions, table, slots, k_cache, v_cache, scales, q_out;
    };
    auto allocate = [&](int64_t bytes) { return context.device().allocate(static_cast<size_t>(bytes)); };
    int64_t count = tokens * all_heads(spec) * spec.head_dim,
            cached = tokens * spec.kv_heads * spec.head_dim * spec.kv_dtype.bits() / 8;
    std::vector<int64_t> slots(static_cast<size_t>(tokens));
    std::vector<int32_t> positions(slots.size());
    for (size_t i = 0; i < slots.size(); ++i)
      slots[i] = static_cast<int64_t>(i), positions[i] = static_cast<int32_t>(i % kPositions);
    std::vector<int32_t> narrow_slots(slots.begin(), slots.end());
    auto table =
        spec.rotary_dim ? rope_table({.rotary_dim = spec.rotary_dim}, kPositions) : std::vector<float>{};
    float scales[2] = {1, 1};
    auto data =
        std::make_shared<Data>(Data{QkRopeCache(context, spec), random_buffer(context, spec.dtype, count, 1),
                                    random_buffer(context, spec.dtype, spec.head_dim, 2),
                                    random_buffer(context, spec.dtype, spec.head_dim, 3),
                                    allocate(tokens * 4), allocate(static_cast<int64_t>(table.size()) * 4),
                                    allocate(tokens * 8), allocate(cached), allocate(cached), allocate(8),
                                    allocate(tokens * spec.q_heads * spec.head_dim * spec.dtype.bits() / 8)});
    auto& stream = context.stream();
    stream.upload(data->positions, positions.data(), positions.size() * 4);
    stream.upload(data->table, table.data(), table.size() * 4);
    if (spec.slot_dtype == s64)
      stream.upload(data->slots, slots.data(), slots.size() * 8);
    else
      stream.upload(data->slots, narrow_slots.data(), slots.size() * 4);
    stream.upload(data->scales, scales, sizeof scales);
    stream.synchronize();
    Case c;
    c.bytes = static_cast<double>(count + tokens * spec.q_heads * spec.head_dim) * spec.dtype.bits() / 8 +
              2 * static_cast<double>(cached);
    c.launch = [data, tokens](runtime::Stream& s) {
      data->op(s, {.qkv = data->qkv,
                   .q_weight = data->q_weight,
                   .k_weight = data->k_weight,
                   .positions = data->positions,
                   .table = data->table,
                   .slots = data->slots,
                   .k_cache = data->k_cache,
                   .v_cache = data->v_cache,
                   .kv_scales = data->scales,
                   .q_out = data->q_out,
                   .tokens = tokens,
                   .table_rows = kPositions});
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
