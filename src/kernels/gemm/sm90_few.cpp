#include "kernels/gemm/sm90_few.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsl/grid.h"
#include "dsl/hopper.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr int kTileK = kGemmTileK, kRowBytes = kGemmRowBytes;
constexpr const char* kName = "gemm_few";

void check(const ir::Target& target, const GemmFewSpec& spec) {
  check_gemm(target, spec, kName);
  require(spec.tokens == 8 || spec.tokens == 16 || spec.tokens == 32 || spec.tokens == 64 ||
              spec.tokens == 128 || spec.tokens == 256,
          kName, "tokens", spec.tokens, "use 8, 16, 32, 64, 128 or 256");
  require(spec.rows == 64 || spec.rows == 128, kName, "rows", spec.rows, "use 64 or 128");
  require(spec.steps == 1 || spec.steps == 2, kName, "steps", spec.steps, "use 1 or 2");
  require(spec.stages >= 2 && spec.stages <= 32, kName, "stages", spec.stages, "use 2 to 32");
  require(spec.resident == 1 || spec.resident == 2, kName, "resident", spec.resident, "use 1 or 2");
  require(spec.tokens < 256 || spec.resident == 1, kName, "resident with 256 tokens", spec.resident, "use 1");
  require(spec.blocks >= 1 && spec.blocks <= 1024, kName, "blocks", spec.blocks, "use 1 to 1024");
  require(gemm_cut(spec).units() < (int64_t{1} << 31), kName, "n", spec.n, "n times k is too large");
}

// GemmCut's arithmetic on values.
Val first_unit(const GemmCut& cut, const Val& block) {
  auto run = static_cast<uint32_t>(cut.units() / cut.blocks),
       rest = static_cast<uint32_t>(cut.units() % cut.blocks);
  return rest == 0 ? block * run : block * run + min(block, rest);
}
Val block_of(const GemmCut& cut, const Val& unit) {
  auto run = static_cast<uint32_t>(cut.units() / cut.blocks),
       rest = static_cast<uint32_t>(cut.units() % cut.blocks);
  if (rest == 0) return unit / run;
  uint32_t longer = rest * (run + 1);  // units of the blocks that have one more
  if (run == 0) return unit;
  return select(unit < longer, unit / (run + 1), (unit - longer) / run + rest);
}

}  // namespace

int64_t GemmCut::first(int64_t block) const {
  return block * (units() / blocks) + std::min(block, units() % blocks);
}

int64_t GemmCut::block_of(int64_t unit) const {
  int64_t run = units() / blocks, longer = units() % blocks * (run + 1);
  return unit < longer ? unit / (run + 1) : units() % blocks + (unit - longer) / run;
}

int64_t GemmCut::shared_parts() const {
  int64_t parts = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    int64_t count = block_of((tile + 1) * steps - 1) - block_of(tile * steps) + 1;
    if (count > 1) parts += count;
  }
  return parts;
}

GemmCut gemm_cut(const GemmFewSpec& spec) {
  return {ceil_div(spec.n, spec.rows), ceil_div(spec.k, kTileK * spec.steps), spec.blocks};
}

int gemm_few_blocks(int64_t n, int64_t k, int rows, int steps, int processors) {
  GemmFewSpec spec;
  spec.n = n, spec.k = k, spec.rows = rows, spec.steps = steps;
  spec.blocks = static_cast<int>(std::min<int64_t>(processors, gemm_cut(spec).units()));
  int best = spec.blocks;
  int64_t fewest = gemm_cut(spec).shared_parts();
  for (int least = processors * 15 / 16; --spec.blocks >= least;)
    if (int64_t parts = gemm_cut(spec).shared_parts(); parts < fewest) best = spec.blocks, fewest = parts;
  return best;
}

int gemm_few_stages(int tokens, int rows, int steps, int resident) {
  // Of a multiprocessor's 228 KB each block keeps 1 KB for the system; a block has at most 227 KB.
  int budget = 228 * 1024 / resident - 1024 - 512;
  return std::clamp(budget / (steps * (tokens + rows) * kRowBytes), 2, 32);
}

