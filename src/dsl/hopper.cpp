#include "dsl/hopper.h"

#include <fmt/format.h>

namespace rose::dsl {
namespace {

constexpr uint32_t kFullMask = 0xffffffffu;

Builder& builder() { return Builder::current(); }
Val word(int64_t value) { return literal(u32, value); }

}  // namespace

Val uniform_warp(Block& block) { return op1("shfl.idx", u32, {block.warp(), 0, 31, kFullMask}); }

Val elected() { return op1("elect.sync", Type{}, {kFullMask}); }

void roles(Block& block, const std::vector<RoleBody>& bodies, Location where) {
  int total = 0;
  for (const auto& r : bodies) total += r.threads;
  if (total != block.threads())
    throw IrError(fmt::format("the roles take {} threads, the block has {}", total, block.threads()),
                  line_of(where));
  Val warpgroup = uniform_warp(block) >> 2;
  // One chain of if and else: ptxas honours setmaxnreg only in separate branches of one decision.
  std::function<void(size_t, int)> chain = [&](size_t i, int first) {
    const RoleBody& r = bodies[i];
    if (r.threads % 128)
      throw IrError(fmt::format("role '{}' has {} threads; a role is made of whole warpgroups of 128", r.name,
                                r.threads),
                    line_of(where));
    int end = first + r.threads;
    IF (warpgroup < end / 128, ir::Role{r.name, first, r.threads, r.registers}, where) {
      if (r.registers) {
        int blocks = std::max(builder().kernel.min_blocks, 1);
        int before = std::min(65536 / blocks / block.threads() / 8 * 8, 255 / 8 * 8);
        op(r.registers < before ? "setmaxnreg.dec" : "setmaxnreg.inc", Type{}, {}, {r.registers}, where);
      }
      r.body(warpgroup - first / 128);
    }
    if (i + 1 < bodies.size()) ELSE {
        chain(i + 1, end);
      }
  };
  chain(0, 0);
}

void PipelineState::advance(int stages) {
  stage += 1;
  Val wrapped = stage == stages;
  phase = select(wrapped, phase ^ 1, Val(phase));
  stage = select(wrapped, word(0), Val(stage));
}

Pipeline::Pipeline(Block& block, Shape shape, Location where) : block_(block), shape_(std::move(shape)) {
  full_ = block.shared(shape_.name + "_full", u64, dsl::shape(shape_.stages), 8);
  empty_ = block.shared(shape_.name + "_empty", u64, dsl::shape(shape_.stages), 8);
  ir::BarrierFact full, empty;
  full.name = shape_.name + ".full", full.bytes_per_phase = shape_.bytes, full.copies = shape_.copies;
  full.arrivals = shape_.producers, full.arrive = {{shape_.producer_role, shape_.producers, 1}};
  full.where = empty.where = line_of(where);
  empty.name = shape_.name + ".empty", empty.arrivals = shape_.consumers * shape_.cluster;
  empty.arrive = {{shape_.consumer_role, shape_.consumers, shape_.cluster}};
  builder().kernel.barriers.push_back(full), builder().kernel.barriers.push_back(empty);
}

Val Pipeline::barrier_address(const Tensor& barriers, const Arg& stage) const {
  return address_of(barriers) + (stage.literal() ? word(0) : Val(stage.operand()) * 8u);
}

void Pipeline::init() {
  for (int s = 0; s < shape_.stages; ++s) {
    op("mbarrier.init", Type{}, {address_of(full_(s)), shape_.producers});
    op("mbarrier.init", Type{}, {address_of(empty_(s)), shape_.consumers * shape_.cluster});
  }
}

Val Pipeline::acquire(const PipelineState& state, Location where) {
  return acquire_part(state, shape_.bytes, where);
}

Val Pipeline::acquire_part(const PipelineState& state, int64_t bytes, Location where) {
  // Consumers have only read: their arrivals publish nothing, so waits and arrivals need no order across the
  // cluster. (Measured on an H200: arrivals with .release.cluster cost a memory barrier each and halved a
  // GEMM's speed.) The first turn finds the barrier in phase 0, whose predecessor (parity 1) counts as ended:
  // the wait passes.
  op("mbarrier.wait.parity", Type{}, {barrier_address(empty_, state.stage), state.phase ^ 1}, {}, where);
  Val full = barrier_address(full_, state.stage);
  op("mbarrier.arrive.expect_tx", Type{}, {full, bytes}, {}, where);
  return full;
}

void Pipeline::wait(const PipelineState& state, Location where) {
  op("mbarrier.wait.parity", Type{}, {barrier_address(full_, state.stage), state.phase}, {}, where);
}

void Pipeline::release(const Arg& stage, Location where) {
  Val mine = barrier_address(empty_, stage);
  if (shape_.cluster == 1) {
    op("mbarrier.arrive", Type{}, {mine}, {}, where);
    return;
  }
  for (int rank = 0; rank < shape_.cluster; ++rank)
    op("mbarrier.arrive.relaxed.cluster", Type{}, {op1("mapa", Type{}, {mine, rank}, {}, where)}, {}, where);
}

void sync_setup(Block& block) {
  op("fence.mbarrier_init.cluster", Type{}, {});
  if (builder().kernel.cluster[0] == 1) return block.barrier();
  op("cluster.arrive.aligned", Type{}, {});
  op("cluster.wait.aligned", Type{}, {});
}

Val address_of(const Tensor& shared) {
  if (!shared.shared) throw IrError("address_of: '" + shared.name + "' does not lie in shared memory");
  return shared.offset == 0 ? shared.base : shared.base + shared.offset;
}

void tma_load(const Val& destination, const Val& map, std::initializer_list<Arg> coordinates,
              const Val& barrier, int blocks, Location where) {
  std::string row = fmt::format("tma.load.{}d{}", coordinates.size(), blocks ? ".multicast" : "");
  std::vector<ir::Operand> operands{destination.operand(), map.operand()};
  for (const Arg& c : coordinates) operands.push_back(c.literal() ? c.as(s32) : c.operand());
  operands.push_back(barrier.operand());
  if (blocks) operands.push_back(ir::constant(u16, int64_t{blocks}));
  builder().emit(ir::operation(row), Type{}, {}, std::move(operands), {}, line_of(where));
}

void tma_load_hint(const Val& destination, const Val& map, std::initializer_list<Arg> coordinates,
                   const Val& barrier, const Val& policy, Location where) {
  std::vector<ir::Operand> operands{destination.operand(), map.operand()};
  for (const Arg& c : coordinates) operands.push_back(c.literal() ? c.as(s32) : c.operand());
  operands.push_back(barrier.operand());
  operands.push_back(policy.operand());
  builder().emit(ir::operation(fmt::format("tma.load.{}d.hint", coordinates.size())), Type{}, {},
                 std::move(operands), {}, line_of(where));
}

void tma_store(const Val& map, std::initializer_list<Arg> coordinates, const Val& source, Location where) {
  std::vector<ir::Operand> operands{map.operand()};
  for (const Arg& c : coordinates) operands.push_back(c.literal() ? c.as(s32) : c.operand());
  operands.push_back(source.operand());
  builder().emit(ir::operation(fmt::format("tma.store.{}d", coordinates.size())), Type{}, {},
                 std::move(operands), {}, line_of(where));
}

Val descriptor_k_major_128(const Val& address) {
  // Bits 0-13 address / 16; 16-29 leading offset (unused here); 32-45 stride of 8-row groups / 16 = 64; 62-63
  // swizzle.
  constexpr uint64_t kFields = (uint64_t{1} << 62) | (uint64_t{1024 / 16} << 32) | (uint64_t{1} << 16);
  return to(u64, address >> 4u & 0x3fffu) | literal(u64, static_cast<int64_t>(kFields));
}

Accumulator::Accumulator(int count, int columns) : n(columns) {
  for (int f = 0; f < count; ++f) {
    fragments.emplace_back();
    fragments.back().reserve(static_cast<size_t>(columns / 2));
    for (int i = 0; i < columns / 2; ++i) fragments.back().emplace_back(f32, 0.0);
  }
}

void mma(Accumulator& d, int fragment, Type type, const Val& a, const Val& b, const Val& accumulate,
         Location where) {
  ir::Instruction i;
  i.row = &ir::operation(fmt::format("wgmma.m64n{}k16.f32.{}.ss", d.n, ir::to_string(type)));
  for (const Var& r : d.fragments[static_cast<size_t>(fragment)]) i.results.push_back(r.reg());
  i.operands = {a.operand(), b.operand(), accumulate.operand()};
  i.attributes = {1, 1, 0, 0};  // signs; neither operand transposed
  i.where = line_of(where);
  builder().append(std::move(i));
}

void mma_begin(Location where) { op("wgmma.fence", Type{}, {}, {}, where); }
void mma_commit(Location where) { op("wgmma.commit_group", Type{}, {}, {}, where); }
void mma_wait(int pending, Location where) { op("wgmma.wait_group", Type{}, {}, {pending}, where); }

}  // namespace rose::dsl
