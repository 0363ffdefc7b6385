#include "dsl/fragment.h"

#include <fmt/format.h>

#include <bit>

#include "dsl/fragment_node.h"
#include "layout/layout.h"

namespace rose::dsl {
namespace {

Builder& builder() { return Builder::current(); }
bool gpu() { return builder().kernel.target.is_gpu(); }

constexpr int64_t kResidentElements = 64;  // of one thread; as f32 they take a quarter of its registers
constexpr int64_t kRegisterFile = 65536;   // of a multiprocessor, 32 bits each

std::vector<std::pair<int, int>> joined(const Frag& a, const Frag& b) {
  auto sources = a.node().sources;
  sources.insert(sources.end(), b.node().sources.begin(), b.node().sources.end());
  return sources;
}

void same_layout(const Frag& a, const Frag& b, const SourceLine& where) {
  const RowLayout &x = a.layout(), &y = b.layout();
  if (x.length != y.length || x.vector != y.vector || x.group.size != y.group.size)
    throw IrError(fmt::format("fragments of {} and {} elements ({} and {} a vector) do not match", x.length,
                              y.length, x.vector, y.vector),
                  where);
}

// A fragment's memory: one dimension of `length` neighbours.
void contiguous_row(const char* what, const Tensor& row, int64_t length, Location where) {
  std::string wrong;
  if (row.rank() != 1)
    wrong = fmt::format("it has {} dimensions, not one", row.rank());
  else if (row.shape[0].is_static() && row.shape[0].size != length)
    wrong = fmt::format("it has {} elements, the layout {}", row.shape[0].size, length);
  else if (length > 1 && (!row.strides[0].is_static() || row.strides[0].size != 1))
    wrong = "its elements are not neighbours";
  if (!wrong.empty()) throw IrError(fmt::format("{} '{}': {}", what, row.name, wrong), line_of(where));
}

Chunk chunk_at(std::optional<Val> offset, int64_t constant, int lanes, int number) {
  Chunk c;
  c.serial = builder().next_serial++;
  c.offset = offset, c.constant = constant, c.lanes = lanes, c.number = number;
  return c;
}

std::optional<Val> thread_offset(const RowLayout& l) {
  if (l.group.size == 1) return {};
  return l.group.thread * l.vector;
}

void resident_chunks(const RowLayout& l, const std::function<void(const Chunk&)>& f) {
  int64_t turn = static_cast<int64_t>(l.group.size) * l.vector;
  auto offset = thread_offset(l);
  for (int64_t i = 0; i < l.chunks(); ++i) {
    Chunk c = chunk_at(offset, i * turn, l.vector, static_cast<int>(i));
    if ((i + 1) * turn > l.length) c.valid = *offset < l.length - i * turn;
    f(c);
  }
}

void streamed_gpu_chunks(const RowLayout& l, const std::function<void(const Chunk&)>& f) {
  int64_t turn = static_cast<int64_t>(l.group.size) * l.vector;
  int64_t steps = l.length / (turn * l.streams);
  auto thread = thread_offset(l);
  FOR (step, literal(s64, 0), steps) {
    Val start = step * (turn * l.streams);
    Val offset = thread ? start + *thread : start;
    for (int u = 0; u < l.streams; ++u) f(chunk_at(offset, u * turn, l.vector, u));
  }
  int number = 0;
  for (int64_t at = steps * turn * l.streams; at < l.length; at += turn) {
    Chunk c = chunk_at(thread, at, l.vector, number++);
    if (at + turn > l.length) c.valid = *thread < l.length - at;
    f(c);
  }
}

void streamed_x86_chunks(const RowLayout& l, const std::function<void(const Chunk&)>& f) {
  int64_t lanes = l.vector, at = 0;
  if (l.length > 4 * l.streams * lanes) {
    int64_t end = l.length / (lanes * l.streams) * (lanes * l.streams);
    FOR (start, literal(s64, 0), end, lanes * l.streams, Unroll{1}) {
      for (int u = 0; u < l.streams; ++u) f(chunk_at(start, u * lanes, static_cast<int>(lanes), u));
    }
    at = end;
  }
  for (int number = 0; at + lanes <= l.length; at += lanes)
    f(chunk_at({}, at, static_cast<int>(lanes), number++ % l.streams));
  for (; at < l.length;) {  // the rest in narrower vectors: 5 = 4 + 1
    lanes = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(l.length - at)));
    f(chunk_at({}, at, static_cast<int>(lanes), 0));
    at += lanes;
  }
}

}  // namespace

int rows_per_block(const Block& block, int size) {
  return !block.gpu() || size == 0 ? 1 : block.threads() / size;
}

