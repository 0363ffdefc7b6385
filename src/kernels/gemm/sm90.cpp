#include "kernels/gemm/sm90.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsl/hopper.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kTileM = 128;  // two consumer warpgroups of 64 rows
constexpr int kTileK = 64;   // 128 bytes: one row of the swizzle
constexpr int kRowBytes = 128;
constexpr int kThreads = 384;       // a producer warpgroup and two consumers
constexpr int kStoreColumns = 128;  // of the epilogue's staging buffer, one for each consumer

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The coordinates of a tile, in tiles. `count_m` is in units of a cluster's tiles along M.
struct TilePlace {
  Val m, n;
};

// Tiles are numbered along M within groups of `group` cluster rows, then along N: what runs at the same time
// shares rows of a and b in the L2 cache.
TilePlace place(const Val& tile, const Val& count_m, int64_t count_n, int group) {
  auto full = static_cast<uint32_t>(group * count_n);
  Val first = tile / full * static_cast<uint32_t>(group);
  Val rows = min(count_m - first, static_cast<uint32_t>(group));
  Val inside = tile % full;
  return {first + inside % rows, inside / rows};
}

}  // namespace

ir::Kernel gemm_sm90(const ir::Target& target, const GemmSm90Spec& spec) {
  const char* kName = "gemm_sm90";
  if (target.arch != ir::Arch::kSm90a)
    throw KernelError(fmt::format("{} exists on sm_90a, not on {}", kName, ir::to_string(target)));
  if (spec.dtype != bf16 && spec.dtype != f16)
    throw KernelError(fmt::format("{}: dtype is {}; use bf16 or f16", kName, ir::to_string(spec.dtype)));
  require(spec.n >= 8 && spec.n % 8 == 0 && spec.n <= (1 << 24), kName, "n", spec.n,
          "use a multiple of 8 up to 2^24");
  require(spec.k >= 8 && spec.k % 8 == 0 && spec.k <= (1 << 24), kName, "k", spec.k,
          "use a multiple of 8 up to 2^24");
  require(spec.tile_n >= 64 && spec.tile_n <= 256 && spec.tile_n % 64 == 0, kName, "tile_n", spec.tile_n,
          "use 64, 128, 192 or 256");
  require(spec.cluster == 1 || spec.cluster == 2, kName, "cluster", spec.cluster, "use 1 or 2");
  require(spec.stages >= 2 && spec.stages <= 8, kName, "stages", spec.stages, "use 2 to 8");
  require(spec.group >= 1 && spec.group <= 64, kName, "group", spec.group, "use 1 to 64");

  const int k_tiles = static_cast<int>(ceil_div(spec.k, kTileK));
  const int64_t n_tiles = ceil_div(spec.n, spec.tile_n);
  const int a_bytes = kTileM * kRowBytes, b_bytes = spec.tile_n * kRowBytes;
  const int b_part = b_bytes / spec.cluster;  // each block of a cluster loads its part of b for all
  const int store_columns = std::min(kStoreColumns, spec.tile_n);

  Launch launch{.target = target, .threads = kThreads, .cluster = spec.cluster, .min_blocks = 1};
  return record(kName, launch, [&](Block& block) {
    Val map_a = block.tensor_map("map_a");             // box [128 rows, 64]
    Val map_b = block.tensor_map("map_b");             // box [tile_n / cluster rows, 64]
    Val map_out = block.tensor_map("map_out");         // box [64 rows, 64]
    Val m_clusters = block.scalar("m_clusters", u32);  // tiles along M, in clusters
    Val tiles = m_clusters * static_cast<uint32_t>(n_tiles);

    Tensor sA =
        block.shared("sA", spec.dtype, shape(spec.stages, kTileM, kTileK), 1024);  // (stages, 128, 64)
    Tensor sB = block.shared("sB", spec.dtype, shape(spec.stages, spec.tile_n, kTileK),
                             1024);  // (stages, tile_n, 64)
    Tensor sOut = block.shared("sOut", spec.dtype, shape(2, store_columns / 64, 64, 64),
                               1024);  // (consumer, box, 64, 64)
    Pipeline pipe(block, {.name = "tiles",
                          .stages = spec.stages,
                          .bytes = a_bytes + b_bytes,
                          .consumers = 2,
                          .cluster = spec.cluster,
                          .producer_role = "producer",
                          .consumer_role = "consumer",
                          .copies = {{"a", a_bytes, 1, 1}, {"b", b_part, 1, spec.cluster}}});

    IF (block.thread32() == 0) {
      pipe.init();
    }
    sync_setup(block);

    auto cluster_rank = [&] {
      return spec.cluster == 1 ? literal(u32, 0)
                               : op1("special", Type{}, {}, {int64_t(ir::Special::kClusterRank)});
    };
    auto first_tile = [&] {
      return op1("special", Type{}, {}, {int64_t(ir::Special::kBlockX)}) /
             static_cast<uint32_t>(spec.cluster);
    };
    auto tile_step = [&] {
      return op1("special", Type{}, {}, {int64_t(ir::Special::kGridX)}) / static_cast<uint32_t>(spec.cluster);
    };

    auto produce = [&](const Val&) {
      Val rank = cluster_rank(), step = tile_step();
      IF ((uniform_warp(block) == 0) & elected()) {
        PipelineState state;
        FOR (tile, first_tile(), tiles, step) {
          auto at = place(tile, m_clusters, n_tiles, spec.group);
          Val row_a = bitcast(s32, (at.m * static_cast<uint32_t>(spec.cluster) + rank) * kTileM);
          Val row_b = bitcast(s32, at.n * static_cast<uint32_t>(spec.tile_n) +
                                       rank * static_cast<uint32_t>(spec.tile_n / spec.cluster));
          FOR (kt, literal(u32, 0), k_tiles, Unroll{1}) {
            Val full = pipe.acquire(state);
            Val column = bitcast(s32, kt * kTileK);
            Val stage = Val(state.stage);
            tma_load(address_of(sA) + stage * static_cast<uint32_t>(a_bytes), map_a, {column, row_a}, full);
            tma_load(address_of(sB) + stage * static_cast<uint32_t>(b_bytes) +
                         rank * static_cast<uint32_t>(b_part),
                     map_b, {column, row_b}, full, spec.cluster > 1 ? (1 << spec.cluster) - 1 : 0);
            state.advance(spec.stages);
          }
        }
      }
    };

    auto consume = [&](const Val& consumer) {  // u32: 0 or 1
      Accumulator acc(1, spec.tile_n);
      PipelineState state;
      Val rank = cluster_rank(), step = tile_step();
      Val desc_a = descriptor_k_major_128(address_of(sA) + consumer * (64 * kRowBytes));
      Val desc_b = descriptor_k_major_128(address_of(sB));
      Val always = literal(u32, 0) == block.thread32() - block.thread32();
      Val thread = block.thread32() & 127u, lane = block.lane();
      Val leader = thread == 0;
      // stmatrix: lane l gives the address of row l % 16 (of its warp's 16) in column group l / 16.
      Val row = (thread >> 5) * 16u + (lane & 15u);
      Val staging = address_of(sOut) + consumer * static_cast<uint32_t>(store_columns / 64 * 64 * kRowBytes);
      Val place_out = staging + row * kRowBytes + (((lane >> 4) ^ (row & 7u)) << 4u);

      FOR (tile, first_tile(), tiles, step) {
        Var previous(u32, 0);
        FOR (kt, literal(u32, 0), k_tiles, Unroll{1}) {
          pipe.wait(state);
          Val stage = Val(state.stage);
          Val a = desc_a + to(u64, stage * static_cast<uint32_t>(a_bytes / 16));
          Val b = desc_b + to(u64, stage * static_cast<uint32_t>(b_bytes / 16));
          mma_begin();
          for (int kk = 0; kk < kTileK / 16; ++kk)
            mma(acc, 0, spec.dtype, a + 2 * kk, b + 2 * kk, kk == 0 ? kt != 0 : always);
          mma_commit();
          mma_wait(1);  // the products of the stage before have ended: give it back
          IF (leader & (kt != 0)) {
            pipe.release(previous);
          }
          previous = stage;
          state.advance(spec.stages);
        }
        mma_wait(0);
        IF (leader) {
          pipe.release(previous);
        }

        // Epilogue: through shared memory, 128 columns at a time, so that the copy engine writes whole lines.
        auto at = place(tile, m_clusters, n_tiles, spec.group);
        Val row_out =
            bitcast(s32, (at.m * static_cast<uint32_t>(spec.cluster) + rank) * kTileM + consumer * 64u);
        Val column_out = bitcast(s32, at.n * static_cast<uint32_t>(spec.tile_n));
        Val barrier_id = consumer + 1u;
        for (int first = 0; first < spec.tile_n; first += store_columns) {
          int width = std::min(store_columns, spec.tile_n - first);
          IF (leader) {
            op("bulk.wait_group.read", Type{}, {}, {0});
          }
          op("bar.sync.n", Type{}, {barrier_id, 128});
          for (int j = 0; j < width / 8; j += 2) {
            auto& r = acc.fragments[0];
            auto base = static_cast<size_t>(4 * (first / 8 + j));
            auto packed = [&](size_t i) {
              return pack2(spec.dtype.with_lanes(2), r[base + i], r[base + i + 1]);
            };
            Val where = place_out + static_cast<uint32_t>(j / 8 * 64 * kRowBytes);
            op("stmatrix.x4", spec.dtype.with_lanes(2),
               {j % 8 ? where ^ static_cast<uint32_t>((j % 8) << 4) : where, packed(0), packed(2), packed(4),
                packed(6)});
          }
          op("fence.proxy.async.shared", Type{}, {});
          op("bar.sync.n", Type{}, {barrier_id, 128});
          IF (leader) {
            for (int box = 0; box < width / 64; ++box)
              tma_store(map_out, {column_out + (first + box * 64), row_out},
                        staging + static_cast<uint32_t>(box * 64 * kRowBytes));
            op("bulk.commit_group", Type{}, {});
          }
        }
      }
      IF (leader) {
        op("bulk.wait_group", Type{}, {}, {0});
      }
    };

    roles(block, {{"producer", 128, 40, produce}, {"consumer", 256, 232, consume}});
    if (spec.cluster > 1) {  // a block's shared memory must outlive its neighbour's last arrival in it
      op("cluster.arrive", Type{}, {});
      op("cluster.wait", Type{}, {});
    }
  });
}

