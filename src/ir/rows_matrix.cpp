// Matrix instructions of one warp: 8x8 tiles between shared memory and registers, and mma.sync.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

// Every kind of value of which a 32-bit register holds a row's piece.
const std::vector<Type> kTileWords{u32,
                                   f16.with_lanes(2),
                                   bf16.with_lanes(2),
                                   e4m3.with_lanes(4),
                                   e5m2.with_lanes(4),
                                   s8.with_lanes(4),
                                   u8.with_lanes(4)};

void add_tiles(std::vector<Row>& rows) {
  const auto warp = Convergence::kWarp;
  const Effects load = access(true, false, Space::kShared);
  const Effects store = access(false, true, Space::kShared);
  for (const int n : {1, 2, 4}) {
    const std::string count = "x" + std::to_string(n);
    const std::string results = braced(0, n, "$r");
    const std::string stored = braced(1, n);
    for (const std::string trans : {"", ".trans"}) {
      rows.push_back(row("ldmatrix." + count + trans,
                         "ldmatrix.sync.aligned.m8n8." + count + trans + ".shared.b16 " + results + ", [$0]",
                         {times("t", n)}, {"smem"}, kGpu, load, warp, 0, kTileWords));
      rows.push_back(row("stmatrix." + count + trans,
                         "stmatrix.sync.aligned.m8n8." + count + trans + ".shared.b16 [$0], " + stored, {},
                         {"smem", times("t", n)}, kGpu, store, warp, 0, kTileWords));
    }
    rows.push_back(row("stmatrix.m16n8." + count + ".trans.b8",
                       "stmatrix.sync.aligned.m16n8." + count + ".trans.shared.b8 [$0], " + stored, {},
                       {"smem", times("t", n)}, kBlackwell, store, warp, 0, kTileWords));
    // 4- and 6-bit elements in shared memory, one per byte in the registers.
    for (const std::string packing : {"b8x16.b4x16_p64", "b8x16.b6x16_p32"}) {
      rows.push_back(
          row("ldmatrix.m8n16." + count + "." + packing,
              "ldmatrix.sync.aligned.m8n16." + count + ".shared." + packing + " " + results + ", [$0]",
              {times("t", n)}, {"smem"}, kBlackwell, load, warp, 0, kTileWords));
    }
  }
  for (const int n : {1, 2}) {
    const std::string count = "x" + std::to_string(n);
    for (const std::string packing : {"b8", "b8x16.b4x16_p64", "b8x16.b6x16_p32"}) {
      rows.push_back(row("ldmatrix.m16n16." + count + ".trans." + packing,
                         "ldmatrix.sync.aligned.m16n16." + count + ".trans.shared." + packing + " " +
                             braced(0, 2 * n, "$r") + ", [$0]",
                         {times("t", 2 * n)}, {"smem"}, kBlackwell, load, warp, 0, kTileWords));
    }
  }
  rows.push_back(row("movmatrix.trans", "movmatrix.sync.aligned.m8n8.trans.b16 $r0, $0", {"t"}, {"t"}, kGpu,
                     kSync, warp, 0, kTileWords));
}

// D[16,8] = A[16,k] * B[k,8] + C[16,8]; operands A, B, C. Fragments as in the PTX manual: A has 2*k*bits/32/8
// … the counts below are registers per thread. A "packed" operand is one 32-bit register of elements.
struct WarpMma {
  std::string shape, accumulator, a, b;
  int registers_a, registers_b;
  std::string packed_a, packed_b;
  std::string result;
  int results;
  Availability available = kGpu;
  std::string suffix = "";
};

// Younger than the PTX version that is emitted for sm_90a.
constexpr Availability kYoung{0, 87, 88};

void add_mma(std::vector<Row>& rows) {
  std::vector<WarpMma> forms;
  for (const std::string type : {"f16", "bf16"}) {
    const std::string packed = type + "x2";
    forms.push_back({"m16n8k16", "f32", type, type, 4, 2, packed, packed, "f32", 4});
    forms.push_back({"m16n8k8", "f32", type, type, 2, 1, packed, packed, "f32", 4});
  }
  forms.push_back({"m16n8k16", "f16", "f16", "f16", 4, 2, "f16x2", "f16x2", "f16x2", 2});
  forms.push_back({"m16n8k8", "f16", "f16", "f16", 2, 1, "f16x2", "f16x2", "f16x2", 2});
  forms.push_back({"m16n8k8", "f32", "tf32", "tf32", 4, 2, "u32", "u32", "f32", 4});
  forms.push_back({"m16n8k4", "f32", "tf32", "tf32", 2, 1, "u32", "u32", "f32", 4});
  for (const std::string a : {"s8", "u8"}) {
    for (const std::string b : {"s8", "u8"}) {
      forms.push_back({"m16n8k32", "s32", a, b, 4, 2, "b32", "b32", "s32", 4});
      forms.push_back({"m16n8k16", "s32", a, b, 2, 1, "b32", "b32", "s32", 4});
      forms.push_back({"m16n8k32", "s32", a, b, 4, 2, "b32", "b32", "s32", 4, kGpu, ".satfinite"});
    }
  }
  for (const std::string a : {"e4m3", "e5m2"}) {
    for (const std::string b : {"e4m3", "e5m2"}) {
      forms.push_back({"m16n8k32", "f32", a, b, 4, 2, "b32", "b32", "f32", 4, gpu_since(84)});
      forms.push_back({"m16n8k16", "f32", a, b, 2, 1, "b32", "b32", "f32", 4, kYoung});
      forms.push_back({"m16n8k32", "f16", a, b, 4, 2, "b32", "b32", "f16x2", 2, kYoung});
    }
  }
  for (const auto& form : forms) {
    std::string name = "mma." + form.shape + "." + form.accumulator + "." + form.a;
    if (form.a != form.b) name += "." + form.b;
    const int c = form.registers_a + form.registers_b;
    Row made = row(name + form.suffix,
                   "mma.sync.aligned." + form.shape + ".row.col" + form.suffix + "." + form.accumulator +
                       "." + form.a + "." + form.b + "." + form.accumulator + " " +
                       braced(0, form.results, "$r") + ", " + braced(0, form.registers_a) + ", " +
                       braced(form.registers_a, form.registers_b) + ", " + braced(c, form.results),
                   {times(form.result, form.results)},
                   {times(form.packed_a, form.registers_a), times(form.packed_b, form.registers_b),
                    times(form.result, form.results)},
                   form.available, kPure, Convergence::kWarp);
    rows.push_back(std::move(made));
  }
}

}  // namespace

std::vector<Row> rows::warp_matrix_rows() {
  std::vector<Row> rows;
  add_tiles(rows);
  add_mma(rows);
  return rows;
}

std::vector<Row> matrix_rows() {
  std::vector<Row> rows = rows::warp_matrix_rows();
  rows::append(rows, rows::warpgroup_matrix_rows());
  return rows;
}

}  // namespace rose::ir
