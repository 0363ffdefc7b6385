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
  full_ = block.shared(shape_.name + "_full", u64, dsl::shape(1), 8);
  empty_ = block.shared(shape_.name + "_empty", u64, dsl::shape(1), 8);
  words_ = block.shared(shape_.name + "_words", u32, dsl::shape(shape_.words), 16);
  ir::BarrierFact full, empty;
  full.name = shape_.name + ".full", full.bytes_per_phase = shape_.bytes, full.copies = shape_.copies;
  full.arrive = {{shape_.producer_role, 1, 1}};
  full.where = empty.where = line_of(where);
  empty.name = shape_.name + ".empty", empty.arrivals = shape_.consumers;
  empty.arrive = {{shape_.consumer_role, shape_.consumers, 1}};
  builder().kernel.barriers.push_back(full), builder().kernel.barriers.push_back(empty);
}

void Mailbox::init() {
  op("mbarrier.init", Type{}, {address_of(full_), 1});
  op("mbarrier.init", Type{}, {address_of(empty_), shape_.consumers});
}

Val Mailbox::post(const Var& phase, const std::vector<Val>& words, Location where) {
  if (words.size() != static_cast<size_t>(shape_.words))
    throw IrError(fmt::format("mailbox '{}' takes {} words, not {}", shape_.name, shape_.words, words.size()),
                  line_of(where));
  // As in Pipeline::acquire: before the first turn the slot counts as freed.
  op("mbarrier.wait.parity", Type{}, {address_of(empty_), phase ^ 1}, {}, where);
  for (size_t i = 0; i < words.size(); ++i)
    store_at(words_, static_cast<int64_t>(i), bitcast(u32, words[i]), where);
  op("mbarrier.arrive.expect_tx", Type{}, {address_of(full_), shape_.bytes}, {}, where);
  return address_of(full_);
}

std::vector<Val> Mailbox::receive(const Var& phase, Location where) {
  op("mbarrier.wait.parity", Type{}, {address_of(full_), phase}, {}, where);
  std::vector<Val> words;
  for (int i = 0; i < shape_.words; ++i) words.push_back(load(words_, i, where));
  return words;
}

void Mailbox::release(Location where) { op("mbarrier.arrive", Type{}, {address_of(empty_)}, {}, where); }

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
