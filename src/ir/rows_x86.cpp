// Operations of the x86 target alone: vector lanes, dot products, byte lookups, AMX tiles. LLVM names the
// instructions.
//
// On x86 every arithmetic, conversion, load and store row works lane by lane on values with any number of
// lanes; signatures below say "t" for such a value.
#include "ir/rows.h"

namespace rose::ir {
namespace {

Row lanes(const char* name, Semantic semantic, std::vector<std::string> results,
          std::vector<std::string> operands, int attributes = 0) {
  return {.name = name,
          .semantic = semantic,
          .signature = {std::move(results), std::move(operands), attributes},
          .available = kX86Only};
}

}  // namespace

std::vector<Row> x86_rows() {
  using enum Semantic;
  std::vector<Row> rows{
      lanes("splat", kSplat, {"any"}, {"any"}),              // scalar -> every lane of the result type
      lanes("extract", kExtract, {"any"}, {"any"}, 1),       // lane attribute 0
      lanes("insert", kInsert, {"any"}, {"any", "any"}, 1),  // vector, scalar; lane attribute 0
      lanes("concat", kPack, {"any"}, {"any*"}),   // n equal vectors or scalars, first in the low lanes
      lanes("split", kUnpack, {"any*"}, {"any"}),  // n equal parts, low lanes first
      lanes("shuffle", kShuffle, {"any"}, {"any", "any"},
            -1),                                          // attributes: lane of (a ++ b) for each result lane
      lanes("reduce.add", kReduceAdd, {"any"}, {"any"}),  // float sums by halves: lane i + lane i+n/2, …
      lanes("reduce.max", kReduceMax, {"any"}, {"any"}),
      lanes("reduce.min", kReduceMin, {"any"}, {"any"}),
      // acc[i] + sum over j of a[k*i+j] * b[k*i+j]: k = 2 for bf16 (f32 acc), 4 for u8 x s8 (s32 acc). Uses
      // VDPBF16PS or VPDPBUSD where the target has them and an exact widening sequence elsewhere.
      lanes("dot.bf16", kDot, {"any"}, {"any", "any", "any"}),
      lanes("dot.u8s8", kDot, {"any"}, {"any", "any", "any"}),
      // The same where every u8 is at most 127, which makes it cheaper without VNNI. No meaning for larger
      // ones.
      lanes("dot.u7s8", kDot, {"any"}, {"any", "any", "any"}),
      // result[i] = table[index[i] & 15]; `table` is a u8x16 value, index and result are u8 vectors.
      lanes("lookup16", kLookup16, {"any"}, {"any", "any"}),
  };
  // Streaming store of a whole vector: the address must be aligned to the vector.
  rows.push_back({.name = "st.global.stream",
                  .semantic = kStore,
                  .signature = {{}, {"ptr", "any"}, 1},
                  .available = kX86Only,
                  .effects = kWriteGlobal});
  rows.push_back({.name = "prefetch.x86",
                  .semantic = kOpaque,
                  .signature = {{}, {"ptr"}, 1},
                  .available = kX86Only,
                  .effects = kSync});

  // AMX. Tile numbers are attributes; a program configures the palette once at its start (64 bytes at the
  // address).
  auto tile = [&](const char* name, std::vector<std::string> operands, int attributes) {
    rows.push_back({.name = name,
                    .semantic = kTile,
                    .signature = {{}, std::move(operands), attributes},
                    .available = kX86Only,
                    .effects = kSync});
  };
  tile("tile.config", {"ptr"}, 0);
  tile("tile.release", {}, 0);
  tile("tile.zero", {}, 1);              // tile
  tile("tile.load", {"ptr", "s64"}, 1);  // address, row stride in bytes; tile
  tile("tile.store", {"ptr", "s64"}, 1);
  tile("tile.dot.bf16", {}, 3);  // accumulator, a, b
  tile("tile.dot.s8s8", {}, 3);
  tile("tile.dot.u8s8", {}, 3);
  return rows;
}

}  // namespace rose::ir
