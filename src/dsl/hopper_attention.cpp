#include "dsl/hopper_attention.h"

#include <fmt/format.h>

namespace rose::dsl {
namespace {

constexpr uint32_t kFullMask = 0xffffffffu;

Builder& builder() { return Builder::current(); }

Val from_neighbour(const Val& x, int distance) {
  return op1("shfl.bfly", x.type(), {x, distance, 31, kFullMask});
}

}  // namespace

Val descriptor_mn_major_128(const Val& address, int leading_bytes) {
  // As descriptor_k_major_128, but the leading offset (bits 16-29) counts: from 64 elements along N to the
  // next.
  uint64_t fields =
      (uint64_t{1} << 62) | (uint64_t{1024 / 16} << 32) | (static_cast<uint64_t>(leading_bytes / 16) << 16);
  return to(u64, address >> 4u & 0x3fffu) | literal(u64, static_cast<int64_t>(fields));
}

void mma_from_registers(Accumulator& d, int fragment, Type type, const std::array<Val, 4>& a, const Val& b,
                        bool transposed, Location where) {
  ir::Instruction i;
  i.row = &ir::operation(fmt::format("wgmma.m64n{}k16.f32.{}.rs", d.n, ir::to_string(type)));
  for (const Var& r : d.fragments[static_cast<size_t>(fragment)]) i.results.push_back(r.reg());
  for (const Val& x : a) i.operands.push_back(x.operand());
  i.operands.push_back(b.operand());
  i.operands.push_back(ir::constant(pred, int64_t{1}));  // adds to D
  i.attributes = {1, 1, transposed ? 1 : 0};             // signs; B's order
  i.where = line_of(where);
  builder().append(std::move(i));
}

Val quad_max(const Val& x) {
  Val pair = max(x, from_neighbour(x, 1));
  return max(pair, from_neighbour(pair, 2));
}

Val quad_sum(const Val& x) {
  Val pair = x + from_neighbour(x, 1);
  return pair + from_neighbour(pair, 2);
}

void named_sync(const Arg& barrier, int threads, Location where) {
  op("bar.sync.n", Type{}, {barrier, threads}, {}, where);
}
void named_arrive(const Arg& barrier, int threads, Location where) {
  op("bar.arrive", Type{}, {barrier, threads}, {}, where);
}

Mailbox::Mailbox(Block& block, Shape shape, Location where) : shape_(std::move(shape)) {
  full_ = block.shared(shape_.name + "_full", u64, dsl::shape(shape_.slots), 8);
  empty_ = block.shared(shape_.name + "_empty", u64, dsl::shape(shape_.slots), 8);
  words_ = block.shared(shape_.name + "_words", u32, dsl::shape(shape_.slots, shape_.words), 16);
  ir::BarrierFact full, empty;
  full.name = shape_.name + ".full", full.bytes_per_phase = shape_.bytes, full.copies = shape_.copies;
  full.arrive = {{shape_.producer_role, 1, 1}};
  full.where = empty.where = line_of(where);
  empty.name = shape_.name + ".empty", empty.arrivals = shape_.consumers;
  empty.arrive = {{shape_.consumer_role, shape_.consumers, 1}};
  builder().kernel.barriers.push_back(full), builder().kernel.barriers.push_back(empty);
}

void Mailbox::init() {
  for (int s = 0; s < shape_.slots; ++s) {
    op("mbarrier.init", Type{}, {address_of(full_(s)), 1});
    op("mbarrier.init", Type{}, {address_of(empty_(s)), shape_.consumers});
  }
}

Val Mailbox::barrier(const Tensor& barriers, const PipelineState& state) const {
  return shape_.slots == 1 ? address_of(barriers) : address_of(barriers) + state.stage * 8u;
}

Tensor Mailbox::words_of(const PipelineState& state) const {
  return shape_.slots == 1 ? words_(0) : words_(state.stage);
}

Val Mailbox::post(const PipelineState& state, const std::vector<Val>& words, Location where) {
  if (words.size() != static_cast<size_t>(shape_.words))
    throw IrError(fmt::format("mailbox '{}' takes {} words, not {}", shape_.name, shape_.words, words.size()),
                  line_of(where));
  // As in Pipeline::acquire: before the first turn a slot counts as freed.
  op("mbarrier.wait.parity", Type{}, {barrier(empty_, state), state.phase ^ 1}, {}, where);
  Tensor slot = words_of(state);
  for (size_t i = 0; i < words.size(); ++i)
    store_at(slot, static_cast<int64_t>(i), bitcast(u32, words[i]), where);
  Val full = barrier(full_, state);
  op("mbarrier.arrive.expect_tx", Type{}, {full, shape_.bytes}, {}, where);
  return full;
}

std::vector<Val> Mailbox::receive(const PipelineState& state, Location where) {
  op("mbarrier.wait.parity", Type{}, {barrier(full_, state), state.phase}, {}, where);
  Tensor slot = words_of(state);
  std::vector<Val> words;
  for (int i = 0; i < shape_.words; ++i) words.push_back(load(slot, i, where));
  return words;
}

void Mailbox::release(const PipelineState& state, Location where) {
  op("mbarrier.arrive", Type{}, {barrier(empty_, state)}, {}, where);
}

Handoff::Handoff(Block& block, Shape shape, Location where) : shape_(std::move(shape)) {
  full_ = block.shared(shape_.name + "_full", u64, dsl::shape(1), 8);
  empty_ = block.shared(shape_.name + "_empty", u64, dsl::shape(1), 8);
  ir::BarrierFact full, empty;
  full.name = shape_.name + ".full", full.arrivals = shape_.writers;
  full.arrive = {{shape_.writer_role, shape_.writers, 1}};
  empty.name = shape_.name + ".empty", empty.arrivals = shape_.readers;
  empty.arrive = {{shape_.reader_role, shape_.readers, 1}};
  full.where = empty.where = line_of(where);
  builder().kernel.barriers.push_back(full), builder().kernel.barriers.push_back(empty);
}

void Handoff::init() {
  op("mbarrier.init", Type{}, {address_of(full_), shape_.writers});
  op("mbarrier.init", Type{}, {address_of(empty_), shape_.readers});
}

void Handoff::wait_until_free(const Var& phase, Location where) {
  op("mbarrier.wait.parity", Type{}, {address_of(empty_), phase ^ 1}, {}, where);
}
void Handoff::hand_over(Location where) { op("mbarrier.arrive", Type{}, {address_of(full_)}, {}, where); }
void Handoff::wait(const Var& phase, Location where) {
  op("mbarrier.wait.parity", Type{}, {address_of(full_), phase}, {}, where);
}
void Handoff::give_back(Location where) { op("mbarrier.arrive", Type{}, {address_of(empty_)}, {}, where); }

}  // namespace rose::dsl
