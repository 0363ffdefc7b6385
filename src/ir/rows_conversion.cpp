// Numeric conversions. Each pair of types is a row named "cvt.TO.FROM"; lanes follow the operand on x86.
#include "ir/rows.h"

namespace rose::ir {
namespace {

Row convert(Type to, Type from, const std::string& mode, Availability available = kEverywhere) {
  return {.name = "cvt." + to_string(to) + "." + to_string(from),
          .semantic = Semantic::kConvert,
          .text = "cvt" + mode + "." + to_string(to) + "." + to_string(from) + " $r0, $0;",
          .signature = {{to_string(to)}, {to_string(from)}},
          .available = available};
}

}  // namespace

std::vector<Row> conversion_rows() {
  std::vector<Row> rows;
  const Type ints[] = {u8, s8, u16, s16, u32, s32, u64, s64};
  const Type floats[] = {f16, bf16, f32, f64};

  for (Type to : ints)
    for (Type from : ints)
      if (to != from) rows.push_back(convert(to, from, ""));
  for (Type real : floats)
    for (Type integer : ints) {
      bool small = real == bf16 && integer.bits() == 8;
      rows.push_back(convert(real, integer, ".rn", small ? kX86Only : kEverywhere));
      rows.push_back(convert(integer, real, ".rzi", small ? kX86Only : kEverywhere));
      Row nearest = convert(integer, real, ".rni", small ? kX86Only : kEverywhere);
      nearest.name += ".nearest";
      nearest.semantic = Semantic::kConvertNearest;
      rows.push_back(nearest);
    }

  rows.push_back(convert(f32, f16, ""));
  rows.push_back(convert(f32, bf16, ""));
  rows.push_back(convert(f16, f32, ".rn"));
  rows.push_back(convert(bf16, f32, ".rn"));
  rows.push_back(convert(f64, f32, ""));
  rows.push_back(convert(f32, f64, ".rn"));
  rows.push_back(convert(f16, bf16, ".rn"));
  rows.push_back(convert(bf16, f16, ".rn"));
  for (Type small : {e4m3, e5m2, e2m1}) {  // one lane or many: x86 alone; PTX converts pairs, below
    rows.push_back(convert(f32, small, "", kX86Only));
    rows.push_back(convert(small, f32, "", kX86Only));
  }

  // Two f32 values to one packed register; operand 0 goes to lane 0. PTX names the high half first.
  auto pair = [&](Type to, const std::string& mode, Availability available) {
    rows.push_back({.name = "cvt." + to_string(to) + ".f32",
                    .text = "cvt" + mode + "." + to_string(to) + ".f32 $r0, $1, $0;",
                    .signature = {{to_string(to)}, {"f32", "f32"}},
                    .available = available});
  };
  pair(f16.with_lanes(2), ".rn", kGpu);
  pair(bf16.with_lanes(2), ".rn", kGpu);
  pair(e4m3.with_lanes(2), ".rn.satfinite", kGpu);
  pair(e5m2.with_lanes(2), ".rn.satfinite", kGpu);
  for (const char* small : {"e4m3x2", "e5m2x2"}) {
    std::string name(small);
    rows.push_back({.name = "cvt.f16x2." + name,
                    .text = "cvt.rn.f16x2." + name + " $r0, $0;",
                    .signature = {{"f16x2"}, {name}},
                    .available = kGpu});
    rows.push_back({.name = "cvt." + name + ".f16x2",
                    .text = "cvt.rn.satfinite." + name + ".f16x2 $r0, $0;",
                    .signature = {{name}, {"f16x2"}},
                    .available = kGpu});
  }
  rows.push_back({.name = "cvt.rna.tf32.f32",
                  .text = "cvt.rna.tf32.f32 $r0, $0;",
                  .signature = {{"u32"}, {"f32"}},
                  .available = kGpu});

  // Blackwell's 4- and 6-bit kinds travel in the low byte of a 16-bit register.
  auto narrow = [&](const std::string& kind) {
    rows.push_back(
        {.name = "cvt." + kind + ".f32",
         .text = "{ .reg .b8 byte; cvt.rn.satfinite." + kind + ".f32 byte, $1, $0; mov.b16 $r0, {byte, 0}; }",
         .signature = {{"u16"}, {"f32", "f32"}},
         .available = kBlackwell});
    rows.push_back(
        {.name = "cvt.f16x2." + kind,
         .text = "{ .reg .b8 low, high; mov.b16 {low, high}, $0; cvt.rn.f16x2." + kind + " $r0, low; }",
         .signature = {{"f16x2"}, {"u16"}},
         .available = kBlackwell});
  };
  narrow("e2m1x2");
  auto wide = [&](const std::string& kind) {  // 6-bit pairs fill a 16-bit register
    rows.push_back({.name = "cvt." + kind + ".f32",
                    .text = "cvt.rn.satfinite." + kind + ".f32 $r0, $1, $0;",
                    .signature = {{"u16"}, {"f32", "f32"}},
                    .available = kBlackwell});
    rows.push_back({.name = "cvt.f16x2." + kind,
                    .text = "cvt.rn.f16x2." + kind + " $r0, $0;",
                    .signature = {{"f16x2"}, {"u16"}},
                    .available = kBlackwell});
  };
  wide("e2m3x2"), wide("e3m2x2");
  rows.push_back({.name = "cvt.ue8m0x2.f32",
                  .text = "cvt.rp.satfinite.ue8m0x2.f32 $r0, $1, $0;",
                  .signature = {{"u16"}, {"f32", "f32"}},
                  .available = kBlackwell});
  rows.push_back({.name = "cvt.bf16x2.ue8m0x2",
                  .text = "cvt.rn.bf16x2.ue8m0x2 $r0, $0;",
                  .signature = {{"bf16x2"}, {"u16"}},
                  .available = kBlackwell});
  return rows;
}

}  // namespace rose::ir
