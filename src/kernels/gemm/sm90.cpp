#include "kernels/gemm/sm90.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsl/grid.h"
#include "dsl/hopper.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kTileM = 128;  // two consumer warpgroups of 64 rows
constexpr int kTileK = kGemmTileK, kRowBytes = kGemmRowBytes;
constexpr int kThreads = 384;       // a producer warpgroup and two consumers
constexpr int kStoreColumns = 128;  // of the epilogue's staging buffer, one for each consumer

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
  check_gemm(target, spec, kName);
  require(spec.tile_n >= 64 && spec.tile_n <= 256 && spec.tile_n % 64 == 0, kName, "tile_n", spec.tile_n,
          "use 64, 128, 192 or 256");
  require(!spec.gated || spec.tile_n % 128 == 0, kName, "tile_n of a gated product", spec.tile_n,
          "use 128 or 256");
  require(spec.cluster == 1 || spec.cluster == 2, kName, "cluster", spec.cluster, "use 1 or 2");
  require(spec.stages >= 2 && spec.stages <= 8, kName, "stages", spec.stages, "use 2 to 8");
  require(spec.group >= 1 && spec.group <= 64, kName, "group", spec.group, "use 1 to 64");

  const int k_tiles = static_cast<int>(ceil_div(spec.k, kTileK));
  const int64_t n_tiles = ceil_div(spec.n, spec.tile_n), out_columns = spec.out_columns();
  const int a_bytes = kTileM * kRowBytes, b_bytes = spec.tile_n * kRowBytes;
  const int b_part = b_bytes / spec.cluster;  // each block of a cluster loads its part of b for all
  const int tile_out = spec.gated ? spec.tile_n / 2 : spec.tile_n;
  const int store_columns = std::min(kStoreColumns, tile_out);
  const bool staged = spec.out_dtype != f32;         // through shared memory and the copy engine
  const int early = std::min(spec.stages, k_tiles);  // turns whose weights are loaded before the wait

  Launch launch{
      .target = target, .threads = kThreads, .cluster = spec.cluster, .min_blocks = 1, .pdl = spec.pdl};
  return record(kName, launch, [&](Block& block) {
    Val map_a = block.tensor_map("map_a");             // box [128 rows, 64]
    Val map_b = block.tensor_map("map_b");             // box [tile_n / cluster rows, 64]
    Val m_clusters = block.scalar("m_clusters", u32);  // tiles along M, in clusters
    Val map_out;
    Tensor out, bias, residual;
    if (staged)
      map_out = block.tensor_map("map_out");  // box [64 rows, 64]
    else
      out = block.output("out", f32, shape(dynamic("m"), out_columns), shape(dynamic("out_stride"), 1));
    if (spec.bias) bias = block.input("bias", f32, shape(spec.n));
    if (spec.residual)
      residual = block.input("residual", spec.dtype, shape(dynamic("m"), out_columns),
                             shape(dynamic("residual_stride"), 1));
    Val tiles = m_clusters * static_cast<uint32_t>(n_tiles);

    Tensor sA =
        block.shared("sA", spec.dtype, shape(spec.stages, kTileM, kTileK), 1024);  // (stages, 128, 64)
    Tensor sB = block.shared("sB", spec.dtype, shape(spec.stages, spec.tile_n, kTileK),
                             1024);  // (stages, tile_n, 64)
    Tensor sOut;                     // (consumer, box, 64, 64)
    if (staged) sOut = block.shared("sOut", spec.dtype, shape(2, store_columns / 64, 64, 64), 1024);
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
    let_next_kernel_start(block);
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
      auto row_a = [&](const TilePlace& at) {
        return bitcast(s32, (at.m * static_cast<uint32_t>(spec.cluster) + rank) * kTileM);
      };
      auto row_b = [&](const TilePlace& at) {
        return bitcast(s32, at.n * static_cast<uint32_t>(spec.tile_n) +
                                rank * static_cast<uint32_t>(spec.tile_n / spec.cluster));
      };
      auto load_a = [&](const Val& stage, const Val& column, const Val& row, const Val& full) {
        tma_load(address_of(sA) + stage * static_cast<uint32_t>(a_bytes), map_a, {column, row}, full);
      };
      auto load_b = [&](const Val& stage, const Val& column, const Val& row, const Val& full) {
        tma_load(
            address_of(sB) + stage * static_cast<uint32_t>(b_bytes) + rank * static_cast<uint32_t>(b_part),
            map_b, {column, row}, full, spec.cluster > 1 ? (1 << spec.cluster) - 1 : 0);
      };
      IF ((uniform_warp(block) == 0) & elected()) {
        PipelineState state;
        Var start(u32, 0);  // turn of the first tile that comes after those loaded early
        if (spec.pdl) {
          auto at = place(first_tile(), m_clusters, n_tiles, spec.group);
          Val from_a = row_a(at), from_b = row_b(at);
          FOR (kt, literal(u32, 0), early, Unroll{1}) {
            Val full = pipe.acquire(state);
            load_b(Val(state.stage), bitcast(s32, kt * kTileK), from_b, full);
            state.advance(spec.stages);
          }
          wait_for_previous_kernel(block);
          FOR (kt, literal(u32, 0), early, Unroll{1}) {
            load_a(kt, bitcast(s32, kt * kTileK), from_a, pipe.full_barrier(kt));
          }
          start = Arg(literal(u32, early));
        }
        FOR (tile, first_tile(), tiles, step) {
          auto at = place(tile, m_clusters, n_tiles, spec.group);
          Val from_a = row_a(at), from_b = row_b(at);
          FOR (kt, Val(start), k_tiles, Unroll{1}) {
            Val full = pipe.acquire(state);
            Val column = bitcast(s32, kt * kTileK);
            load_a(Val(state.stage), column, from_a, full);
            load_b(Val(state.stage), column, from_b, full);
            state.advance(spec.stages);
          }
          if (spec.pdl) start = Arg(literal(u32, 0));
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
      Val staging, place_out;
      if (staged) {
        staging = address_of(sOut) + consumer * static_cast<uint32_t>(store_columns / 64 * 64 * kRowBytes);
        place_out = staging + row * kRowBytes + (((lane >> 4) ^ (row & 7u)) << 4u);
      }
      Val inner = to(s64, (lane & 3u) * 2u);                       // of the accumulator's layout: column
      Val inner_row = to(s64, (thread >> 5) * 16u + (lane >> 2));  // and row
      wait_for_previous_kernel(block);

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

        auto at = place(tile, m_clusters, n_tiles, spec.group);
        Val row_out = (at.m * static_cast<uint32_t>(spec.cluster) + rank) * kTileM + consumer * 64u;
        Val column_acc = at.n * static_cast<uint32_t>(spec.tile_n);
        Val column_out = at.n * static_cast<uint32_t>(tile_out);
        Val barrier_id = consumer + 1u;
        const bool ragged = out_columns % tile_out != 0;
        Val first_column = to(s64, column_out) + inner;
        Val first_row = to(s64, row_out) + inner_row;
        auto inside = [&](int half, int jo) {  // whether a pair of elements lies in the output
          Val valid = first_row + 8 * half < block.dimension("m");
          return ragged ? valid & (first_column + 8 * jo < out_columns) : valid;
        };

        // The four values of column group jo: rows r and r + 8, columns c and c + 1.
        auto values = [&](int jo, const std::array<Val, 2>& rest) {
          auto& r = acc.fragments[0];
          std::array<Val, 4> v, up;
          int group = spec.gated ? 2 * jo : jo;
          auto with_bias = [&](int j) {
            std::array<Val, 4> x;
            for (size_t i = 0; i < 4; ++i) x[i] = Val(r[static_cast<size_t>(4 * j) + i]);
            if (!spec.bias) return x;
            std::optional<Val> valid;
            if (spec.n % spec.tile_n) valid = to(s64, column_acc) + inner + 8 * j < spec.n;
            Pack b = load_pack(bias, to(s64, column_acc) + inner, 8 * j, 2, valid);
            for (size_t i = 0; i < 4; ++i) x[i] = x[i] + b[i % 2];
            return x;
          };
          v = with_bias(group);
          for (auto& x : v) x = gemm_activation(spec, x);
          if (spec.gated) {
            up = with_bias(group + 1);
            for (size_t i = 0; i < 4; ++i) v[i] = v[i] * up[i];
          }
          if (spec.residual)
            for (size_t half = 0; half < 2; ++half) {
              auto [low, high] = unpack2_f32(rest[half]);
              v[2 * half] = v[2 * half] + low, v[2 * half + 1] = v[2 * half + 1] + high;
            }
          return v;
        };
        // Residuals of eight column groups are requested together.
        auto residuals = [&](int first, int count) {
          std::vector<std::array<Val, 2>> all(static_cast<size_t>(count));
          if (!spec.residual) return all;
          for (int half = 0; half < 2; ++half) {
            Val elements = (first_row + 8 * half) * residual.strides[0].value + first_column;
            for (int j = 0; j < count; ++j)
              all[static_cast<size_t>(j)][static_cast<size_t>(half)] =
                  load_pack(residual, elements, 8 * (first + j), 2, inside(half, first + j))[0];
          }
          return all;
        };

        auto store_f32 = [&] {  // eight bytes a thread, whole sectors of rows
          for (int first = 0; first < tile_out / 8; first += 8) {
            auto rest = residuals(first, 8);
            for (int j = first; j < first + 8; ++j) {
              auto v = values(j, rest[static_cast<size_t>(j - first)]);
              for (int half = 0; half < 2; ++half)
                store_pack(out, (first_row + 8 * half) * out.strides[0].value + first_column, 8 * j,
                           {v[static_cast<size_t>(2 * half)], v[static_cast<size_t>(2 * half + 1)]},
                           inside(half, j));
            }
          }
        };
        // Through shared memory, so that the copy engine writes whole lines.
        auto store_columns_from = [&](int first) {
          int width = std::min(store_columns, tile_out - first);
          IF (leader) {
            op("bulk.wait_group.read", Type{}, {}, {0});
          }
          op("bar.sync.n", Type{}, {barrier_id, 128});
          std::vector<std::array<Val, 2>> rest;
          for (int j = 0; j < width / 8; j += 2) {
            if (j % 8 == 0) rest = residuals(first / 8 + j, 8);
            std::array<Val, 4> packed;
            for (int side = 0; side < 2; ++side) {
              auto v = values(first / 8 + j + side, rest[static_cast<size_t>(j % 8 + side)]);
              for (size_t half = 0; half < 2; ++half)
                packed[static_cast<size_t>(2 * side) + half] =
                    pack2(spec.dtype.with_lanes(2), v[2 * half], v[2 * half + 1]);
            }
            Val where = place_out + static_cast<uint32_t>(j / 8 * 64 * kRowBytes);
            op("stmatrix.x4", spec.dtype.with_lanes(2),
               {j % 8 ? where ^ static_cast<uint32_t>((j % 8) << 4) : where, packed[0], packed[1], packed[2],
                packed[3]});
          }
          op("fence.proxy.async.shared", Type{}, {});
          op("bar.sync.n", Type{}, {barrier_id, 128});
          IF (leader) {
            for (int box = 0; box < width / 64; ++box)
              tma_store(map_out, {bitcast(s32, column_out) + (first + box * 64), bitcast(s32, row_out)},
                        staging + static_cast<uint32_t>(box * 64 * kRowBytes));
            op("bulk.commit_group", Type{}, {});
          }
        };
        if (staged)
          for (int first = 0; first < tile_out; first += store_columns) store_columns_from(first);
        else
          store_f32();
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

void launch_gemm_sm90(runtime::Context& context, runtime::Stream& stream, const GemmSm90Spec& spec,
                      const runtime::Program& program, const Gemm::Operands& operands, int64_t m) {
  auto o = checked_operands(spec, operands, m);
  auto map_a =
      gemm_map(context, spec.dtype, o.a, m, spec.k, o.a_stride, kTileM, runtime::TensorMapL2::k128Bytes);
  auto map_b = gemm_map(context, spec.dtype, o.weights, spec.n, spec.k, spec.k, spec.tile_n / spec.cluster,
                        runtime::TensorMapL2::k128Bytes);
  runtime::TensorMap map_out;
  if (spec.out_dtype != f32)
    map_out = gemm_map(context, spec.dtype, o.out, m, spec.out_columns(), o.out_stride, 64,
                       runtime::TensorMapL2::k128Bytes);
  int64_t m_clusters = ceil_div(ceil_div(m, kTileM), spec.cluster);
  int64_t tiles = m_clusters * ceil_div(spec.n, spec.tile_n);
  require(tiles <= INT32_MAX, "gemm_sm90", "the number of tiles", tiles, "use fewer rows");
  int64_t clusters = std::min<int64_t>(tiles, context.properties().processors / spec.cluster);
  stream.launch(program, grid_of(clusters * spec.cluster),
                arguments_by_name(program, {{"map_a", map_a},
                                            {"map_b", map_b},
                                            {"map_out", map_out},
                                            {"m_clusters", static_cast<uint32_t>(m_clusters)},
                                            {"m", m},
                                            {"out", o.out},
                                            {"out_stride", o.out_stride},
                                            {"bias", o.bias},
                                            {"residual", o.residual},
                                            {"residual_stride", o.residual_stride}}));
}

CatalogEntry gemm_sm90_entry() {
  auto e = catalog_entry<GemmSm90Spec>(
      "gemm_sm90", "bf16 and f16 matrix product on Hopper, many rows (TMA, wgmma, clusters)", gemm_sm90,
      {"n=4096,k=4096", "n=4096,k=4096,tile_n=128", "n=14336,k=4096,cluster=1",
       "n=1000,k=520,dtype=f16,out_dtype=f16", "n=6144,k=4096,tile_n=192,bias=1,residual=1,pdl=1",
       "n=28672,k=4096,gated=1,activation=silu",
       "n=4096,k=4096,gated=1,activation=gelu_tanh,bias=1,tile_n=128,residual=1",
       "n=128256,k=4096,out_dtype=f32", "n=1000,k=4096,out_dtype=f32,bias=1,residual=1,activation=gelu_erf"},
      sm90_only);
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<GemmSm90Spec>(text);
    const auto& kernel = program(context, "gemm_sm90", spec, gemm_sm90);
    return gemm_case(context, spec, rows, 0,
                     [spec, &context, &kernel](runtime::Stream& stream, const Gemm::Operands& o, int64_t m) {
                       launch_gemm_sm90(context, stream, spec, kernel, o, m);
                     });
  };
  return e;
}

}  // namespace rose::kernels
