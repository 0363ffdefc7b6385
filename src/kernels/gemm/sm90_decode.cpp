#include "kernels/gemm/sm90_decode.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsl/grid.h"
#include "dsl/hopper.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kTileK = kGemmTileK, kRowBytes = kGemmRowBytes, kTall = 64;
constexpr const char* kName = "gemm_decode";

void check(const ir::Target& target, const GemmDecodeSpec& spec) {
  check_gemm(target, spec, kName);
  require(spec.tokens == 8 || spec.tokens == 16 || spec.tokens == 32 || spec.tokens == 64, kName, "tokens",
          spec.tokens, "use 8, 16, 32 or 64");
  require(spec.steps == 1 || spec.steps == 2 || spec.steps == 4, kName, "steps", spec.steps, "use 1, 2 or 4");
  require(spec.stages >= 2 && spec.stages <= 32, kName, "stages", spec.stages, "use 2 to 32");
  require(spec.resident == 1 || spec.resident == 2, kName, "resident", spec.resident, "use 1 or 2");
  require(spec.cluster == 1 || spec.cluster == 2 || spec.cluster == 4, kName, "cluster", spec.cluster,
          "use 1, 2 or 4");
  require(spec.tokens / spec.cluster >= 8, kName, "cluster", spec.cluster,
          "each block loads at least 8 tokens");
  require(spec.blocks >= 1 && spec.blocks <= 1024 && spec.blocks % spec.cluster == 0, kName, "blocks",
          spec.blocks, "use a multiple of cluster up to 1024");
}

int64_t round_up(int64_t value, int64_t multiple) { return ceil_div(value, multiple) * multiple; }

}  // namespace

int64_t GemmDeal::first(int64_t block) const {
  return unit * (block * (units / blocks) + std::min(block, units % blocks));
}

GemmDeal gemm_deal(const GemmDecodeSpec& spec) {
  GemmDeal d;
  d.unit = spec.gated ? 16 : 8;
  d.units = spec.n / d.unit, d.blocks = spec.blocks;
  const int64_t most = d.unit * ceil_div(d.units, d.blocks);
  d.tiles = ceil_div(most, kTall);
  d.height = round_up(ceil_div(most, d.tiles), d.unit);
  d.tiles = ceil_div(most, d.height);
  d.last = most - (d.tiles - 1) * d.height;
  return d;
}

int gemm_decode_stages(const GemmDecodeSpec& spec) {
  // Of a multiprocessor's 228 KB each block keeps 1 KB for the system; a block has at most 227 KB.
  const int64_t height = gemm_deal(spec).height;
  const int64_t budget = 228 * 1024 / spec.resident - 1024 - 512 - (kTall - height) * kRowBytes;
  return static_cast<int>(
      std::clamp<int64_t>(budget / (spec.steps * (spec.tokens + height) * kRowBytes), 2, 32));
}