GemmSm90::GemmSm90(runtime::Context& context, const GemmSm90Spec& spec)
    : context_(&context), spec_(spec), program_(&program(context, "gemm_sm90", spec, gemm_sm90)) {}

runtime::PreparedLaunch GemmSm90::prepare(runtime::DevicePointer a, runtime::DevicePointer b,
                                          runtime::DevicePointer out, int64_t m) const {
  require(m >= 1 && m <= INT32_MAX / 2, "gemm_sm90", "m", m, "use 1 to 2^30");
  auto map = [&](runtime::DevicePointer base, int64_t rows, int64_t columns, int box_rows) {
    runtime::TensorMapSpec s;
    s.type = spec_.dtype == bf16 ? runtime::TensorMapType::kBf16 : runtime::TensorMapType::kF16;
    s.rank = 2, s.base = base;
    s.dims = {static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), 1, 1, 1};
    s.strides = {static_cast<uint64_t>(columns) * 2, 0, 0, 0};
    s.box = {64, static_cast<uint32_t>(box_rows), 1, 1, 1};
    s.swizzle = runtime::TensorMapSwizzle::k128Bytes;
    return context_->device().encode_tensor_map(s);
  };
  auto map_a = map(a, m, spec_.k, kTileM), map_b = map(b, spec_.n, spec_.k, spec_.tile_n / spec_.cluster),
       map_out = map(out, m, spec_.n, 64);
  int64_t m_clusters = ceil_div(ceil_div(m, kTileM), spec_.cluster);
  int64_t tiles = m_clusters * ceil_div(spec_.n, spec_.tile_n);
  int64_t clusters = std::min<int64_t>(tiles, context_->properties().processors / spec_.cluster);
  runtime::Argument arguments[] = {map_a, map_b, map_out, static_cast<uint32_t>(m_clusters)};
  return runtime::PreparedLaunch(*program_, grid_of(clusters * spec_.cluster), arguments);
}

