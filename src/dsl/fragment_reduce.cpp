// Reductions of rows: within a thread, between the lanes of a warp, between the warps of a block.
#include <bit>

#include "dsl/fragment_node.h"

namespace rose::dsl {
namespace {

using Combine = std::function<Val(const Val&, const Val&)>;

Builder& builder() { return Builder::current(); }

Val add(const Val& a, const Val& b) { return a + b; }
Val greater(const Val& a, const Val& b) { return max(a, b); }

constexpr int kAccumulators =
    4;  // independent sums of a resident row, so that one addition need not wait for the one before

// One fragment's running result over a walk.
class Accumulator {
 public:
  Accumulator(const Frag& frag, const Combine& combine, double identity)
      : frag_(frag), combine_(combine), identity_(identity), streamed_(!frag.layout().resident) {
    if (!streamed_) return;
    int lanes = builder().kernel.target.is_gpu() ? 1 : frag.layout().vector;
    for (int i = 0; i < frag.layout().streams; ++i) running_.emplace_back(f32.with_lanes(lanes), identity);
  }

  void take(const Chunk& c) {
    for (Val v : frag_.at(c)) {
      if (v.type().element() != f32)
        throw IrError("row reductions work on f32; convert with to(f32, …)", frag_.node().where);
      if (c.valid) v = select(*c.valid, v, literal(v.type(), identity_));
      if (!streamed_) {
        auto slot = static_cast<size_t>(next_++ % kAccumulators);
        if (partial_.size() <= slot)
          partial_.push_back(v);
        else
          partial_[slot] = combine_(partial_[slot], v);
      } else if (v.lanes() == running_[0].type().lanes) {
        Var& r = running_[static_cast<size_t>(c.number)];
        r = Arg(combine_(Val(r.operand()), v));
      } else {
        partial_.push_back(v);  // the narrow rest, outside of the loop
      }
    }
  }

  Val result() {  // of this thread
    std::vector<Val> all;
    for (Var& r : running_) all.push_back(Val(r));
    while (all.size() > 1) {
      std::vector<Val> next;
      for (size_t i = 0; i + 1 < all.size(); i += 2) next.push_back(combine_(all[i], all[i + 1]));
      if (all.size() % 2) next.push_back(all.back());
      all = next;
    }
    Val total;
    auto join = [&](const Val& v) {
      Val scalar = v.lanes() == 1 ? v : reduce(v);
      total = total.empty() ? scalar : combine_(total, scalar);
    };
    for (const Val& v : all) join(v);
    for (const Val& v : partial_) join(v);
    return total;
  }

 private:
  Val reduce(const Val& v) const { return identity_ == 0 ? reduce_add(v) : reduce_max(v); }

  Frag frag_;
  Combine combine_;
  double identity_;
  bool streamed_;
  std::vector<Var> running_;
  std::vector<Val> partial_;
  int next_ = 0;
};

Val lane_mask(Block& block, int group) {
  if (group >= 32) return literal(u32, 0xffffffffu);
  return literal(u32, (1u << group) - 1) << (block.lane() & static_cast<uint32_t>(32 - group));
}

Val across_lanes(Block& block, Val v, int lanes, const Combine& combine, Location where) {
  Val mask = lane_mask(block, lanes);
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    v = combine(v, op1("shfl.bfly", f32, {v, distance, 31, mask}, {}, where));
  return v;
}

// Each warp writes its value; after a barrier every thread reads and joins all of them, in order.
std::vector<Val> across_warps(Block& block, const std::vector<Val>& values, const Combine& combine,
                              Location where) {
  int warps = block.threads() / 32;
  int count = static_cast<int>(values.size());
  Tensor partial = block.shared("row_partial", f32, shape(count, warps));
  IF (block.lane() == 0) {
    for (int i = 0; i < count; ++i) store_at(partial(i), block.warp(), values[static_cast<size_t>(i)], where);
  }
  block.barrier(where);
  std::vector<Val> totals;
  for (int i = 0; i < count; ++i) {
    Pack all = load_pack(partial(i), {}, 0, warps, {}, nullptr, where);
    while (all.size() > 1) {
      Pack next;
      for (size_t k = 0; k + 1 < all.size(); k += 2) next.push_back(combine(all[k], all[k + 1]));
      if (all.size() % 2) next.push_back(all.back());
      all = next;
    }
    totals.push_back(all[0]);
  }
  if (builder().loop_depth > 0) block.barrier(where);  // the next turn writes the same words
  return totals;
}

std::vector<Val> reduce(Block& block, const std::vector<Frag>& frags, const Combine& combine, double identity,
                        Location where) {
  LineScope line(line_of(where));
  const RowLayout& l = frags[0].layout();
  std::vector<Accumulator> accumulators;
  for (const Frag& f : frags) accumulators.emplace_back(f, combine, identity);
  for_each_chunk(l, [&](const Chunk& c) {
    for (auto& a : accumulators) a.take(c);
  });
  std::vector<Val> values;
  for (auto& a : accumulators) values.push_back(a.result());
  if (!block.gpu() || l.group.size == 1) return values;
  for (Val& v : values) v = across_lanes(block, v, std::min(l.group.size, 32), combine, where);
  if (l.group.size <= 32) return values;
  return across_warps(block, values, combine, where);
}

}  // namespace

Val row_sum(Block& block, const Frag& a, Location where) { return reduce(block, {a}, add, 0, where)[0]; }

Val row_max(Block& block, const Frag& a, Location where) {
  return reduce(block, {a}, greater, -std::numeric_limits<double>::infinity(), where)[0];
}

std::vector<Val> row_sums(Block& block, const std::vector<Frag>& frags, Location where) {
  return reduce(block, frags, add, 0, where);
}

std::pair<Val, Val> row_sums(Block& block, const Frag& a, const Frag& b, Location where) {
  auto values = reduce(block, {a, b}, add, 0, where);
  return {values[0], values[1]};
}

}  // namespace rose::dsl
