// wgmma: matrix products of four warps on sm_90a, with B (and A, in the ".ss" forms) read from shared memory.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

// D[64, n] (+)= A[64, k] * B[k, n]; asynchronous until wgmma.wait_group. Results: D. Operands: A (a
// shared-memory descriptor, or 4 registers in ".rs"), the descriptor of B, and a predicate: true adds to D,
// false overwrites it.
struct Kind {
  std::string accumulator, a, b;
  int k;
  std::string fragment;     // one register of A in ".rs"
  bool scales, transposes;  // which constants follow: signs (1 or -1), transposed operands (0 or 1)
};

std::vector<Kind> kinds() {
  std::vector<Kind> all{{"f32", "bf16", "bf16", 16, "bf16x2", true, true},
                        {"f32", "f16", "f16", 16, "f16x2", true, true},
                        {"f16", "f16", "f16", 16, "f16x2", true, true},
                        {"f32", "tf32", "tf32", 8, "u32", true, false}};
  for (const std::string accumulator : {"f32", "f16"})
    for (const std::string a : {"e4m3", "e5m2"})
      for (const std::string b : {"e4m3", "e5m2"}) all.push_back({accumulator, a, b, 32, "b32", true, false});
  for (const std::string a : {"s8", "u8"})
    for (const std::string b : {"s8", "u8"}) all.push_back({"s32", a, b, 32, "b32", false, false});
  return all;
}

// Integer products exist for fewer widths.
bool has_width(const Kind& kind, int n) { return kind.accumulator != "s32" || n <= 24 || n % 16 == 0; }

Row product(const Kind& kind, int n, bool from_registers) {
  const std::string shape = "m64n" + std::to_string(n) + "k" + std::to_string(kind.k);
  std::string name = "wgmma." + shape + "." + kind.accumulator + "." + kind.a;
  if (kind.a != kind.b) name += "." + kind.b;
  name += from_registers ? ".rs" : ".ss";

  const int results = kind.accumulator == "f16" ? n / 4 : n / 2;
  const std::string result = kind.accumulator == "f16" ? "f16x2" : kind.accumulator;
  std::vector<std::string> operands;
  if (from_registers)
    operands.push_back(times(kind.fragment, 4));
  else
    operands.push_back("u64");
  operands.push_back("u64");
  operands.push_back("pred");

  std::string list = " $R, " + (from_registers ? braced(0, 4) + ", $4, $5" : std::string("$0, $1, $2"));
  int attributes = 0;
  if (kind.scales) list += ", $a0, $a1", attributes = 2;
  if (kind.transposes) {
    if (!from_registers)
      list += ", $a" + std::to_string(attributes++);  // A in registers has no transposed form
    list += ", $a" + std::to_string(attributes++);
  }
  Effects effects = synchronizing(access(true, false, Space::kShared, Proxy::kAsync));
  effects.inout = true;
  return row(
      name,
      "wgmma.mma_async.sync.aligned." + shape + "." + kind.accumulator + "." + kind.a + "." + kind.b + list,
      {times(result, results)}, operands, kHopper, effects, Convergence::kWarpgroup, attributes);
}

}  // namespace

std::vector<Row> rows::warpgroup_matrix_rows() {
  std::vector<Row> rows;
  const auto group = Convergence::kWarpgroup;
  rows.push_back(row("wgmma.fence", "wgmma.fence.sync.aligned", {}, {}, kHopper, kSync, group));
  rows.push_back(row("wgmma.commit_group", "wgmma.commit_group.sync.aligned", {}, {}, kHopper, kSync, group));
  rows.push_back(
      row("wgmma.wait_group", "wgmma.wait_group.sync.aligned $a0", {}, {}, kHopper, kSync, group, 1));
  for (const auto& kind : kinds())
    for (int n = 8; n <= 256; n += 8)
      for (const bool from_registers : {false, true})
        if (has_width(kind, n)) rows.push_back(product(kind, n, from_registers));
  return rows;
}

}  // namespace rose::ir
