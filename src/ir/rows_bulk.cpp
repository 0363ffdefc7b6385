// Bulk copies of contiguous bytes by the copy engine: global, shared, and another block's shared memory.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

constexpr Effects kIntoShared = synchronizing(access(true, true, Space::kShared, Proxy::kAsync));
constexpr Effects kIntoCluster = synchronizing(access(true, true, Space::kSharedCluster, Proxy::kAsync));
constexpr Effects kIntoGlobal = synchronizing(access(true, true, Space::kGlobal, Proxy::kAsync));
constexpr Effects kPrefetch = synchronizing(access(true, false, Space::kGlobal, Proxy::kAsync));

const std::string kCounted = ".mbarrier::complete_tx::bytes";

// Appends the optional last operands of a copy: the mask of destination blocks, then the cache policy.
struct Options {
  std::string name, text, list;
  std::vector<std::string> operands;

  void add(const std::string& suffix, const std::string& modifier, const std::string& kind) {
    name += suffix, text += modifier, list += ", $" + std::to_string(operands.size());
    operands.push_back(kind);
  }
};

// Loads: destination, source, bytes, barrier [, mask] [, policy].
void add_loads(std::vector<Row>& rows) {
  for (const bool multicast : {false, true}) {
    for (const bool hint : {false, true}) {
      Options form{"bulk.load",
                   "cp.async.bulk.shared::cluster.global" + kCounted,
                   " [$0], [$1], $2, [$3]",
                   {"smem", "ptr", "u32", "smem"}};
      if (multicast) form.add(".multicast", ".multicast::cluster", "u16");
      if (hint) form.add(".hint", ".L2::cache_hint", "u64");
      rows.push_back(row(form.name, form.text + form.list, {}, form.operands, kGpu,
                         multicast ? kIntoCluster : kIntoShared));
    }
  }
  // The destination is named as the block's own memory, so it need not be a cluster address.
  for (const bool hint : {false, true}) {
    Options form{"bulk.load.cta",
                 "cp.async.bulk.shared::cta.global" + kCounted,
                 " [$0], [$1], $2, [$3]",
                 {"smem", "ptr", "u32", "smem"}};
    if (hint) form.add(".hint", ".L2::cache_hint", "u64");
    rows.push_back(row(form.name, form.text + form.list, {}, form.operands, gpu_since(86), kIntoShared));
  }
  rows.push_back(row("bulk.copy.cluster",
                     "cp.async.bulk.shared::cluster.shared::cta" + kCounted + " [$0], [$1], $2, [$3]", {},
                     {"smem", "smem", "u32", "smem"}, kGpu, kIntoCluster));
}

// Stores end in a bulk group of the issuing thread.
void add_stores(std::vector<Row>& rows) {
  for (const bool hint : {false, true}) {
    for (const bool mask : {false, true}) {
      Options form{"bulk.store",
                   "cp.async.bulk.global.shared::cta.bulk_group",
                   " [$0], [$1], $2",
                   {"ptr", "smem", "u32"}};
      if (hint) form.add(".hint", ".L2::cache_hint", "u64");
      if (mask) form.add(".mask", ".cp_mask", "u16");  // bit i of the mask: byte i of every 16 is written
      rows.push_back(
          row(form.name, form.text + form.list, {}, form.operands, mask ? kBlackwell : kGpu, kIntoGlobal));
    }
  }
  for (const bool hint : {false, true}) {
    Options form{"bulk.prefetch", "cp.async.bulk.prefetch.L2.global", " [$0], $1", {"ptr", "u32"}};
    if (hint) form.add(".hint", ".L2::cache_hint", "u64");
    rows.push_back(row(form.name, form.text + form.list, {}, form.operands, kGpu, kPrefetch));
  }
  rows.push_back(row("bulk.commit_group", "cp.async.bulk.commit_group", {}, {}, kGpu, kSync));
  rows.push_back(
      row("bulk.wait_group", "cp.async.bulk.wait_group $a0", {}, {}, kGpu, kSync, Convergence::kThread, 1));
  rows.push_back(row("bulk.wait_group.read", "cp.async.bulk.wait_group.read $a0", {}, {}, kGpu, kSync,
                     Convergence::kThread, 1));
  // Fills shared memory with zeros; the size is a multiple of 8.
  rows.push_back(row("st.bulk", "st.bulk.weak.shared::cta [$0], $1, 0", {}, {"smem", "u64"}, kBlackwell,
                     synchronizing(access(false, true, Space::kShared))));
}

// memory[i] = memory[i] op source[i] for all elements. The row's type is the element's type.
void add_reductions(std::vector<Row>& rows) {
  struct Reduction {
    const char* op;
    const char* text;
    std::vector<Type> types;
  };
  const Reduction global[] = {{"add", "add.$t", {u32, s32, u64, f32, f64}},
                              {"add.noftz", "add.noftz.$t", {f16, bf16}},
                              {"min", "min.$t", {u32, s32, u64, s64, f16, bf16}},
                              {"max", "max.$t", {u32, s32, u64, s64, f16, bf16}},
                              {"inc", "inc.$t", {u32}},
                              {"dec", "dec.$t", {u32}},
                              {"and", "and.$b", {u32, u64}},
                              {"or", "or.$b", {u32, u64}},
                              {"xor", "xor.$b", {u32, u64}}};
  for (const auto& reduction : global) {
    for (const bool hint : {false, true}) {
      Options form{std::string("bulk.reduce.") + reduction.op,
                   "cp.reduce.async.bulk.global.shared::cta.bulk_group",
                   std::string(".") + reduction.text + " [$0], [$1], $2",
                   {"ptr", "smem", "u32"}};
      if (hint) form.add(".hint", ".L2::cache_hint", "u64");
      rows.push_back(row(form.name, form.text + form.list, {}, form.operands, kGpu, kIntoGlobal,
                         Convergence::kThread, 0, reduction.types));
    }
  }
  const Reduction cluster[] = {{"add", "add.$t", {u32, s32, u64}},
                               {"min", "min.$t", {u32, s32}},
                               {"max", "max.$t", {u32, s32}},
                               {"inc", "inc.$t", {u32}},
                               {"dec", "dec.$t", {u32}},
                               {"and", "and.$b", {u32}},
                               {"or", "or.$b", {u32}},
                               {"xor", "xor.$b", {u32}}};
  for (const auto& reduction : cluster) {
    rows.push_back(row(std::string("bulk.reduce.cluster.") + reduction.op,
                       "cp.reduce.async.bulk.shared::cluster.shared::cta" + kCounted + "." + reduction.text +
                           " [$0], [$1], $2, [$3]",
                       {}, {"smem", "smem", "u32", "smem"}, kGpu, kIntoCluster, Convergence::kThread, 0,
                       reduction.types));
  }
}

}  // namespace

std::vector<Row> rows::bulk_rows() {
  std::vector<Row> rows;
  add_loads(rows);
  add_stores(rows);
  add_reductions(rows);
  return rows;
}

}  // namespace rose::ir
