// DecodeAttentionSm90 on the host: what a Spec comes to, workspaces, launches, the catalog's entry.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/attention/sm90_attention.h"
#include "kernels/attention/sm90_maps.h"
#include "kernels/attention/sm90_shape.h"
#include "kernels/launch.h"

namespace rose::kernels {
namespace {

constexpr const char* kName = "decode_attention_sm90";
constexpr int64_t kSharedOfProcessor = 228 * 1024, kReservedOfBlock = 1024;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t padded(int64_t bytes) { return ceil_div(bytes, 256) * 256; }

// Where things lie in the workspace.
struct Places {
  int64_t states, parts, bytes, pieces, jobs;
};
Places places(const DecodeAttentionSm90Spec& spec, int64_t sequences, int64_t longest) {
  auto shape = decode_attention_sm90_shape(spec);
  require(sequences >= 1 && sequences <= (1 << 20), kName, "sequences", sequences, "use 1 to 2^20");
  require(longest >= 1 && longest <= INT32_MAX, kName, "longest", longest, "use 1 to 2^31");
  int64_t keys = longest;
  if (spec.window) keys = std::min(keys, spec.window + kDecodeKeys - 1);
  // A longer sequence may have fewer pieces than a shorter one, so ask for the most of all lengths.
  int64_t most = std::min<int64_t>(kDecodeMostPieces, ceil_div(keys, spec.chunk));
  int64_t heads = spec.kv_heads * shape.row_tiles, rows = std::min(16, shape.group);
  Places p{};
  p.pieces = sequences * most, p.jobs = p.pieces * heads;
  p.states = padded(sequences * heads * 4);
  p.parts = p.states + padded(p.jobs * rows * 2 * 4);
  p.bytes = p.parts + padded(p.jobs * rows * shape.width * 4);
  return p;
}

}  // namespace

DecodeAttentionSm90Shape decode_attention_sm90_shape(const DecodeAttentionSm90Spec& spec) {
  check_sm90_attention_heads(kName, spec.dtype, spec.q_heads, spec.kv_heads, spec.head_dim, spec.window,
                             spec.block_size, spec.scale, spec.softcap);
  require(spec.block_size > 0, kName, "block_size", spec.block_size, "keys lie in a paged cache");
  require(spec.chunk >= kDecodeKeys && spec.chunk % kDecodeKeys == 0 && spec.chunk <= (1 << 20), kName,
          "chunk", spec.chunk, "use a multiple of 64 up to 2^20");
  require(spec.stages >= 0 && spec.stages <= 16, kName, "stages", spec.stages, "use 1 to 16, or 0");
  require(spec.blocks >= 0 && spec.blocks <= 4, kName, "blocks", spec.blocks, "use 1 to 4, or 0");
  DecodeAttentionSm90Shape s{};
  s.width = static_cast<int>(ceil_div(spec.head_dim, 64) * 64), s.chunks = s.width / 64;
  s.group = static_cast<int>(spec.q_heads / spec.kv_heads);
  s.row_tiles = static_cast<int>(ceil_div(s.group, 16));
  s.box_keys = std::min<int>(kDecodeKeys, static_cast<int>(spec.block_size));
  s.blocks = spec.blocks ? spec.blocks : s.width <= 128 ? 2 : 1;
  s.scale = spec.scale ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.head_dim));
  const int64_t stage = int64_t{2} * kDecodeKeys * s.width * 2, rows = std::min(16, s.group),
                other = 4 * rows * (s.width + 2) * 4 + s.chunks * (rows > 8 ? 2048 : 1024) + 2048;
  const int64_t room =
      std::min<int64_t>(kSharedOfProcessor / s.blocks - kReservedOfBlock, kDecodeSharedBytes) - other;
  s.stages = spec.stages ? spec.stages : static_cast<int>(std::min<int64_t>(8, room / stage));
  require(s.stages >= 1 && s.stages * stage <= room, kName, "the shared memory of a block's stages",
          s.stages * stage,
          fmt::format("{} blocks a multiprocessor leave {} bytes each; use fewer", s.blocks, room));
  return s;
}

DecodeAttentionSm90::DecodeAttentionSm90(runtime::Context& context, const DecodeAttentionSm90Spec& spec)
    : context_(&context),
      spec_(spec),
      program_(&program(context, kName, spec, decode_attention_sm90)),
      plan_(&program(context, "decode_plan_sm90",
                     DecodePlanSm90Spec{.window = spec.window, .chunk = spec.chunk, .pdl = spec.pdl},
                     decode_plan_sm90)),
      grid_(
          static_cast<uint32_t>(context.properties().processors * decode_attention_sm90_shape(spec).blocks)) {
}

int64_t DecodeAttentionSm90::plan_bytes(int64_t sequences) {
  return (sequences * kDecodeMostPieces + 1) * kDecodePlanWords * 4;
}

int64_t DecodeAttentionSm90::workspace_bytes(int64_t sequences, int64_t longest) const {
  return places(spec_, sequences, longest).bytes;
}

