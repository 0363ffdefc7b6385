// The table of operations: one row per instruction form. A row says how the form is printed, where it exists,
// what it does to memory, and which threads must reach it together. Everything that handles kernels reads
// this table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/target.h"
#include "ir/type.h"

namespace rose::ir {

// What an operation means to the passes, to the x86 code generator and to the emulator. kOpaque operations
// are known by their row alone.
enum class Semantic : uint8_t {
  kOpaque,
  kMove,  // r = a
  kAdd,
  kSub,
  kMul,
  kMulHigh,
  kMulWide,
  kDiv,
  kRem,
  kMin,
  kMax,  // r = a op b
  kFma,  // r = a * b + c
  kNeg,
  kAbs,
  kNot,
  kAnd,
  kOr,
  kXor,
  kShl,
  kShr,             // shifts take a u32 count
  kCompare,         // pred = a op b; attribute 0: a Comparison
  kSelect,          // r = pred ? a : b
  kConvert,         // numeric conversion operand type -> result type
  kBitcast,         // same bits, another type of the same width
  kConvertNearest,  // float -> integer, nearest even (kConvert truncates)
  kExp2,
  kLog2,
  kRcp,
  kRsqrt,
  kSqrt,
  kTanh,
  kSin,
  kCos,
  kFloor,      // r = f(a)
  kRoundEven,  // r = a rounded to the nearest even integer
  kPack,
  kUnpack,  // n values <-> one value with n (times) lanes
  kSplat,
  kExtract,
  kInsert,
  kShuffle,  // x86 lanes; attributes: lane numbers
  kReduceAdd,
  kReduceMax,
  kReduceMin,   // x86: all lanes of a -> scalar
  kSpecial,     // thread, block, … numbers; attribute 0: a Special
  kParameter,   // r = kernel parameter; attribute 0: its index
  kSharedBase,  // r = address of the block's shared memory
  kLoad,
  kStore,      // attribute 0: constant byte offset
  kAtomicAdd,  // r = old; memory += a; attribute 0: byte offset
  kDot,        // x86: acc + pairs or quads of products
  kLookup16,   // x86: 16-entry byte table lookup by 4-bit index
  kTile,       // x86 AMX; the row's name says which
  kTrap,
};

enum class Comparison : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe };
enum class Special : uint8_t {
  kThreadX,
  kThreadY,
  kThreadZ,
  kBlockX,
  kBlockY,
  kBlockZ,
  kGridX,
  kGridY,
  kGridZ,
  kBlockDimX,
  kLane,
  kWarp,
  kClusterRank,
  kClusterSize,
  kSmId,
  kClock64,
  kGlobalTimer,
  kClusterX,
  kClusterGridX
};

enum class Space : uint8_t { kNone, kGlobal, kShared, kSharedCluster, kTensor, kParam, kGeneric };
enum class Proxy : uint8_t { kGeneric, kAsync, kTensorMap };

// What an operation does beyond computing its results. An operation with no effect may be folded, merged or
// dropped.
struct Effects {
  bool reads = false, writes = false;  // memory in `space`
  bool sync = false;                   // orders, waits or signals; never moved or dropped
  bool inout = false;                  // the results are also read (accumulators)
  Space space = Space::kNone;
  Proxy proxy = Proxy::kGeneric;
  bool any() const { return reads || writes || sync || inout; }
};

// The threads that must execute the operation together, with the same operands where the ISA says ".aligned".
enum class Convergence : uint8_t { kThread, kWarp, kWarpgroup, kBlock, kCluster };

// Minimum PTX version ("86" = 8.6) per architecture; 0 where the form does not exist.
struct Availability {
  uint8_t sm90a = 0, sm100a = 0, sm103a = 0;
  bool x86 = false;
};

// The kinds of operand that a row accepts, in the order of the PTX text.
//   t      the row's type             s      the source type of a conversion (fixed by the row)
//   f32 …  a fixed type               ptr    a 64-bit address (global, generic)
//   smem   a shared-memory address (u32 on a GPU, u64 on x86)
//   imm    a constant                 map    address of a tensor-map parameter (u64)
//   b16, b32, b64   any type of that many bits
//   half   the row's scalar with half the lanes (pack, unpack)
//   any    any type of the same width (bitcast), or any type at all where the row exists on x86 alone
//   mem    the row's type or a 16-bit container of an 8-bit one (loads, stores)
// A trailing "*n" repeats an operand n times; "*" alone means one or more.
struct Signature {
  std::vector<std::string> results;
  std::vector<std::string> operands;
  int attributes = 0;
};

// Text mini-format: $r0 a result, $0 an operand, $t the type ("f32"), $b its bit type ("b32"), $s the source
// type, $a0 an attribute, $R all results and $O all operands as "{a, b}" lists (no braces for one), $v
// ".v2"/".v4" for the number of results, $o ".v2"/".v4" for the number of stored operands, $[i:j] operands i
// to j-1 as a braced list. $c0 prints attribute 0 as a comparison ("lt"), $S the special register of
// attribute 0. $+0 prints "+n" for attribute 0, or nothing when it is zero. `%%` is a literal per cent sign.
struct Row {
  std::string name;
  Semantic semantic = Semantic::kOpaque;
  std::string text;         // "" when the row exists on x86 alone
  std::vector<Type> types;  // the instances of `t`; empty when the row has one instance
  Signature signature;
  Availability available;
  Effects effects;
  Convergence convergence = Convergence::kThread;
  bool commutative = false;

  bool has(Type type) const;                        // is `type` (lanes exact) one of the instances
  int minimum_version(const Target& target) const;  // 0: not on this target
};

// The whole table, in a fixed order; built once, never changed after.
std::span<const Row> operations();

// The row of that name; throws IrError that lists near names.
const Row& operation(std::string_view name);

// Table builders, one per group (rows_*.cpp); `operations()` concatenates them.
std::vector<Row> arithmetic_rows();
std::vector<Row> conversion_rows();
std::vector<Row> memory_rows();           // ld, st, atomics, cache policies, prefetch
std::vector<Row> synchronization_rows();  // barriers, fences, shuffles, votes, clusters, PDL
std::vector<Row> async_rows();            // mbarrier, cp.async, bulk copies, TMA, tensor maps
std::vector<Row> matrix_rows();           // mma.sync, ldmatrix, stmatrix, wgmma
std::vector<Row> blackwell_rows();        // tcgen05, cluster launch control, 2-CTA forms
std::vector<Row> x86_rows();

}  // namespace rose::ir