RowGroup row_group(Block& block, const Val& rows, int size) {
  if (!block.gpu()) return {1, block.index(), {}, literal(s64, 0)};
  int threads = block.threads();
  if (size == 0 || size == threads) {
    if (threads % 32 && (threads > 32 || !std::has_single_bit(static_cast<unsigned>(threads))))
      throw IrError(fmt::format(
          "a block of {} threads cannot share a row: use whole warps, or a power of two below 32", threads));
    return {threads, block.index(), {}, block.thread()};
  }
  if (size > 32 || !std::has_single_bit(static_cast<unsigned>(size)) || threads % size)
    throw IrError(fmt::format(
        "row groups of {} threads in blocks of {}: use a power of two up to 32 that divides the block, or 0",
        size, threads));
  Val row = block.index() * (threads / size) + to(s64, block.thread32() / size);
  Val valid = row < rows;
  return {size, select(valid, row, rows - 1), valid, to(s64, block.thread32() % size)};
}

int64_t RowLayout::chunks() const {
  int64_t turn = static_cast<int64_t>(group.size) * vector;
  return (length + turn - 1) / turn;
}

namespace {

// (thread, (element of an access, access)) -> element of the row, once for each layout that differs.
RowLayout noted(RowLayout l) {
  layout::Layout map({l.group.size, {l.vector, l.chunks()}},
                     {l.vector, {1, static_cast<int64_t>(l.group.size) * l.vector}});
  auto& notes = builder().kernel.layouts;
  std::string text = to_string(map), name = fmt::format("row of {}: (thread, value) -> element{}", l.length,
                                                        l.resident ? "" : ", streamed");
  for (const auto& n : notes)
    if (n.name == name && n.layout == text) return l;
  notes.push_back({std::move(name), std::move(text)});
  return l;
}

}  // namespace

RowLayout row_layout(Block& block, const RowGroup& group, int64_t length, int element_bytes,
                     int64_t multiple) {
  if (length <= 0) throw IrError(fmt::format("a row of {} elements", length));
  RowLayout l;
  l.length = length, l.group = group;
  if (!block.gpu()) {
    l.vector = block.target().vector_bytes() / 4;  // f32 lanes: arithmetic is done in f32
    return noted(l);
  }
  l.vector = std::max(1, 16 / element_bytes);
  while (length % l.vector || multiple % l.vector) l.vector /= 2;
  // Short rows: smaller accesses, so that more threads of the group take part.
  while (l.vector > 1 && static_cast<int64_t>(l.vector) * group.size > length) l.vector /= 2;
  // At most half of the registers that a thread of so large a block can have.
  int64_t most = std::min<int64_t>(kResidentElements, kRegisterFile / block.threads() / 2);
  l.resident = l.chunks() * l.vector <= most;
  return noted(l);
}

void for_each_chunk(const RowLayout& layout, const std::function<void(const Chunk&)>& f) {
  if (layout.resident)
    resident_chunks(layout, f);
  else if (gpu())
    streamed_gpu_chunks(layout, f);
  else
    streamed_x86_chunks(layout, f);
}

Type Frag::type() const { return node_->type; }
const RowLayout& Frag::layout() const { return node_->layout; }

Pack Frag::at(const Chunk& chunk) const {
  Node& n = *node_;
  if (n.layout.resident) return n.values.at(static_cast<size_t>(chunk.number));
  if (n.cached_serial == chunk.serial) return n.cached;
  for (auto [source, version] : n.sources)
    if (builder().store_version(source) != version)
      throw IrError(
          "this streamed fragment reads a tensor that was stored to since; keep() the fragment before the "
          "store",
          line_in_kernel(n.where));
  LineScope line(n.where);
  n.cached = n.compute(chunk);
  n.cached_serial = chunk.serial;
  return n.cached;
}

Frag make_fragment(Type type, const RowLayout& layout, std::vector<std::pair<int, int>> sources,
                   SourceLine where, std::function<Pack(const Chunk&)> compute) {
  auto node = std::make_shared<Frag::Node>();
  node->type = type, node->layout = layout, node->sources = std::move(sources), node->where = where;
  LineScope line(where);
  if (layout.resident)
    for_each_chunk(layout, [&](const Chunk& c) { node->values.push_back(compute(c)); });
  else
    node->compute = std::move(compute);
  return Frag(std::move(node));
}