ir::Kernel gemm_decode(const ir::Target& target, const GemmDecodeSpec& spec) {
  check(target, spec);
  const GemmDeal deal = gemm_deal(spec);
  const auto height = static_cast<int>(deal.height), last = static_cast<int>(deal.last);
  const int stage_k = kTileK * spec.steps;
  const auto k_stages = static_cast<uint32_t>(ceil_div(spec.k, stage_k));
  const int w_bytes = spec.steps * height * kRowBytes, x_bytes = spec.steps * spec.tokens * kRowBytes;
  const int x_rows = spec.tokens / spec.cluster;  // that each block of a cluster loads for all
  const auto tiles = static_cast<uint32_t>(deal.tiles);

  Launch launch{.target = target,
                .threads = 256,
                .cluster = spec.cluster,
                .min_blocks = spec.resident,
                .pdl = spec.pdl};
  return record(kName, launch, [&](Block& block) {
    Val map_w = block.tensor_map("map_w");                                 // box [height, 64]
    Val map_last = last == height ? map_w : block.tensor_map("map_last");  // box [last, 64]
    Val map_x = block.tensor_map("map_x");                                 // box [tokens / cluster, 64]
    GemmTensors tensors;
    tensors.out = block.output("out", spec.out_dtype, shape(dynamic("m"), spec.out_columns()),
                               shape(dynamic("out_stride"), 1));
    if (spec.bias) tensors.bias = block.input("bias", f32, shape(spec.n));
    if (spec.residual)
      tensors.residual = block.input("residual", spec.dtype, shape(dynamic("m"), spec.out_columns()),
                                     shape(dynamic("residual_stride"), 1));

    Tensor sW = block.shared("sW", spec.dtype, shape(spec.stages, spec.steps, height, kTileK), 1024);
    if (height < kTall) block.shared("sBehind", spec.dtype, shape(kTall - height, kTileK), 1024);
    Tensor sX = block.shared("sX", spec.dtype, shape(spec.stages, spec.steps, spec.tokens, kTileK), 1024);
    Pipeline pipe(block, {.name = "units",
                          .stages = spec.stages,
                          .bytes = w_bytes + x_bytes,
                          .consumers = 1,
                          .producers = 2,
                          .cluster = spec.cluster,
                          .producer_role = "producer",
                          .consumer_role = "consumer",
                          .copies = {{"w", height * kRowBytes, spec.steps, 1},
                                     {"x", x_rows * kRowBytes, spec.steps, spec.cluster}}});
    IF (block.thread32() == 0) {
      pipe.init();
    }
    let_next_kernel_start(block);
    sync_setup(block);

    Val me = op1("special", Type{}, {}, {int64_t(ir::Special::kBlockX)});
    auto first_row = [&](const Val& b) {
      auto run = static_cast<uint32_t>(deal.units / deal.blocks),
           rest = static_cast<uint32_t>(deal.units % deal.blocks);
      Val units = rest == 0 ? b * run : b * run + min(b, rest);
      return units * static_cast<uint32_t>(deal.unit);
    };
    Val begin = first_row(me);

    // Warp 0 streams weights at once; warp 1 brings the tokens when the kernel ahead has written them.
    auto produce = [&](const Val&) {
      Val warp = uniform_warp(block);
      IF ((warp == 0) & elected()) {
        op("prefetch.tensormap", Type{}, {map_w});
        Val once = op1("createpolicy.evict_first", Type{}, {});
        PipelineState state;
        auto load_tile = [&](const Val& row, const Val& map, int rows) {
          FOR (step, literal(u32, 0), k_stages, Unroll{1}) {
            Val full = pipe.acquire_part(state, spec.steps * rows * kRowBytes);
            Val to = address_of(sW) + Val(state.stage) * static_cast<uint32_t>(w_bytes);
            for (int s = 0; s < spec.steps; ++s)
              tma_load_hint(
                  to + static_cast<uint32_t>(s * height * kRowBytes), map,
                  {bitcast(s32, step * static_cast<uint32_t>(stage_k) + static_cast<uint32_t>(s * kTileK)),
                   bitcast(s32, row)},
                  full, once);
            state.advance(spec.stages);
          }
        };
        if (tiles > 1) {
          FOR (tile, literal(u32, 0), tiles - 1, Unroll{1}) {
            load_tile(begin + tile * static_cast<uint32_t>(height), map_w, height);
          }
        }
        load_tile(begin + (tiles - 1) * static_cast<uint32_t>(height), map_last, last);
      }
      IF ((warp == 1) & elected()) {
        op("prefetch.tensormap", Type{}, {map_x});
        Val rank = spec.cluster == 1 ? literal(u32, 0)
                                     : op1("special", Type{}, {}, {int64_t(ir::Special::kClusterRank)});
        Val mine = rank * static_cast<uint32_t>(x_rows);
        PipelineState state;
        wait_for_previous_kernel(block);
        FOR (tile, literal(u32, 0), tiles, Unroll{1}) {
          FOR (step, literal(u32, 0), k_stages, Unroll{1}) {
            Val full = pipe.acquire_part(state, x_bytes);
            Val to = address_of(sX) + Val(state.stage) * static_cast<uint32_t>(x_bytes) + mine * kRowBytes;
            for (int s = 0; s < spec.steps; ++s)
              tma_load(
                  to + static_cast<uint32_t>(s * spec.tokens * kRowBytes), map_x,
                  {bitcast(s32, step * static_cast<uint32_t>(stage_k) + static_cast<uint32_t>(s * kTileK)),
                   bitcast(s32, mine)},
                  full, spec.cluster > 1 ? (1 << spec.cluster) - 1 : 0);
            state.advance(spec.stages);
          }
        }
      }
    };

    auto consume = [&](const Val&) {
      Accumulator acc(1, spec.tokens);
      PipelineState state;
      Val desc_w = descriptor_k_major_128(address_of(sW)), desc_x = descriptor_k_major_128(address_of(sX));
      Val always = literal(u32, 0) == block.thread32() - block.thread32();
      Val leader = (block.thread32() & 127u) == 0;
      Val end = to(s64, first_row(me + 1u));
      wait_for_previous_kernel(block);
      FOR (tile, literal(u32, 0), tiles, Unroll{1}) {
        Var previous(u32, 0);
        FOR (step, literal(u32, 0), k_stages, Unroll{1}) {
          pipe.wait(state);
          Val stage = Val(state.stage);
          Val w = desc_w + to(u64, stage * static_cast<uint32_t>(w_bytes / 16));
          Val x = desc_x + to(u64, stage * static_cast<uint32_t>(x_bytes / 16));
          mma_begin();
          for (int s = 0; s < spec.steps; ++s)
            for (int kk = 0; kk < kTileK / 16; ++kk)
              mma(acc, 0, spec.dtype, w + (s * height * kRowBytes / 16 + 2 * kk),
                  x + (s * spec.tokens * kRowBytes / 16 + 2 * kk), s + kk == 0 ? step != 0 : always);
          mma_commit();
          mma_wait(1);  // the products of the stage before have ended: give it back
          IF (leader & (step != 0)) {
            pipe.release(previous);
          }
          previous = stage;
          state.advance(spec.stages);
        }
        mma_wait(0);
        IF (leader) {
          pipe.release(previous);
        }
        // Rows behind the tile belong to the next one, or to the next block.
        Val row = begin + tile * static_cast<uint32_t>(height);
        store_swapped(block, spec, acc, tensors, row, min(end, to(s64, row) + height));
      }
    };

    roles(block, {{"producer", 128, 0, produce}, {"consumer", 128, 0, consume}});
    if (spec.cluster > 1) {  // a block's shared memory must outlive its neighbours' last arrivals in it
      op("cluster.arrive", Type{}, {});
      op("cluster.wait", Type{}, {});
    }
  });
}

