// Arithmetic, logic, comparison, special functions, register moves and special registers.
#include "ir/rows.h"

namespace rose::ir {
namespace {

const std::vector<Type> kInts{u16, s16, u32, s32, u64, s64};
const std::vector<Type> kFloats{f32, f64, f16, bf16, f16.with_lanes(2), bf16.with_lanes(2)};
const std::vector<Type> kBits{pred, u16, s16, u32, s32, u64, s64};

std::vector<Type> operator+(std::vector<Type> a, const std::vector<Type>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Row binary(const char* name, Semantic semantic, const char* text, std::vector<Type> types, bool commutative) {
  return {.name = name,
          .semantic = semantic,
          .text = text,
          .types = std::move(types),
          .signature = {{"t"}, {"t", "t"}},
          .available = kEverywhere,
          .commutative = commutative};
}

Row unary(const char* name, Semantic semantic, const char* text, std::vector<Type> types) {
  return {.name = name,
          .semantic = semantic,
          .text = text,
          .types = std::move(types),
          .signature = {{"t"}, {"t"}},
          .available = kEverywhere};
}

Row gpu_only(Row row) {
  row.available = kGpu;
  return row;
}

Row blackwell_only(Row row) {
  row.available = kBlackwell;
  return row;
}

}  // namespace

std::vector<Row> arithmetic_rows() {
  using enum Semantic;
  const std::vector<Type> numbers = kInts + kFloats;
  const std::vector<Type> f32x2{f32.with_lanes(2)};
  std::vector<Row> rows{
      binary("add", kAdd, "add.$t $r0, $0, $1;", numbers, true),
      binary("sub", kSub, "sub.$t $r0, $0, $1;", numbers, false),
      binary("mul", kMul, "mul.$t $r0, $0, $1;", kFloats, true),
      binary("mul.lo", kMul, "mul.lo.$t $r0, $0, $1;", kInts, true),
      binary("mul.hi", kMulHigh, "mul.hi.$t $r0, $0, $1;", {u32, s32, u64, s64}, true),
      binary("min", kMin, "min.$t $r0, $0, $1;", numbers, true),
      binary("max", kMax, "max.$t $r0, $0, $1;", numbers, true),
      binary("div", kDiv, "div.$t $r0, $0, $1;", kInts, false),
      binary("rem", kRem, "rem.$t $r0, $0, $1;", kInts, false),
      binary("div.rn", kDiv, "div.rn.$t $r0, $0, $1;", {f32, f64}, false),
      gpu_only(binary("div.full", kOpaque, "div.full.ftz.$t $r0, $0, $1;", {f32}, false)),
      binary("and", kAnd, "and.$b $r0, $0, $1;", kBits, true),
      binary("or", kOr, "or.$b $r0, $0, $1;", kBits, true),
      binary("xor", kXor, "xor.$b $r0, $0, $1;", kBits, true),
      unary("not", kNot, "not.$b $r0, $0;", kBits),
      unary("neg", kNeg, "neg.$t $r0, $0;",
            {s16, s32, s64, f32, f64, f16, bf16, f16.with_lanes(2), bf16.with_lanes(2)}),
      unary("abs", kAbs, "abs.$t $r0, $0;",
            {s16, s32, s64, f32, f64, f16, bf16, f16.with_lanes(2), bf16.with_lanes(2)}),
      unary("mov", kMove, "mov.$b $r0, $0;",
            numbers + std::vector<Type>{pred, e4m3, e5m2, e4m3.with_lanes(2), e4m3.with_lanes(4),
                                        e5m2.with_lanes(2), e5m2.with_lanes(4), u8, s8, u16.with_lanes(2),
                                        s16.with_lanes(2), u8.with_lanes(4), s8.with_lanes(4),
                                        f32.with_lanes(2)}),
      unary("ex2", kExp2, "ex2.approx.ftz.$t $r0, $0;", {f32}),
      gpu_only(unary("ex2.f16x2", kOpaque, "ex2.approx.$t $r0, $0;", {f16, f16.with_lanes(2)})),
      gpu_only(unary("ex2.bf16x2", kOpaque, "ex2.approx.ftz.$t $r0, $0;", {bf16, bf16.with_lanes(2)})),
      unary("lg2", kLog2, "lg2.approx.ftz.$t $r0, $0;", {f32}),
      unary("rcp", kRcp, "rcp.approx.ftz.$t $r0, $0;", {f32}),
      unary("rsqrt", kRsqrt, "rsqrt.approx.ftz.$t $r0, $0;", {f32}),
      unary("sqrt", kSqrt, "sqrt.approx.ftz.$t $r0, $0;", {f32}),
      unary("sqrt.rn", kSqrt, "sqrt.rn.$t $r0, $0;", {f32, f64}),
      unary("tanh", kTanh, "tanh.approx.$t $r0, $0;", {f32}),
      gpu_only(unary("tanh.x2", kOpaque, "tanh.approx.$t $r0, $0;", {f16.with_lanes(2), bf16.with_lanes(2)})),
      unary("sin", kSin, "sin.approx.ftz.$t $r0, $0;", {f32}),
      unary("cos", kCos, "cos.approx.ftz.$t $r0, $0;", {f32}),
      unary("floor", kFloor, "cvt.rmi.$t.$t $r0, $0;", {f32, f64}),
      unary("round", kRoundEven, "cvt.rni.$t.$t $r0, $0;", {f32, f64}),
      blackwell_only(binary("add.f32x2", kAdd, "add.rn.$t $r0, $0, $1;", f32x2, true)),
      blackwell_only(binary("mul.f32x2", kMul, "mul.rn.$t $r0, $0, $1;", f32x2, true)),
      gpu_only(binary("add.sat", kOpaque, "add.sat.$t $r0, $0, $1;", {f32, s32}, true)),
  };

  rows.push_back({.name = "fma",
                  .semantic = kFma,
                  .text = "fma.rn.$t $r0, $0, $1, $2;",
                  .types = kFloats,
                  .signature = {{"t"}, {"t", "t", "t"}},
                  .available = kEverywhere});
  rows.push_back({.name = "fma.f32x2",
                  .semantic = kFma,
                  .text = "fma.rn.$t $r0, $0, $1, $2;",
                  .types = f32x2,
                  .signature = {{"t"}, {"t", "t", "t"}},
                  .available = kBlackwell});
  rows.push_back({.name = "fma.relu",
                  .text = "fma.rn.relu.$t $r0, $0, $1, $2;",
                  .types = {f16, bf16, f16.with_lanes(2), bf16.with_lanes(2)},
                  .signature = {{"t"}, {"t", "t", "t"}},
                  .available = kGpu});
  rows.push_back({.name = "mad.lo",
                  .semantic = kFma,
                  .text = "mad.lo.$t $r0, $0, $1, $2;",
                  .types = kInts,
                  .signature = {{"t"}, {"t", "t", "t"}},
                  .available = kEverywhere});
  rows.push_back({.name = "mul.wide.u32",
                  .semantic = kMulWide,
                  .text = "mul.wide.u32 $r0, $0, $1;",
                  .signature = {{"u64"}, {"u32", "u32"}},
                  .available = kEverywhere,
                  .commutative = true});
  rows.push_back({.name = "mul.wide.s32",
                  .semantic = kMulWide,
                  .text = "mul.wide.s32 $r0, $0, $1;",
                  .signature = {{"s64"}, {"s32", "s32"}},
                  .available = kEverywhere,
                  .commutative = true});
  rows.push_back({.name = "max3",
                  .text = "max.$t $r0, $0, $1, $2;",
                  .types = {f32},
                  .signature = {{"t"}, {"t", "t", "t"}},
                  .available = {0, 88, 88, false}});
  rows.push_back({.name = "shl",
                  .semantic = kShl,
                  .text = "shl.$b $r0, $0, $1;",
                  .types = kInts,
                  .signature = {{"t"}, {"t", "u32"}},
                  .available = kEverywhere});
  rows.push_back({.name = "shr",
                  .semantic = kShr,
                  .text = "shr.$t $r0, $0, $1;",
                  .types = kInts,
                  .signature = {{"t"}, {"t", "u32"}},
                  .available = kEverywhere});
  rows.push_back({.name = "setp",
                  .semantic = kCompare,
                  .text = "setp.$c0.$t $r0, $0, $1;",
                  .types = kInts + std::vector<Type>{f32, f64, f16, bf16},
                  .signature = {{"pred"}, {"t", "t"}, 1},
                  .available = kEverywhere});
  rows.push_back({.name = "selp",
                  .semantic = kSelect,
                  .text = "selp.$b $r0, $0, $1, $2;",
                  .types = kInts + kFloats,
                  .signature = {{"t"}, {"t", "t", "pred"}},
                  .available = kEverywhere});

  // Bit fields and bytes.
  auto fixed = [&](const char* name, const char* text, const char* result,
                   std::vector<std::string> operands) {
    rows.push_back(
        {.name = name, .text = text, .signature = {{result}, std::move(operands)}, .available = kGpu});
  };
  fixed("prmt", "prmt.b32 $r0, $0, $1, $2;", "u32", {"u32", "u32", "u32"});
  fixed("bfe.u32", "bfe.u32 $r0, $0, $1, $2;", "u32", {"u32", "u32", "u32"});
  fixed("bfe.s32", "bfe.s32 $r0, $0, $1, $2;", "s32", {"s32", "u32", "u32"});
  fixed("bfi.b32", "bfi.b32 $r0, $0, $1, $2, $3;", "u32", {"u32", "u32", "u32", "u32"});
  fixed("popc.b32", "popc.b32 $r0, $0;", "u32", {"u32"});
  fixed("clz.b32", "clz.b32 $r0, $0;", "u32", {"u32"});
  fixed("brev.b32", "brev.b32 $r0, $0;", "u32", {"u32"});
  fixed("fns.b32", "fns.b32 $r0, $0, $1, $2;", "u32", {"u32", "u32", "s32"});
  fixed("shf.l.wrap", "shf.l.wrap.b32 $r0, $0, $1, $2;", "u32", {"u32", "u32", "u32"});
  fixed("shf.r.wrap", "shf.r.wrap.b32 $r0, $0, $1, $2;", "u32", {"u32", "u32", "u32"});
  fixed("dp4a.s32", "dp4a.s32.s32 $r0, $0, $1, $2;", "s32", {"s32", "s32", "s32"});
  fixed("dp4a.u32", "dp4a.u32.u32 $r0, $0, $1, $2;", "u32", {"u32", "u32", "u32"});
  fixed("dp2a.lo.s32", "dp2a.lo.s32.s32 $r0, $0, $1, $2;", "s32", {"s32", "s32", "s32"});
  rows.push_back({.name = "lop3",
                  .text = "lop3.b32 $r0, $0, $1, $2, $a0;",
                  .signature = {{"u32"}, {"u32", "u32", "u32"}, 1},
                  .available = kGpu});

  // Packing and splitting registers. Lane 0 lies in the low bits.
  const std::vector<Type> pairs{f16.with_lanes(2),  bf16.with_lanes(2), u16.with_lanes(2), s16.with_lanes(2),
                                e4m3.with_lanes(4), e5m2.with_lanes(4), f32.with_lanes(2)};
  rows.push_back({.name = "pack",
                  .semantic = kPack,
                  .text = "mov.$b $r0, {$0, $1};",
                  .types = pairs,
                  .signature = {{"t"}, {"half", "half"}},
                  .available = kEverywhere});
  rows.push_back({.name = "unpack",
                  .semantic = kUnpack,
                  .text = "mov.$b {$r0, $r1}, $0;",
                  .types = pairs,
                  .signature = {{"half", "half"}, {"t"}},
                  .available = kEverywhere});
  rows.push_back({.name = "pack.u64",
                  .semantic = kPack,
                  .text = "mov.b64 $r0, {$0, $1};",
                  .signature = {{"u64"}, {"u32", "u32"}},
                  .available = kGpu});
  rows.push_back({.name = "unpack.u64",
                  .semantic = kUnpack,
                  .text = "mov.b64 {$r0, $r1}, $0;",
                  .signature = {{"u32", "u32"}, {"u64"}},
                  .available = kGpu});
  rows.push_back(
      {.name = "bitcast",
       .semantic = kBitcast,
       .text = "mov.$b $r0, $0;",
       .types = kInts + kFloats +
                std::vector<Type>{u8, e4m3.with_lanes(2), e4m3.with_lanes(4), e5m2.with_lanes(2),
                                  e5m2.with_lanes(4), u8.with_lanes(4), s8.with_lanes(4), f32.with_lanes(2)},
       .signature = {{"t"}, {"any"}},
       .available = kEverywhere});

  rows.push_back({.name = "special",
                  .semantic = kSpecial,
                  .text = "mov.u32 $r0, $S;",
                  .signature = {{"u32"}, {}, 1},
                  .available = kEverywhere});
  rows.push_back({.name = "special.clock",
                  .semantic = kSpecial,
                  .text = "mov.u64 $r0, $S;",
                  .signature = {{"u64"}, {}, 1},
                  .available = kGpu,
                  .effects = kSync});
  rows.push_back({.name = "parameter",
                  .semantic = kParameter,
                  .text = "",
                  .types = {u8, s8, u16, s16, u32, s32, u64, s64, f16, bf16, f32, f64},
                  .signature = {{"t"}, {}, 1},
                  .available = kEverywhere});
  rows.push_back({.name = "shared.base",
                  .semantic = kSharedBase,
                  .text = "",
                  .types = {u32, u64},
                  .signature = {{"t"}, {}, 0},
                  .available = kEverywhere});
  return rows;
}

}  // namespace rose::ir