Frag load(const Tensor& row, const RowLayout& layout, Location where) {
  contiguous_row("load of", row, layout.length, where);
  return make_fragment(
      row.dtype, layout, {{row.source, builder().store_version(row.source)}}, line_of(where),
      [=](const Chunk& c) { return load_pack(row, c.offset, c.constant, c.lanes, c.valid, nullptr, where); });
}

Frag constant(Type type, const RowLayout& layout, double value, Location where) {
  if (!type.is_float())
    throw IrError("constant(): fragments of constants are floating-point", line_of(where));
  return make_fragment(type, layout, {}, line_of(where), [=](const Chunk& c) {
    if (!gpu()) return Pack{literal(type.with_lanes(c.lanes), value)};
    // As loads pack it: pairs of 16-bit values where the count is even.
    int lanes = type.bits() == 16 && c.lanes % 2 == 0 ? 2 : 1;
    return Pack(static_cast<size_t>(c.lanes / lanes), literal(type.with_lanes(lanes), value));
  });
}

void store(const Tensor& row, const Frag& value, Location where) { store_together({{row, value}}, where); }

void store_together(const std::vector<RowStore>& stores, Location where) {
  LineScope line(line_of(where));
  std::vector<Frag> converted;
  for (const auto& [row, value] : stores) {
    same_layout(stores.at(0).value, value, line_of(where));
    contiguous_row("store to", row, value.layout().length, where);
    converted.push_back(value.type() == row.dtype ? value : to(row.dtype, value, where));
  }
  const RowLayout& l = stores.at(0).value.layout();
  for_each_chunk(l, [&](const Chunk& c) {
    std::optional<Val> valid = c.valid;
    if (l.group.valid) valid = valid ? *valid & *l.group.valid : *l.group.valid;
    std::vector<Pack> packs;
    for (const Frag& f : converted) packs.push_back(f.at(c));
    for (size_t i = 0; i < packs.size(); ++i)
      store_pack(stores[i].row, c.offset, c.constant, packs[i], valid, nullptr, where);
  });
  if (!l.resident)
    for (const auto& s : stores) ++builder().store_version(s.row.source);
}

Frag keep(Block& block, const Frag& value, Location where) {
  LineScope line(line_of(where));
  const RowLayout& l = value.layout();
  if (l.resident) return value;
  // Each thread reads back what it wrote itself: no barrier is needed. Each group has its own row.
  Tensor scratch =
      block.shared("keep", value.type(), shape(rows_per_block(block, l.group.size), l.length), 64);
  scratch = l.group.size < block.threads() ? scratch(block.thread32() / l.group.size) : scratch(0);
  store(scratch, value, where);
  return load(scratch, l, where);
}

namespace {

Frag map_at(const Frag& a, const std::function<Val(Val)>& f, SourceLine where) {
  return make_fragment(a.type(), a.layout(), a.node().sources, where, [=](const Chunk& c) {
    Pack out;
    for (const Val& v : a.at(c)) out.push_back(f(v));
    return out;
  });
}

Frag map_at(const Frag& a, const Frag& b, const std::function<Val(Val, Val)>& f, SourceLine where) {
  same_layout(a, b, where);
  return make_fragment(a.type(), a.layout(), joined(a, b), where, [=](const Chunk& c) {
    Pack x = a.at(c), y = b.at(c), out;
    if (x.size() != y.size())
      throw IrError(fmt::format("fragments of {} and {} meet; convert one with to()", ir::to_string(a.type()),
                                ir::to_string(b.type())),
                    where);
    for (size_t i = 0; i < x.size(); ++i) out.push_back(f(x[i], y[i]));
    return out;
  });
}

}  // namespace

Frag map(const Frag& a, const std::function<Val(Val)>& f, Location where) {
  return map_at(a, f, line_of(where));
}
Frag map(const Frag& a, const Frag& b, const std::function<Val(Val, Val)>& f, Location where) {
  return map_at(a, b, f, line_of(where));
}

Frag map_index(const Frag& a, const std::function<Val(Val, Val)>& f, Location where) {
  return make_fragment(a.type(), a.layout(), a.node().sources, line_of(where), [=](const Chunk& c) {
    Pack out;
    int64_t lane = 0;
    for (const Val& v : a.at(c)) {
      Val first = c.offset ? *c.offset + (c.constant + lane) : literal(s64, c.constant + lane);
      out.push_back(f(v, first));
      lane += v.lanes();
    }
    return out;
  });
}

Val lane_numbers(Type type, int lanes) {
  if (lanes == 1) return literal(type, 0);
  static const ir::Row& row = ir::operation("concat");
  std::vector<ir::Operand> numbers;
  for (int i = 0; i < lanes; ++i) numbers.push_back(literal(type, i).operand());
  Type wide = type.with_lanes(lanes);
  return Val(builder().emit_one(row, wide, wide, std::move(numbers), {}, {}));
}

