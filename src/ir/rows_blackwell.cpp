// Tensor memory of sm_100a and sm_103a: its allocation, its moves to and from registers and shared memory;
// and the hand-out of the next block by cluster launch control. Addresses of tensor memory are u32: lane <<
// 16 | column.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

constexpr Effects kTensorRead = synchronizing(access(true, false, Space::kTensor, Proxy::kAsync));
constexpr Effects kTensorWrite = synchronizing(access(false, true, Space::kTensor, Proxy::kAsync));

const std::vector<Type> kWords{u32, s32, f32, f16.with_lanes(2), bf16.with_lanes(2)};

// Row names say ".cta_group2" for the forms of a pair of blocks and nothing for those of one block.
std::string group_name(int group) { return group == 2 ? ".cta_group2" : ""; }
std::string group_text(int group) { return ".cta_group::" + std::to_string(group); }

void add_management(std::vector<Row>& rows) {
  const auto warp = Convergence::kWarp;
  const Effects signal = synchronizing(access(true, true, Space::kSharedCluster, Proxy::kAsync));
  for (const int g : {1, 2}) {
    const std::string name = group_name(g), group = group_text(g);
    // Columns: a power of two from 32 to 512. alloc writes the address to shared memory.
    rows.push_back(
        row("tcgen05.alloc" + name, "tcgen05.alloc" + group + ".sync.aligned.shared::cta.b32 [$0], $1", {},
            {"smem", "u32"}, kBlackwell, synchronizing(access(false, true, Space::kShared)), warp));
    rows.push_back(row("tcgen05.dealloc" + name, "tcgen05.dealloc" + group + ".sync.aligned.b32 $0, $1", {},
                       {"u32", "u32"}, kBlackwell, kTensorWrite, warp));
    rows.push_back(row("tcgen05.relinquish_alloc_permit" + name,
                       "tcgen05.relinquish_alloc_permit" + group + ".sync.aligned", {}, {}, kBlackwell, kSync,
                       warp));
    // One arrival on the barrier when all earlier asynchronous tcgen05 operations of this thread are
    // complete.
    const std::string commit = "tcgen05.commit" + group + ".mbarrier::arrive::one.shared::cluster";
    rows.push_back(row("tcgen05.commit" + name, commit + ".b64 [$0]", {}, {"smem"}, kBlackwell, signal));
    rows.push_back(row("tcgen05.commit.multicast" + name, commit + ".multicast::cluster.b64 [$0], $1", {},
                       {"smem", "u16"}, kBlackwell, signal));
    rows.push_back(row("tcgen05.shift.down" + name, "tcgen05.shift" + group + ".down [$0]", {}, {"u32"},
                       kBlackwell, kTensorWrite));
  }
  rows.push_back(row("tcgen05.fence.before", "tcgen05.fence::before_thread_sync", {}, {}, kBlackwell, kSync));
  rows.push_back(row("tcgen05.fence.after", "tcgen05.fence::after_thread_sync", {}, {}, kBlackwell, kSync));
  for (const std::string what : {"ld", "st"}) {
    rows.push_back(row("tcgen05.wait." + what, "tcgen05.wait::" + what + ".sync.aligned", {}, {}, kBlackwell,
                       kSync, warp));
  }
}

// Shared memory (by descriptor) to tensor memory; 4- and 6-bit elements may be widened to bytes on the way.
void add_copies(std::vector<Row>& rows) {
  const std::pair<const char*, const char*> shapes[] = {{"128x256b", "128x256b"},
                                                        {"4x256b", "4x256b"},
                                                        {"128x128b", "128x128b"},
                                                        {"64x128b.warpx2.02_13", "64x128b.warpx2::02_13"},
                                                        {"64x128b.warpx2.01_23", "64x128b.warpx2::01_23"},
                                                        {"32x128b.warpx4", "32x128b.warpx4"}};
  for (const int g : {1, 2}) {
    for (const auto& [name, text] : shapes) {
      for (const std::string packing : {"", ".b8x16.b4x16_p64", ".b8x16.b6x16_p32"}) {
        rows.push_back(row(std::string("tcgen05.cp.") + name + packing + group_name(g),
                           "tcgen05.cp" + group_text(g) + "." + text + packing + " [$0], $1", {},
                           {"u32", "u64"}, kBlackwell, kTensorWrite));
      }
    }
  }
}

// A warp reaches the 32 lanes of its number modulo 4. Registers per thread: the shape's number times the
// repeats.
struct Shape {
  const char* name;
  int registers, most;
  bool split;  // 16x32bx2 takes the column distance of its second half as attribute 0
};