int64_t gemm_few_workspace_bytes(const GemmFewSpec& spec) {
  return int64_t{2} * spec.blocks * spec.rows * spec.tokens * 4;  // each block's first and last tile
}

int64_t gemm_few_counters(const GemmFewSpec& spec) { return 2 * ceil_div(spec.n, 128); }

ir::Kernel gemm_few(const ir::Target& target, const GemmFewSpec& spec) {
  check(target, spec);
  const GemmCut cut = gemm_cut(spec);
  const int consumers = spec.rows / 64;
  const int w_bytes = spec.steps * spec.rows * kRowBytes, x_bytes = spec.steps * spec.tokens * kRowBytes;
  const auto steps = static_cast<uint32_t>(cut.steps);
  const bool ragged = spec.n % spec.rows != 0;
  // Registers of a thread in each role, where the accumulators need more than an equal share (0).
  const int share = 65536 / spec.resident / (128 + 128 * consumers) / 8 * 8;
  const bool wide = spec.tokens / 2 + 48 > share;
  const int few_registers = wide ? (spec.resident == 1 ? 40 : 24) : 0;
  const int many_registers =
      wide ? std::min(232, ((1 + consumers) * share - few_registers) / consumers / 8 * 8) : 0;
  const int64_t part = int64_t{64} * spec.tokens;  // f32 of one warpgroup's part of a tile

  Launch launch{
      .target = target, .threads = 128 + 128 * consumers, .min_blocks = spec.resident, .pdl = spec.pdl};
  return record(kName, launch, [&](Block& block) {
    Val map_w = block.tensor_map("map_w");  // box [rows, 64]
    Val map_x = block.tensor_map("map_x");  // box [tokens, 64]
    Tensor out = block.output("out", spec.out_dtype, shape(dynamic("m"), spec.out_columns()),
                              shape(dynamic("out_stride"), 1));
    Tensor bias, residual;
    if (spec.bias) bias = block.input("bias", f32, shape(spec.n));
    if (spec.residual)
      residual = block.input("residual", spec.dtype, shape(dynamic("m"), spec.out_columns()),
                             shape(dynamic("residual_stride"), 1));
    Tensor parts = block.inout("workspace", f32, shape(2 * spec.blocks * consumers, part));
    Tensor counters = block.inout("counters", u32, shape(cut.tiles * consumers));

    Tensor sW = block.shared("sW", spec.dtype, shape(spec.stages, spec.steps, spec.rows, kTileK), 1024);
    Tensor sX = block.shared("sX", spec.dtype, shape(spec.stages, spec.steps, spec.tokens, kTileK), 1024);
    Tensor sArrived = block.shared("sArrived", u32, shape(consumers), 4);
    Pipeline pipe(block, {.name = "units",
                          .stages = spec.stages,
                          .bytes = w_bytes + x_bytes,
                          .consumers = consumers,
                          .producers = 2,
                          .producer_role = "producer",
                          .consumer_role = "consumer",
                          .copies = {{"w", spec.rows * kRowBytes, spec.steps, 1},
                                     {"x", spec.tokens * kRowBytes, spec.steps, 1}}});
    IF (block.thread32() == 0) {
      pipe.init();
    }
    let_next_kernel_start(block);
    sync_setup(block);

    Val me = op1("special", Type{}, {}, {int64_t(ir::Special::kBlockX)});
    Val begin = first_unit(cut, me), end = first_unit(cut, me + 1u);

    // Warp 0 streams weights at once; warp 1 brings the tokens when the kernel ahead has written them.
    auto produce = [&](const Val&) {
      Val warp = uniform_warp(block);
      IF ((warp == 0) & elected()) {
        op("prefetch.tensormap", Type{}, {map_w});
        Val once = op1("createpolicy.evict_first", Type{}, {});
        PipelineState state;
        FOR (unit, begin, end, Unroll{1}) {
          Val column = unit % steps * static_cast<uint32_t>(kTileK * spec.steps);
          Val row = bitcast(s32, unit / steps * static_cast<uint32_t>(spec.rows));
          Val full = pipe.acquire_part(state, w_bytes);
          Val to = address_of(sW) + Val(state.stage) * static_cast<uint32_t>(w_bytes);
          for (int s = 0; s < spec.steps; ++s)
            tma_load_hint(to + static_cast<uint32_t>(s * spec.rows * kRowBytes), map_w,
                          {bitcast(s32, column + static_cast<uint32_t>(s * kTileK)), row}, full, once);
          state.advance(spec.stages);
        }
      }
      IF ((warp == 1) & elected()) {
        op("prefetch.tensormap", Type{}, {map_x});
        PipelineState state;
        wait_for_previous_kernel(block);
        FOR (unit, begin, end, Unroll{1}) {
          Val column = unit % steps * static_cast<uint32_t>(kTileK * spec.steps);
          Val full = pipe.acquire_part(state, x_bytes);
          Val to = address_of(sX) + Val(state.stage) * static_cast<uint32_t>(x_bytes);
          for (int s = 0; s < spec.steps; ++s)
            tma_load(to + static_cast<uint32_t>(s * spec.tokens * kRowBytes), map_x,
                     {bitcast(s32, column + static_cast<uint32_t>(s * kTileK)), literal(s32, 0)}, full);
          state.advance(spec.stages);
        }
      }
    };

    auto consume = [&](const Val& consumer) {
      Accumulator acc(1, spec.tokens);
      auto& r = acc.fragments[0];
      PipelineState state;
      Val desc_w = descriptor_k_major_128(address_of(sW) + consumer * (64 * kRowBytes));
      Val desc_x = descriptor_k_major_128(address_of(sX));
      Val thread = block.thread32() & 127u;
      Val always = literal(u32, 0) == block.thread32() - block.thread32();
      Val leader = thread == 0;
      Val barrier_id = consumer + 1u;
      wait_for_previous_kernel(block);

      auto finish = [&](const Val& tile) {
        Val row = tile * static_cast<uint32_t>(spec.rows) + consumer * 64u;
        std::optional<Val> end;
        if (ragged) end = literal(s64, spec.n);
        store_swapped(block, spec, acc, {out, bias, residual}, row, end);
      };
      // Where a block keeps its part of a tile: element of `parts` for this thread's first four values.
      auto place = [&](const Val& owner, const Val& tile) {
        Val later = select(first_unit(cut, owner) / steps == tile, literal(u32, 0), literal(u32, 1));
        Val slot = (owner * 2u + later) * static_cast<uint32_t>(consumers) + consumer;
        return to(s64, slot) * part + to(s64, thread * 4u);
      };

      Var unit(begin);
      WHILE (unit < end) {
        Val tile = unit / steps, from = unit % steps;
        Val until = min(literal(u32, steps), from + (end - unit));
        Var previous(u32, 0);
        FOR (step, from, until, Unroll{1}) {
          pipe.wait(state);
          Val stage = Val(state.stage);
          Val w = desc_w + to(u64, stage * static_cast<uint32_t>(w_bytes / 16));
          Val x = desc_x + to(u64, stage * static_cast<uint32_t>(x_bytes / 16));
          mma_begin();
          for (int s = 0; s < spec.steps; ++s)
            for (int kk = 0; kk < kTileK / 16; ++kk)
              mma(acc, 0, spec.dtype, w + (s * spec.rows * kRowBytes / 16 + 2 * kk),
                  x + (s * spec.tokens * kRowBytes / 16 + 2 * kk), s + kk == 0 ? step != from : always);
          mma_commit();
          mma_wait(1);  // the products of the stage before have ended: give it back
          IF (leader & (step != from)) {
            pipe.release(previous);
          }
          previous = stage;
          state.advance(spec.stages);
        }
        mma_wait(0);
        IF (leader) {
          pipe.release(previous);
        }

        Var complete(u32, 1);
        IF (until - from != steps) {
          // Leave this part in the workspace; who comes last adds all parts up, in the order of K.
          Val mine = place(me, tile);
          for (int g = 0; g < spec.tokens / 8; ++g)
            store_pack(parts, mine, 512 * g,
                       {Val(r[static_cast<size_t>(4 * g)]), Val(r[static_cast<size_t>(4 * g + 1)]),
                        Val(r[static_cast<size_t>(4 * g + 2)]), Val(r[static_cast<size_t>(4 * g + 3)])});
          op("fence.acq_rel.gpu", Type{}, {});
          op("bar.sync.n", Type{}, {barrier_id, 128});
          Val first = block_of(cut, tile * steps), last = block_of(cut, tile * steps + (steps - 1));
          IF (leader) {
            Tensor counter = counters(to(s64, tile * static_cast<uint32_t>(consumers) + consumer));
            Val before = op1("atom.global.acq_rel.gpu.add", u32, {counter.base, 1}, {counter.offset});
            Val all = before == last - first;
            store_at(sArrived, consumer, select(all, literal(u32, 1), literal(u32, 0)));
            IF (all) {
              store(counter, literal(u32, 0));
            }
          }
          op("bar.sync.n", Type{}, {barrier_id, 128});
          complete = Arg(load(sArrived, consumer));
          IF (complete != 0) {
            op("fence.acq_rel.gpu", Type{}, {});
            auto read = [&](const Val& owner, bool add) {
              Val theirs = place(owner, tile);
              std::vector<Pack> packs;
              for (int g = 0; g < spec.tokens / 8; ++g)
                packs.push_back(load_pack(parts, theirs, 512 * g, 4, {}, "ld.global.cg"));
              for (size_t g = 0; g < packs.size(); ++g)
                for (size_t i = 0; i < 4; ++i) {
                  if (add)
                    r[4 * g + i] += packs[g][i];
                  else
                    r[4 * g + i] = packs[g][i];
                }
            };
            read(first, false);
            FOR (owner, first + 1u, last + 1u, Unroll{1}) {
              read(owner, true);
            }
          }
        }
        IF (complete != 0) {
          finish(tile);
        }
        unit += until - from;
      }
    };

    roles(block, {{"producer", 128, few_registers, produce},
                  {"consumer", 128 * consumers, many_registers, consume}});
  });
}