Frag to(Type type, const Frag& a, Location where) {
  if (a.type() == type) return a;
  return make_fragment(type, a.layout(), a.node().sources, line_of(where),
                       [=](const Chunk& c) { return convert_pack(type, a.at(c), line_of(where)); });
}

Frag operator+(const FragArg& a, const FragArg& b) {
  return map_at(a.frag, b.frag, [](Val x, Val y) { return x + y; }, a.where);
}
Frag operator-(const FragArg& a, const FragArg& b) {
  return map_at(a.frag, b.frag, [](Val x, Val y) { return x - y; }, a.where);
}
Frag operator*(const FragArg& a, const FragArg& b) {
  return map_at(a.frag, b.frag, [](Val x, Val y) { return x * y; }, a.where);
}
Frag operator+(const FragArg& a, const Val& b) {
  return map_at(a.frag, [=](Val x) { return x + b; }, a.where);
}
Frag operator-(const FragArg& a, const Val& b) {
  return map_at(a.frag, [=](Val x) { return x - b; }, a.where);
}
Frag operator*(const FragArg& a, const Val& b) {
  return map_at(a.frag, [=](Val x) { return x * b; }, a.where);
}
Frag operator*(const FragArg& a, double b) {
  return map_at(a.frag, [=](Val x) { return x * b; }, a.where);
}

std::pair<Frag, Frag> deinterleave(const Tensor& row, const RowLayout& half, Location where) {
  contiguous_row("deinterleave of", row, 2 * half.length, where);
  struct Loaded {
    int64_t key = -1;
    Pack even, odd;
  };
  auto last = std::make_shared<std::vector<Loaded>>(half.resident ? static_cast<size_t>(half.chunks()) : 1);
  auto values = [=](const Chunk& c) -> const Loaded& {
    Loaded& l = (*last)[half.resident ? static_cast<size_t>(c.number) : 0];
    int64_t key = half.resident ? c.number : c.serial;
    if (l.key == key) return l;
    l = {key, {}, {}};
    std::optional<Val> offset = c.offset ? std::optional<Val>(*c.offset * 2) : std::nullopt;
    Pack both = convert_pack(
        f32, load_pack(row, offset, 2 * c.constant, 2 * c.lanes, c.valid, nullptr, where), line_of(where));
    if (both.size() > 1 || both[0].lanes() == 1) {
      for (size_t i = 0; i < both.size(); i += 2) l.even.push_back(both[i]), l.odd.push_back(both[i + 1]);
      return l;
    }
    std::vector<int64_t> even, odd;
    for (int i = 0; i < c.lanes; ++i) even.push_back(2 * i), odd.push_back(2 * i + 1);
    l.even.push_back(shuffle_lanes(both[0], both[0], even)),
        l.odd.push_back(shuffle_lanes(both[0], both[0], odd));
    return l;
  };
  std::vector<std::pair<int, int>> sources{{row.source, builder().store_version(row.source)}};
  Frag even =
      make_fragment(f32, half, sources, line_of(where), [=](const Chunk& c) { return values(c).even; });
  Frag odd = make_fragment(f32, half, sources, line_of(where), [=](const Chunk& c) { return values(c).odd; });
  return {even, odd};
}

void store_interleaved(const Tensor& row, const Frag& even, const Frag& odd, Location where) {
  same_layout(even, odd, line_of(where));
  contiguous_row("store to", row, 2 * even.layout().length, where);
  LineScope line(line_of(where));
  const RowLayout& l = even.layout();
  for_each_chunk(l, [&](const Chunk& c) {
    Pack e = even.at(c), o = odd.at(c), both;
    if (!gpu()) {
      std::vector<int64_t> zip;
      for (int i = 0; i < c.lanes; ++i) zip.push_back(i), zip.push_back(c.lanes + i);
      both.push_back(shuffle_lanes(e[0], o[0], zip));
    } else {
      for (size_t i = 0; i < e.size(); ++i) both.push_back(e[i]), both.push_back(o[i]);
    }
    std::optional<Val> offset = c.offset ? std::optional<Val>(*c.offset * 2) : std::nullopt, valid = c.valid;
    if (l.group.valid) valid = valid ? *valid & *l.group.valid : *l.group.valid;
    store_pack(row, offset, 2 * c.constant, convert_pack(row.dtype, both, line_of(where)), valid, nullptr,
               where);
  });
  if (!l.resident) ++builder().store_version(row.source);
}

}  // namespace rose::dsl
