// AttentionSm90 on the host: what a Spec comes to, the list of tiles, tensor maps, the catalog's entry.
#include "kernels/attention/sm90_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/arguments.h"
#include "kernels/attention/sm90_maps.h"
#include "kernels/attention/sm90_shape.h"
#include "kernels/launch.h"

namespace rose::kernels {
namespace {

constexpr const char* kName = "attention_sm90";

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

void check_sm90_attention_heads(const char* kernel, ir::Type dtype, int64_t q_heads, int64_t kv_heads,
                                int64_t head_dim, int64_t window, int64_t block_size, double scale,
                                double softcap) {
  if (dtype != ir::bf16 && dtype != ir::f16)
    throw KernelError(fmt::format("{}: dtype is {}; use bf16 or f16", kernel, ir::to_string(dtype)));
  require(q_heads >= 1 && q_heads <= 1024, kernel, "q_heads", q_heads, "use 1 to 1024");
  require(kv_heads >= 1 && q_heads % kv_heads == 0, kernel, "kv_heads", kv_heads,
          fmt::format("it must divide q_heads, {}", q_heads));
  require(head_dim >= 8 && head_dim <= 256 && head_dim % 8 == 0, kernel, "head_dim", head_dim,
          "use a multiple of 8 up to 256");
  require(window >= 0 && window <= (1 << 30), kernel, "window", window, "use 0 to 2^30");
  require(block_size == 0 || block_size == 16 || block_size == 32 ||
              (block_size > 0 && block_size % 64 == 0 && block_size <= 4096),
          kernel, "block_size", block_size, "use 16, 32 or a multiple of 64 up to 4096");
  if (!(scale >= 0) || !std::isfinite(scale))
    throw KernelError(fmt::format("{}: scale is {}; use a positive number, or 0", kernel, scale));
  if (!(softcap >= 0) || !std::isfinite(softcap))
    throw KernelError(fmt::format("{}: softcap is {}; use a positive number, or 0", kernel, softcap));
}

AttentionSm90Shape attention_sm90_shape(const AttentionSm90Spec& spec) {
  check_sm90_attention_heads(kName, spec.dtype, spec.q_heads, spec.kv_heads, spec.head_dim, spec.window,
                             spec.block_size, spec.scale, spec.softcap);
  if (spec.mask != "causal" && spec.mask != "full")
    throw KernelError(fmt::format("{}: mask is '{}'; use causal or full", kName, spec.mask));
  require(spec.consumers >= 0 && spec.consumers <= 3, kName, "consumers", spec.consumers, "use 1 to 3, or 0");
  require(spec.tile_keys >= 0 && spec.tile_keys <= 256 && spec.tile_keys % 64 == 0, kName, "tile_keys",
          spec.tile_keys, "use 64, 128, 192 or 256, or 0");
  require(spec.stages >= 0 && spec.stages <= 8, kName, "stages", spec.stages, "use 1 to 8, or 0");
  require(spec.blocks >= 0 && spec.blocks <= 4, kName, "blocks", spec.blocks, "use 1 to 4, or 0");
  AttentionSm90Shape s{};
  s.width = static_cast<int>(ceil_div(spec.head_dim, 64) * 64), s.chunks = s.width / 64;
  // Packed sequences are an encoder's, and short: tiles of 128 queries waste less (measured: 512 sequences of
  // 128 tokens in 88 instead of 113 us; 8192 tokens of a decoder want three warpgroups, 508 against 448
  // TFLOP/s).
  s.consumers = spec.consumers ? spec.consumers : s.width == 64 && spec.block_size ? 3 : 2;
  s.tile_queries = 64 * s.consumers;
  s.tile_keys = spec.tile_keys ? spec.tile_keys : s.width <= 128 ? 128 : 64;
  s.stages = spec.stages ? spec.stages : 2;
  s.box_keys = spec.block_size == 0 ? s.tile_keys : std::min<int>(64, static_cast<int>(spec.block_size));
  s.blocks = spec.blocks ? spec.blocks : 1;
  // Heads of 256 gain nothing from turns: their second product is long enough (measured: 735 against 753
  // TFLOP/s).
  s.turns = spec.pingpong && s.consumers > 1 && s.width <= 128;
  // The most that the multiprocessor's 65536 registers allow beside a producer that is content with 24 or 32.
  s.producer_registers = s.consumers == 3 ? 32 : 24;
  s.consumer_registers = std::min(
      240,
      ((65536 / s.blocks / (128 * (s.consumers + 1)) / 8 * 8) * (s.consumers + 1) - s.producer_registers) /
          s.consumers / 8 * 8);
  s.scale = spec.scale ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.head_dim));
  s.has_left = spec.window > 0;
  s.left = spec.mask == "causal" ? spec.window - 1 : spec.window / 2;
  s.right = spec.mask == "causal" ? 0 : spec.window ? spec.window / 2 : -1;
  auto bytes_with = [&](int slots) {
    return int64_t{2} * s.width * (slots * s.tile_queries + 2 * s.stages * s.tile_keys) + 1024;
  };
  // The next tile's queries arrive while this one is worked on, where there is room for them.
  s.slots = bytes_with(2) <= 233472 / s.blocks - 1024 ? 2 : 1;
  const int64_t bytes = bytes_with(s.slots);
  require(bytes <= 233472 / s.blocks - 1024, kName, "the shared memory", bytes,
          "a multiprocessor's blocks have 233472 bytes, 1024 of each reserved; use fewer stages or smaller "
          "tiles");
  return s;
}

