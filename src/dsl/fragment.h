// Rows of a tensor, spread over threads or walked in vectors: one source for GPU and x86.
//
// A RowLayout says how a group of threads shares one row. Where the row fits in registers (a GPU, rows of up
// to 64 elements a thread) fragments are resident: each operation runs at once on registers. Elsewhere (x86,
// very long rows) fragments are streamed: an operation is remembered, and each reduction or store walks the
// row once, in vectors, evaluating what it needs. keep() stores a streamed fragment in scratch memory, so
// that later walks do not compute it again; on resident fragments it does nothing.
//
// A streamed fragment reads its source when it is walked. Storing to a tensor that it reads, and walking it
// again afterwards, is an error that names the line (use keep() before the store).
#pragma once

#include <functional>
#include <memory>

#include "dsl/block.h"

namespace rose::dsl {

// The row that a group of threads works on. With groups smaller than the block, the last block may have
// groups beyond the last row: they repeat the last row with `valid` false, and their stores do nothing.
struct RowGroup {
  int size = 1;              // threads of the group: a power of two up to 32, or the whole block
  Val row;                   // s64
  std::optional<Val> valid;  // pred; absent: always valid
  Val thread;                // s64: number of this thread within the group
};

// Groups of `size` threads (0: the block), one row each, counted over the grid. `rows` is the number of rows,
// s64. A launch needs ceil(rows / rows_per_block) blocks.
RowGroup row_group(Block& block, const Val& rows, int size = 0);
int rows_per_block(const Block& block, int size = 0);

struct RowLayout {
  int64_t length = 0;  // elements of the row
  int vector = 1;      // consecutive elements of one thread's access
  bool resident = false;
  int streams = 4;  // accesses that a turn of a streamed walk makes: 1 for the least code, at most 4
  RowGroup group;

  int64_t chunks() const;  // turns of the group over the row, the last perhaps not full
};

// The layout of rows of `length` elements whose widest element has `element_bytes` bytes. Accesses are as
// wide as the alignment of the rows allows: each row begins at a multiple of `multiple` elements (0: of its
// length, as in a contiguous tensor), in memory whose start is aligned to 16 bytes.
RowLayout row_layout(Block& block, const RowGroup& group, int64_t length, int element_bytes,
                     int64_t multiple = 0);

// One access of one thread: elements [start, start + lanes) of the row.
struct Chunk {
  int64_t serial = 0;         // differs for each recorded access
  int number = 0;             // of a resident access; also selects the accumulator of a streamed one
  std::optional<Val> offset;  // s64, run-time part of start
  int64_t constant = 0;       // constant part of start
  int lanes = 1;
  std::optional<Val> valid;  // false: beyond the row's end
};

class Frag {
 public:
  struct Node;
  Frag() = default;
  explicit Frag(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  Type type() const;  // of one element
  const RowLayout& layout() const;
  Pack at(const Chunk& chunk) const;  // the values of one access
  Node& node() const { return *node_; }

 private:
  std::shared_ptr<Node> node_;
};

Frag load(const Tensor& row, const RowLayout& layout,
          Location where = Location::current());  // row: rank 1, contiguous
Frag constant(Type type, const RowLayout& layout, double value, Location where = Location::current());
void store(const Tensor& row, const Frag& value, Location where = Location::current());
// Several stores in one walk: of each access, all values are computed before the first is stored. So the rows
// may be those that the values were loaded from, also on x86. The fragments have equal layouts.
struct RowStore {
  Tensor row;
  Frag value;
};
void store_together(const std::vector<RowStore>& stores, Location where = Location::current());
Frag keep(Block& block, const Frag& value, Location where = Location::current());

// Element by element. `f` sees one value (of any number of lanes) and returns one. A streamed fragment calls
// it later: it must capture by value.
Frag map(const Frag& a, const std::function<Val(Val)>& f, Location where = Location::current());
Frag map(const Frag& a, const Frag& b, const std::function<Val(Val, Val)>& f,
         Location where = Location::current());
Frag to(
    Type type, const Frag& a,
    Location where = Location::current());  // f32 to bf16, f16, e4m3, e5m2, s8 (nearest, saturating) and back
struct FragArg {                            // what operators take: a fragment, with the line where it stands
  Frag frag;
  SourceLine where;
  FragArg(Frag f, Location location = Location::current()) : frag(std::move(f)), where(line_of(location)) {}
};
Frag operator+(const FragArg& a, const FragArg& b);
Frag operator-(const FragArg& a, const FragArg& b);
Frag operator*(const FragArg& a, const FragArg& b);
Frag operator+(const FragArg& a, const Val& b);
Frag operator-(const FragArg& a, const Val& b);
Frag operator*(const FragArg& a, const Val& b);
Frag operator*(const FragArg& a, double b);
// Values numbered by their place in the row: f(value, s64 index of its first element; lanes count up).
Frag map_index(const Frag& a, const std::function<Val(Val value, Val index)>& f,
               Location where = Location::current());
// 0, 1, 2, … in the lanes of a value: what to add to map_index's index. A scalar 0 for one lane.
Val lane_numbers(Type type, int lanes);

// Over all elements of the row; the result is the same in every thread of the group. The order of the sum
// depends on the layout alone. A group larger than a warp meets at a barrier: all threads of the block must
// call together.
Val row_sum(Block& block, const Frag& a, Location where = Location::current());
Val row_max(Block& block, const Frag& a, Location where = Location::current());
// Sum of two fragments of equal layout at once (one walk, one exchange).
std::pair<Val, Val> row_sums(Block& block, const Frag& a, const Frag& b,
                             Location where = Location::current());
std::vector<Val> row_sums(Block& block, const std::vector<Frag>& frags, Location where = Location::current());
// The largest element and its place in the row (s32; of several the first). NaN counts as absent; a row
// without any number gives -infinity and 0. For rows of a whole block.
std::pair<Val, Val> row_argmax(Block& block, const Frag& a, Location where = Location::current());

// The elements at even and at odd places of a row of 2 × half.length, as f32 fragments, and the inverse,
// which converts f32 to the row's type.
std::pair<Frag, Frag> deinterleave(const Tensor& row, const RowLayout& half,
                                   Location where = Location::current());
void store_interleaved(const Tensor& row, const Frag& even, const Frag& odd,
                       Location where = Location::current());

// Walks the layout and calls f for each access: the raw form of all of the above.
void for_each_chunk(const RowLayout& layout, const std::function<void(const Chunk&)>& f);

}  // namespace rose::dsl