void launch_gemm_few(runtime::Context& context, runtime::Stream& stream, const GemmFewSpec& spec,
                     const runtime::Program& program, const Gemm::Operands& operands,
                     runtime::DevicePointer counters, int64_t m) {
  auto o = checked_operands(spec, operands, m);
  require(m <= spec.tokens, kName, "m", m, fmt::format("this one takes up to {}", spec.tokens));
  if (o.workspace.address == 0)
    throw KernelError(
        fmt::format("gemm: {} rows need {} bytes of workspace; pass it", m, gemm_few_workspace_bytes(spec)));
  auto map_w = gemm_map(context, spec.dtype, o.weights, spec.n, spec.k, spec.k, spec.rows,
                        runtime::TensorMapL2::k256Bytes);
  auto map_x =
      gemm_map(context, spec.dtype, o.a, m, spec.k, o.a_stride, spec.tokens, runtime::TensorMapL2::k128Bytes);
  stream.launch(program, grid_of(spec.blocks),
                arguments_by_name(program, {{"map_w", map_w},
                                            {"map_x", map_x},
                                            {"m", m},
                                            {"out", o.out},
                                            {"out_stride", o.out_stride},
                                            {"bias", o.bias},
                                            {"residual", o.residual},
                                            {"residual_stride", o.residual_stride},
                                            {"workspace", o.workspace},
                                            {"counters", counters}}));
}

}  // namespace rose::kernels