void launch_gemm_decode(runtime::Context& context, runtime::Stream& stream, const GemmDecodeSpec& spec,
                        const runtime::Program& program, const Gemm::Operands& operands, int64_t m) {
  auto o = checked_operands(spec, operands, m);
  require(m <= spec.tokens, kName, "m", m, fmt::format("this one takes up to {}", spec.tokens));
  const GemmDeal deal = gemm_deal(spec);
  auto map_w = [&](int64_t rows) {
    return gemm_map(context, spec.dtype, o.weights, spec.n, spec.k, spec.k, static_cast<int>(rows),
                    runtime::TensorMapL2::k256Bytes);
  };
  auto map_full = map_w(deal.height), map_last = map_w(deal.last);
  auto map_x = gemm_map(context, spec.dtype, o.a, m, spec.k, o.a_stride, spec.tokens / spec.cluster,
                        runtime::TensorMapL2::k128Bytes);
  stream.launch(program, grid_of(spec.blocks),
                arguments_by_name(program, {{"map_w", map_full},
                                            {"map_last", map_last},
                                            {"map_x", map_x},
                                            {"m", m},
                                            {"out", o.out},
                                            {"out_stride", o.out_stride},
                                            {"bias", o.bias},
                                            {"residual", o.residual},
                                            {"residual_stride", o.residual_stride}}));
}

}  // namespace rose::kernels
