// The largest element of a row and its place: values and numbers travel together through every step.
#include <climits>

#include "dsl/fragment_node.h"

namespace rose::dsl {
namespace {

struct Best {
  Val value, index;
};  // f32, s32

// Of two, the greater value; of equal ones the smaller index. NaN never wins.
Best better(const Best& a, const Best& b) {
  Val second = (b.value > a.value) | ((b.value == a.value) & (b.index < a.index));
  return {select(second, b.value, a.value), select(second, b.index, a.index)};
}

Best join(std::vector<Best> all) {
  while (all.size() > 1) {
    std::vector<Best> next;
    for (size_t i = 0; i + 1 < all.size(); i += 2) next.push_back(better(all[i], all[i + 1]));
    if (all.size() % 2) next.push_back(all.back());
    all = std::move(next);
  }
  return all.at(0);
}

Best of_lanes(const Best& b) {  // one lane from many (x86)
  if (b.value.lanes() == 1) return b;
  Val most = reduce_max(b.value);
  return {most, reduce_min(select(b.value == most, b.index, literal(b.index.type(), INT_MAX)))};
}

Best none(int lanes) {
  return {literal(f32.with_lanes(lanes), -std::numeric_limits<double>::infinity()),
          literal(s32.with_lanes(lanes), INT_MAX)};
}

// What this thread found.
Best walk(Block& block, const Frag& a) {
  const RowLayout& l = a.layout();
  int lanes = block.gpu() ? 1 : l.vector;
  std::vector<std::pair<Var, Var>> running;
  for (int i = 0; i < l.streams; ++i) running.emplace_back(Var(none(lanes).value), Var(none(lanes).index));
  std::vector<Best> rest;
  for_each_chunk(l, [&](const Chunk& c) {
    Val start = c.offset ? to(s32, *c.offset + c.constant) : literal(s32, c.constant);
    int place = 0;
    for (Val v : a.at(c)) {
      if (v.type().element() != f32)
        throw IrError("row_argmax works on f32; convert with to(f32, …)", a.node().where);
      Val index = start + place + lane_numbers(s32, v.lanes());
      place += v.lanes();
      if (c.valid) v = select(*c.valid, v, none(v.lanes()).value);
      if (v.lanes() != lanes) {
        rest.push_back({v, index});  // x86: the narrow end of the row
        continue;
      }
      auto& [value, number] = running[static_cast<size_t>(c.number % l.streams)];
      Val greater = (v > Val(value)) | ((v == Val(value)) & (index < Val(number)));
      value = Arg(select(greater, v, Val(value)));
      number = Arg(select(greater, index, Val(number)));
    }
  });
  std::vector<Best> all;
  for (auto& [value, number] : running) all.push_back({Val(value), Val(number)});
  Best best = of_lanes(join(all));
  for (const Best& b : rest) best = better(best, of_lanes(b));
  return best;
}

Best across_block(Block& block, Best best, Location where) {
  for (int distance = 16; distance > 0; distance /= 2)
    best = better(best,
                  {op1("shfl.bfly", f32, {best.value, distance, 31, literal(u32, 0xffffffffu)}, {}, where),
                   op1("shfl.bfly", s32, {best.index, distance, 31, literal(u32, 0xffffffffu)}, {}, where)});
  int warps = block.threads() / 32;
  if (warps == 1) return best;
  Tensor values = block.shared("argmax_value", f32, shape(warps)),
         indices = block.shared("argmax_index", s32, shape(warps));
  IF (block.lane() == 0) {
    store_at(values, block.warp(), best.value, where);
    store_at(indices, block.warp(), best.index, where);
  }
  block.barrier(where);
  Pack v = load_pack(values, {}, 0, warps, {}, nullptr, where),
       i = load_pack(indices, {}, 0, warps, {}, nullptr, where);
  std::vector<Best> all;
  for (size_t k = 0; k < v.size(); ++k) all.push_back({v[k], i[k]});
  if (Builder::current().loop_depth > 0) block.barrier(where);
  return join(all);
}

}  // namespace

std::pair<Val, Val> row_argmax(Block& block, const Frag& a, Location where) {
  LineScope line(line_of(where));
  const RowGroup& group = a.layout().group;
  if (block.gpu() && group.size != block.threads())
    throw IrError("row_argmax works on rows of a whole block", line_of(where));
  Best best = walk(block, a);
  if (block.gpu()) best = across_block(block, best, where);
  return {best.value, select(best.index == INT_MAX, literal(s32, 0), best.index)};
}

}  // namespace rose::dsl