AttentionSm90::AttentionSm90(runtime::Context& context, const AttentionSm90Spec& spec)
    : context_(&context),
      spec_(spec),
      program_(&program(context, kName, spec, attention_sm90)),
      tile_queries_(attention_sm90_shape(spec).tile_queries) {}

std::vector<int32_t> attention_sm90_tiles(int64_t tile_queries, std::span<const int32_t> first_queries,
                                          std::span<const int32_t> lengths, bool skip_single) {
  struct Tile {
    int32_t sequence, first;
    int64_t keys;  // before the tile's end, were the mask causal
  };
  std::vector<Tile> tiles;
  if (!lengths.empty() && lengths.size() + 1 != first_queries.size())
    throw KernelError(fmt::format("{}: {} lengths for {} sequences", kName, lengths.size(),
                                  static_cast<int64_t>(first_queries.size()) - 1));
  for (size_t s = 0; s + 1 < first_queries.size(); ++s) {
    int64_t queries = int64_t{first_queries[s + 1]} - first_queries[s];
    int64_t keys = lengths.empty() ? queries : lengths[s];
    require(queries >= 0 && keys >= queries, kName, fmt::format("keys of sequence {}", s), keys,
            fmt::format("it has {} queries", queries));
    if (skip_single && queries == 1) continue;
    for (int64_t first = 0; first < queries; first += tile_queries)
      tiles.push_back({static_cast<int32_t>(s), static_cast<int32_t>(first),
                       keys - queries + std::min(queries, first + tile_queries)});
  }
  std::stable_sort(tiles.begin(), tiles.end(), [](const Tile& a, const Tile& b) { return a.keys > b.keys; });
  std::vector<int32_t> list;
  list.reserve(2 * tiles.size());
  for (const Tile& t : tiles) list.push_back(t.sequence), list.push_back(t.first);
  return list;
}

std::vector<int32_t> AttentionSm90::tiles(std::span<const int32_t> first_queries,
                                          std::span<const int32_t> lengths, bool skip_single) const {
  return attention_sm90_tiles(tile_queries_, first_queries, lengths, skip_single);
}

runtime::PreparedLaunch AttentionSm90::prepare(const Arguments& a) const {
  auto shape = attention_sm90_shape(spec_);
  const int64_t q_row = spec_.q_heads * spec_.head_dim, kv_row = spec_.kv_heads * spec_.head_dim;
  require(a.tile_count >= 1 && a.tile_count * spec_.q_heads <= INT32_MAX, kName, "tile_count", a.tile_count,
          "use 1 to 2^31 / q_heads");
  require(a.tokens >= 1 && a.tokens <= INT32_MAX, kName, "tokens", a.tokens, "use 1 to 2^31");
  auto& device = context_->device();
  auto map_q =
      device.encode_tensor_map(attention_rows_map(spec_.dtype, a.q, spec_.head_dim, spec_.q_heads, a.tokens,
                                                  a.q_stride ? a.q_stride : q_row, shape.tile_queries));
  auto kv_map = [&](runtime::DevicePointer base) {
    return device.encode_tensor_map(
        spec_.block_size ? attention_cache_map(spec_.dtype, base, spec_.head_dim, spec_.kv_heads,
                                               spec_.block_size, shape.box_keys)
                         : attention_rows_map(spec_.dtype, base, spec_.head_dim, spec_.kv_heads, a.tokens,
                                              a.kv_stride ? a.kv_stride : kv_row, shape.tile_keys));
  };
  auto map_k = kv_map(a.k), map_v = kv_map(a.v);
  LaunchArguments list(kName);
  // Extents of the lists are not read, but for the number of tiles and the width of the table.
  list.add(map_q).add(map_k).add(map_v).add(a.out).add(a.tokens).add(a.first_queries).add(int64_t{0});
  list.optional("lengths", spec_.block_size > 0, a.lengths);
  if (spec_.block_size) list.add(int64_t{0});
  list.optional("block_table", spec_.block_size > 0, a.block_table);
  if (spec_.block_size) list.add(a.table_width);
  list.add(a.tiles).add(a.tile_count);
  int64_t jobs = a.tile_count * spec_.q_heads;
  if (spec_.persistent)
    jobs = std::min<int64_t>(jobs, int64_t{context_->properties().processors} * shape.blocks);
  return runtime::PreparedLaunch(*program_, grid_of(jobs), list.list());
}