void DecodeAttentionSm90::plan(runtime::Stream& stream, runtime::DevicePointer lengths,
                               runtime::DevicePointer first_queries, int64_t sequences,
                               runtime::DevicePointer plan) const {
  if (sequences == 0) return;
  stream.launch(*plan_, runtime::Grid{1, 1, 1},
                {lengths, sequences, first_queries, int64_t{0}, plan, sequences * kDecodeMostPieces + 1});
}

runtime::PreparedLaunch DecodeAttentionSm90::prepare(const Arguments& a) const {
  auto shape = decode_attention_sm90_shape(spec_);
  auto p = places(spec_, a.sequences, a.longest);
  auto& device = context_->device();
  auto map = [&](runtime::DevicePointer base) {
    return device.encode_tensor_map(attention_cache_map(spec_.dtype, base, spec_.head_dim, spec_.kv_heads,
                                                        spec_.block_size, shape.box_keys));
  };
  auto map_k = map(a.k), map_v = map(a.v);
  auto map_q = device.encode_tensor_map(attention_rows_map(
      spec_.dtype, a.q, spec_.head_dim, spec_.q_heads, int64_t{1} << 31,
      a.q_stride ? a.q_stride : spec_.q_heads * spec_.head_dim, 1, std::min(16, shape.group)));
  // Extents are not read, but for the width of the table.
  runtime::Argument arguments[] = {map_k,       map_v,
                                   map_q,       a.out,
                                   int64_t{0},  a.block_table,
                                   a.sequences, a.table_width,
                                   a.plan,      int64_t{0},
                                   a.workspace, a.workspace + p.states,
                                   p.pieces,    a.workspace + p.parts};
  return runtime::PreparedLaunch(*program_, grid_of(std::min<int64_t>(grid_, p.jobs)), arguments);
}

CatalogEntry decode_attention_sm90_entry() {
  auto e = catalog_entry<DecodeAttentionSm90Spec>(
      kName, "attention of one query a sequence over a paged KV cache, on Hopper", decode_attention_sm90,
      {"", "q_heads=14,kv_heads=2,head_dim=64", "q_heads=8,kv_heads=4,head_dim=256,softcap=50,window=4096",
       "q_heads=40,kv_heads=2,block_size=128,dtype=f16,pdl=1", "q_heads=32,kv_heads=32"},
      sm90_only);
  e.bench_rows = 32 * 4096;
  // 32 sequences that have `rows` keys together.
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<DecodeAttentionSm90Spec>(text);
    struct Data {
      runtime::Buffer q, k, v, out, table, plan, workspace;
    };
    DecodeAttentionSm90 op(context, spec);
    const int64_t sequences = 32, keys = std::max<int64_t>(1, rows / sequences),
                  width = ceil_div(keys, spec.block_size), blocks = sequences * width;
    auto& stream = context.stream();
    auto allocate = [&](int64_t bytes) { return context.device().allocate(static_cast<size_t>(bytes)); };
    std::vector<int32_t> lengths(static_cast<size_t>(sequences), static_cast<int32_t>(keys)),
        table(static_cast<size_t>(blocks));
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), std::mt19937(1));
    int64_t q_count = sequences * spec.q_heads * spec.head_dim,
            kv_count = blocks * spec.block_size * spec.kv_heads * spec.head_dim;
    auto data = std::make_shared<Data>(Data{
        random_buffer(context, spec.dtype, q_count, 1), random_buffer(context, spec.dtype, kv_count, 2),
        random_buffer(context, spec.dtype, kv_count, 3), allocate(q_count * 2), allocate(blocks * 4),
        allocate(DecodeAttentionSm90::plan_bytes(sequences)), allocate(op.workspace_bytes(sequences, keys))});
    auto lengths_device = allocate(sequences * 4);
    stream.upload(lengths_device, lengths.data(), lengths.size() * 4);
    stream.upload(data->table, table.data(), table.size() * 4);
    stream.fill(data->workspace, 0, data->workspace.bytes());
    op.plan(stream, lengths_device, {}, sequences, data->plan);
    stream.synchronize();
    DecodeAttentionSm90::Arguments a;
    a.q = data->q, a.k = data->k, a.v = data->v, a.out = data->out, a.block_table = data->table,
    a.plan = data->plan;
    a.workspace = data->workspace, a.sequences = sequences, a.table_width = width, a.longest = keys;
    auto launch = std::make_shared<runtime::PreparedLaunch>(op.prepare(a));
    int64_t seen = spec.window ? std::min(keys, spec.window) : keys;
    Case c;
    c.bytes = 2.0 * (2.0 * static_cast<double>(q_count) +
                     2.0 * static_cast<double>(sequences * seen * spec.kv_heads * spec.head_dim));
    c.operations =
        4.0 * static_cast<double>(sequences * seen) * static_cast<double>(spec.q_heads * spec.head_dim);
    c.launch = [data, launch](runtime::Stream& s) { s.launch(*launch); };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