void add_loads_and_stores(std::vector<Row>& rows) {
  const auto warp = Convergence::kWarp;
  const Shape shapes[] = {{"32x32b", 1, 128, false},
                          {"16x64b", 1, 128, false},
                          {"16x128b", 2, 64, false},
                          {"16x256b", 4, 32, false},
                          {"16x32bx2", 1, 128, true}};
  for (const auto& shape : shapes) {
    for (int repeat = 1; repeat <= shape.most; repeat *= 2) {
      const int n = shape.registers * repeat;
      const std::string form = std::string(shape.name) + ".x" + std::to_string(repeat);
      const std::string split = shape.split ? ", $a0" : "";
      for (const bool packed : {false, true}) {  // two 16-bit columns in one register
        rows.push_back(row("tcgen05.ld." + form + (packed ? ".pack16" : ""),
                           "tcgen05.ld.sync.aligned." + form + (packed ? ".pack::16b" : "") + ".b32 " +
                               braced(0, n, "$r") + ", [$0]" + split,
                           {times("t", n)}, {"u32"}, kBlackwell, kTensorRead, warp, shape.split ? 1 : 0,
                           kWords));
        rows.push_back(row("tcgen05.st." + form + (packed ? ".unpack16" : ""),
                           "tcgen05.st.sync.aligned." + form + (packed ? ".unpack::16b" : "") + ".b32 [$0]" +
                               split + ", " + braced(1, n),
                           {}, {"u32", times("t", n)}, kBlackwell, kTensorWrite, warp, shape.split ? 1 : 0,
                           kWords));
      }
    }
  }
  // Loads that also give the least or greatest of the thread's values.
  for (const bool split : {false, true}) {
    for (int n = 2; n <= 128; n *= 2) {
      const std::string form = std::string(split ? "16x32bx2" : "32x32b") + ".x" + std::to_string(n);
      for (const std::string op : {"min", "max", "min.abs", "max.abs", "min.NaN", "max.NaN"}) {
        rows.push_back(row("tcgen05.ld.red." + form + "." + op + ".f32",
                           "tcgen05.ld.red.sync.aligned." + form + "." + op + ".f32 " + braced(0, n, "$r") +
                               ", $r" + std::to_string(n) + ", [$0]" + (split ? ", $a0" : ""),
                           {times("f32", n + 1)}, {"u32"}, kBlackwellUltra, kTensorRead, warp,
                           split ? 1 : 0));
      }
      for (const std::string op : {"min", "max"}) {
        rows.push_back(row("tcgen05.ld.red." + form + "." + op,
                           "tcgen05.ld.red.sync.aligned." + form + "." + op + ".$t " + braced(0, n, "$r") +
                               ", $r" + std::to_string(n) + ", [$0]" + (split ? ", $a0" : ""),
                           {times("t", n + 1)}, {"u32"}, kBlackwellUltra, kTensorRead, warp, split ? 1 : 0,
                           {u32, s32}));
      }
    }
  }
}

// Asks the hardware for a block that has not started yet; its 16-byte answer lands in shared memory (two u64
// words).
void add_launch_control(std::vector<Row>& rows) {
  const Effects answer = synchronizing(access(false, true, Space::kShared, Proxy::kAsync));
  const std::string request =
      "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes";
  rows.push_back(
      row("clc.try_cancel", request + ".b128 [$0], [$1]", {}, {"smem", "smem"}, kBlackwell, answer));
  rows.push_back(row("clc.try_cancel.multicast", request + ".multicast::cluster::all.b128 [$0], [$1]", {},
                     {"smem", "smem"}, kBlackwell, answer));
  const std::string words =
      "{ .reg .b128 answer; mov.b128 answer, {$0, $1}; clusterlaunchcontrol.query_cancel.";
  rows.push_back(row("clc.is_canceled", words + "is_canceled.pred.b128 $r0, answer; }", {"pred"},
                     {"u64", "u64"}, kBlackwell, kPure));
  rows.push_back(row("clc.first_block", words + "get_first_ctaid.v4.b32.b128 {$r0, $r1, $r2, _}, answer; }",
                     {"u32*3"}, {"u64", "u64"}, kBlackwell, kPure));
  for (const std::string axis : {"x", "y", "z"}) {
    rows.push_back(row("clc.first_block." + axis,
                       words + "get_first_ctaid::" + axis + ".b32.b128 $r0, answer; }", {"u32"},
                       {"u64", "u64"}, kBlackwell, kPure));
  }
}

}  // namespace

std::vector<Row> rows::tensor_memory_rows() {
  std::vector<Row> rows;
  add_management(rows);
  add_copies(rows);
  add_loads_and_stores(rows);
  add_launch_control(rows);
  return rows;
}

std::vector<Row> blackwell_rows() {
  std::vector<Row> rows = rows::tensor_memory_rows();
  rows::append(rows, rows::tensor_core_rows());
  return rows;
}

}  // namespace rose::ir