Case attention_sm90_case(runtime::Context& context, const AttentionSm90Spec& spec, int64_t rows,
                         int64_t length) {
  struct Data {
    runtime::Buffer q, k, v, out, first, lengths, table, tiles;
  };
  AttentionSm90 op(context, spec);
  length = std::clamp<int64_t>(length, 1, rows);
  std::vector<int32_t> first, lengths;
  for (int64_t token = 0; token < rows; token += length) {
    first.push_back(static_cast<int32_t>(token));
    lengths.push_back(static_cast<int32_t>(std::min(length, rows - token)));
  }
  first.push_back(static_cast<int32_t>(rows));
  auto sequences = static_cast<int64_t>(lengths.size());
  int64_t block = spec.block_size ? spec.block_size : 1, width = ceil_div(length, block),
          blocks = sequences * width;
  auto& stream = context.stream();
  auto integers = [&](const std::vector<int32_t>& values) {
    auto buffer = context.device().allocate(values.size() * 4);
    stream.upload(buffer, values.data(), values.size() * 4);
    stream.synchronize();
    return buffer;
  };
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  std::iota(table.begin(), table.end(), 0);
  auto tiles = op.tiles(first, lengths);
  int64_t q_count = rows * spec.q_heads * spec.head_dim,
          kv_count = blocks * block * spec.kv_heads * spec.head_dim;
  auto data = std::make_shared<Data>(
      Data{random_buffer(context, spec.dtype, q_count, 1), random_buffer(context, spec.dtype, kv_count, 2),
           random_buffer(context, spec.dtype, kv_count, 3),
           context.device().allocate(static_cast<size_t>(q_count * 2)), integers(first), integers(lengths),
           integers(table), integers(tiles)});
  AttentionSm90::Arguments a;
  a.q = data->q, a.k = data->k, a.v = data->v, a.out = data->out;
  a.first_queries = data->first, a.lengths = data->lengths, a.block_table = data->table,
  a.tiles = data->tiles;
  a.tile_count = static_cast<int64_t>(tiles.size() / 2), a.tokens = rows, a.table_width = width;
  auto launch = std::make_shared<runtime::PreparedLaunch>(op.prepare(a));
  Case c;
  c.bytes = 2.0 * static_cast<double>(2 * q_count + 2 * rows * spec.kv_heads * spec.head_dim);
  double pairs = 0;  // of a query and a key that it sees
  auto shape = attention_sm90_shape(spec);
  for (int64_t keys : lengths)
    for (int64_t i = 0; i < keys; ++i) {
      int64_t last = shape.right < 0 ? keys - 1 : std::min(keys - 1, i + shape.right);
      pairs += static_cast<double>(last + 1 - (shape.has_left ? std::max<int64_t>(0, i - shape.left) : 0));
    }
  c.operations = 4 * pairs * static_cast<double>(spec.q_heads * spec.head_dim);
  c.launch = [data, launch](runtime::Stream& s) { s.launch(*launch); };
  return c;
}

CatalogEntry attention_sm90_entry() {
  auto e = catalog_entry<AttentionSm90Spec>(
      kName, "attention of many queries on Hopper (TMA, wgmma), packed or over a paged KV cache",
      attention_sm90,
      {"block_size=64", "mask=full", "q_heads=16,kv_heads=16,head_dim=64,mask=full",
       "q_heads=14,kv_heads=2,head_dim=64,block_size=64",
       "q_heads=8,kv_heads=4,head_dim=256,block_size=64,softcap=50,window=4096",
       "block_size=64,dtype=f16,window=1024", "q_heads=12,kv_heads=12,head_dim=32,mask=full,dtype=f16"},
      sm90_only);
  e.bench_rows = 8192;
  // One sequence of `rows` tokens.
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    return attention_sm90_case(context, parse_spec<AttentionSm90Spec>(text), rows, rows);
  };
  return e;
}

}  // namespace rose::kernels