CatalogEntry gemm_sm90_entry() {
  auto e = catalog_entry<GemmSm90Spec>(
      "gemm_sm90", "bf16 and f16 matrix product on Hopper (TMA, wgmma, clusters)", gemm_sm90,
      {"n=4096,k=4096", "n=4096,k=4096,tile_n=128", "n=14336,k=4096,cluster=1", "n=1000,k=520,dtype=f16"},
      sm90_only);
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<GemmSm90Spec>(text);
    struct Data {
      runtime::Buffer a, b, out;
      runtime::PreparedLaunch launch;
    };
    auto a = random_buffer(context, spec.dtype, rows * spec.k, 1),
         b = random_buffer(context, spec.dtype, spec.n * spec.k, 2);
    auto out = context.device().allocate(static_cast<size_t>(rows * spec.n * 2));
    auto launch = GemmSm90(context, spec).prepare(a, b, out, rows);
    auto data = std::make_shared<Data>(Data{std::move(a), std::move(b), std::move(out), std::move(launch)});
    Case c;
    c.bytes = 2.0 * (static_cast<double>(rows) * spec.k + static_cast<double>(spec.n) * spec.k +
                     static_cast<double>(rows) * spec.n);
    c.operations = 2.0 * static_cast<double>(rows) * spec.n * spec.k;
    c.launch = [data](runtime::Stream& stream) { stream.launch(data->launch); };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
