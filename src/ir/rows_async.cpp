// Asynchronous copies by threads: cp.async, and stores and reductions into another block's shared memory.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

// 4, 8 or 16 bytes from global to shared memory. ".zfill": operand 2 says how many bytes are read, the rest
// is zero.
// ".cg" skips the level-1 cache. The copy ends in its commit group or, with cp.async.mbarrier.arrive, on a
// barrier.
void add_copies(std::vector<Row>& rows) {
  const Effects copy = synchronizing(access(true, true, Space::kShared));
  const std::pair<const char*, int> kinds[] = {{"ca", 4}, {"ca", 8}, {"ca", 16}, {"cg", 16}};
  for (const auto& [cache, bytes] : kinds) {
    const std::string size = std::to_string(bytes);
    for (const std::string prefetch : {"", "64", "128", "256"}) {
      for (const bool hint : {false, true}) {
        for (const bool zfill : {false, true}) {
          std::string name = std::string("cp.async.") + cache + "." + size;
          std::string text = std::string("cp.async.") + cache + ".shared.global";
          std::string list = " [$0], [$1], " + size;
          std::vector<std::string> operands{"smem", "ptr"};
          if (hint) text += ".L2::cache_hint";
          if (!prefetch.empty()) text += ".L2::" + prefetch + "B", name += ".prefetch" + prefetch;
          if (zfill) name += ".zfill", list += ", $2", operands.push_back("u32");
          if (hint)
            name += ".hint", list += ", $" + std::to_string(operands.size()), operands.push_back("u64");
          rows.push_back(row(name, text + list, {}, operands, kGpu, copy));
        }
      }
    }
  }
  rows.push_back(row("cp.async.commit_group", "cp.async.commit_group", {}, {}, kGpu, kSync));
  rows.push_back(
      row("cp.async.wait_group", "cp.async.wait_group $a0", {}, {}, kGpu, kSync, Convergence::kThread, 1));
  rows.push_back(row("cp.async.wait_all", "cp.async.wait_all", {}, {}, kGpu, kSync));
  const Effects barrier = synchronizing(access(true, true, Space::kShared));
  rows.push_back(row("cp.async.mbarrier.arrive", "cp.async.mbarrier.arrive.shared::cta.b64 [$0]", {},
                     {"smem"}, kGpu, barrier));
  rows.push_back(row("cp.async.mbarrier.arrive.noinc", "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0]",
                     {}, {"smem"}, kGpu, barrier));
}

// Destination and barrier lie in the same block of the cluster; the barrier counts the bytes.
void add_remote_stores(std::vector<Row>& rows) {
  const Effects store = synchronizing(access(false, true, Space::kSharedCluster, Proxy::kAsync));
  const Effects update = synchronizing(access(true, true, Space::kSharedCluster, Proxy::kAsync));
  const std::string space = ".shared::cluster.mbarrier::complete_tx::bytes";
  const auto since = gpu_since(81);
  const std::vector<Type> words{u32, s32, u64, s64, f32, f64, f16.with_lanes(2), bf16.with_lanes(2)};
  rows.push_back(row("st.async", "st.async.weak" + space + ".$b [$0], $1, [$2]", {}, {"smem", "t", "smem"},
                     since, store, Convergence::kThread, 0, words));
  rows.push_back(row("st.async.v2", "st.async.weak" + space + ".v2.$b [$0], $[1:3], [$3]", {},
                     {"smem", "t*2", "smem"}, since, store, Convergence::kThread, 0, words));
  rows.push_back(row("st.async.v4", "st.async.weak" + space + ".v4.$b [$0], $[1:5], [$5]", {},
                     {"smem", "t*4", "smem"}, since, store, Convergence::kThread, 0,
                     {u32, s32, f32, f16.with_lanes(2), bf16.with_lanes(2)}));
  struct Reduction {
    const char* op;
    const char* type;
    std::vector<Type> types;
  };
  const Reduction reductions[] = {{"inc", "u32", {u32}},          {"dec", "u32", {u32}},
                                  {"min", "$t", {u32, s32}},      {"max", "$t", {u32, s32}},
                                  {"add", "$t", {u32, s32, u64}}, {"and", "b32", {u32, s32}},
                                  {"or", "b32", {u32, s32}},      {"xor", "b32", {u32, s32}}};
  for (const auto& reduction : reductions) {
    const std::string op = reduction.op;
    rows.push_back(
        row("red.async." + op,
            "red.async.relaxed.cluster" + space + "." + op + "." + reduction.type + " [$0], $1, [$2]", {},
            {"smem", "t", "smem"}, since, update, Convergence::kThread, 0, reduction.types));
  }
}

}  // namespace

std::vector<Row> rows::async_copy_rows() {
  std::vector<Row> rows;
  add_copies(rows);
  add_remote_stores(rows);
  return rows;
}

std::vector<Row> async_rows() {
  std::vector<Row> rows = rows::mbarrier_rows();
  rows::append(rows, rows::async_copy_rows());
  rows::append(rows, rows::bulk_rows());
  rows::append(rows, rows::tma_rows());
  return rows;
}

}  // namespace rose::ir
