// Barriers of a block and of a cluster, fences, warp exchanges, cluster addresses, and launch dependencies.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

const std::vector<Type> kWords{u32, s32, f32, f16.with_lanes(2), bf16.with_lanes(2)};

// bar.* is the aligned form: all threads of a warp execute it. barrier.cta.* lets threads of one warp come
// apart. "bar.sync" waits for the whole block; with ".n" the barrier has its own number of threads (a
// multiple of 32).
void add_block_barriers(std::vector<Row>& rows) {
  const auto block = Convergence::kBlock;
  const auto warp = Convergence::kWarp;
  const auto thread = Convergence::kThread;
  rows.push_back(row("bar.sync", "bar.sync $0", {}, {"u32"}, kGpu, kSync, block));
  rows.push_back(row("bar.sync.n", "bar.sync $0, $1", {}, {"u32", "u32"}, kGpu, kSync, warp));
  rows.push_back(row("bar.arrive", "bar.arrive $0, $1", {}, {"u32", "u32"}, kGpu, kSync, warp));
  rows.push_back(row("barrier.sync", "barrier.cta.sync $0", {}, {"u32"}, kGpu, kSync, block));
  rows.push_back(row("barrier.sync.n", "barrier.cta.sync $0, $1", {}, {"u32", "u32"}, kGpu, kSync, thread));
  rows.push_back(row("barrier.arrive", "barrier.cta.arrive $0, $1", {}, {"u32", "u32"}, kGpu, kSync, thread));
  for (const std::string op : {"popc.u32", "and.pred", "or.pred"}) {
    const std::string result = op == "popc.u32" ? "u32" : "pred";
    const std::string name = "bar.red." + op.substr(0, op.find('.'));
    rows.push_back(
        row(name, "bar.red." + op + " $r0, $0, $1", {result}, {"u32", "pred"}, kGpu, kSync, block));
    rows.push_back(row(name + ".n", "bar.red." + op + " $r0, $0, $1, $2", {result}, {"u32", "u32", "pred"},
                       kGpu, kSync, warp));
  }
}

// The last operand is the mask of lanes that take part.
void add_warp_exchanges(std::vector<Row>& rows) {
  const auto warp = Convergence::kWarp;
  rows.push_back(row("bar.warp.sync", "bar.warp.sync $0", {}, {"u32"}, kGpu, kSync, warp));
  for (const std::string mode : {"idx", "up", "down", "bfly"}) {
    // value, lane or distance, clamp and segment mask, lanes; ".valid" also tells whether the source lane was
    // in range.
    rows.push_back(row("shfl." + mode, "shfl.sync." + mode + ".b32 $r0, $0, $1, $2, $3", {"t"},
                       {"t", "u32", "u32", "u32"}, kGpu, kSync, warp, 0, kWords));
    rows.push_back(row("shfl." + mode + ".valid", "shfl.sync." + mode + ".b32 $r0|$r1, $0, $1, $2, $3",
                       {"t", "pred"}, {"t", "u32", "u32", "u32"}, kGpu, kSync, warp, 0, kWords));
  }
  for (const std::string mode : {"all", "any", "uni"}) {
    rows.push_back(row("vote." + mode, "vote.sync." + mode + ".pred $r0, $0, $1", {"pred"}, {"pred", "u32"},
                       kGpu, kSync, warp));
  }
  rows.push_back(
      row("vote.ballot", "vote.sync.ballot.b32 $r0, $0, $1", {"u32"}, {"pred", "u32"}, kGpu, kSync, warp));
  rows.push_back(row("match.any", "match.any.sync.$b $r0, $0, $1", {"u32"}, {"t", "u32"}, kGpu, kSync, warp,
                     0, {u32, s32, f32, u64, s64}));
  rows.push_back(row("match.all", "match.all.sync.$b $r0|$r1, $0, $1", {"u32", "pred"}, {"t", "u32"}, kGpu,
                     kSync, warp, 0, {u32, s32, f32, u64, s64}));
  rows.push_back(row("activemask", "activemask.b32 $r0", {"u32"}, {}, kGpu, kSync));
  for (const std::string op : {"add", "min", "max"}) {
    rows.push_back(row("redux." + op, "redux.sync." + op + ".$t $r0, $0, $1", {"t"}, {"t", "u32"}, kGpu,
                       kSync, warp, 0, {u32, s32}));
  }
  for (const std::string op : {"and", "or", "xor"}) {
    rows.push_back(row("redux." + op, "redux.sync." + op + ".b32 $r0, $0, $1", {"t"}, {"t", "u32"}, kGpu,
                       kSync, warp, 0, {u32, s32}));
  }
  for (const std::string op : {"min", "max"}) {
    for (const std::string how : {"", ".abs", ".NaN", ".abs.NaN"}) {
      rows.push_back(row("redux." + op + how + ".f32", "redux.sync." + op + how + ".f32 $r0, $0, $1", {"f32"},
                         {"f32", "u32"}, kBlackwell, kSync, warp));
    }
  }
  // One lane of the mask gets true; ".lane" also tells every lane which one it was.
  rows.push_back(row("elect.sync", "elect.sync _|$r0, $0", {"pred"}, {"u32"}, kGpu, kSync, warp));
  rows.push_back(
      row("elect.sync.lane", "elect.sync $r0|$r1, $0", {"u32", "pred"}, {"u32"}, kGpu, kSync, warp));
}

void add_fences(std::vector<Row>& rows) {
  for (const std::string scope : {"cta", "cluster", "gpu", "sys"}) {
    for (const std::string order : {"acq_rel", "sc"}) {
      rows.push_back(
          row("fence." + order + "." + scope, "fence." + order + "." + scope, {}, {}, kGpu, kSync));
    }
    for (const std::string order : {"acquire", "release"}) {
      rows.push_back(
          row("fence." + order + "." + scope, "fence." + order + "." + scope, {}, {}, gpu_since(86), kSync));
    }
  }
  for (const std::string level : {"cta", "gl", "sys"}) {
    rows.push_back(row("membar." + level, "membar." + level, {}, {}, kGpu, kSync));
  }
  // Orders this thread's generic accesses before later accesses of the async proxy (TMA, wgmma, tcgen05).
  const auto proxy = [](Space space) {
    return Effects{.sync = true, .space = space, .proxy = Proxy::kAsync};
  };
  rows.push_back(row("fence.proxy.async", "fence.proxy.async", {}, {}, kGpu, proxy(Space::kGeneric)));
  rows.push_back(
      row("fence.proxy.async.global", "fence.proxy.async.global", {}, {}, kGpu, proxy(Space::kGlobal)));
  rows.push_back(
      row("fence.proxy.async.shared", "fence.proxy.async.shared::cta", {}, {}, kGpu, proxy(Space::kShared)));
  rows.push_back(row("fence.proxy.async.cluster", "fence.proxy.async.shared::cluster", {}, {}, kGpu,
                     proxy(Space::kSharedCluster)));
  rows.push_back(row("fence.proxy.alias", "fence.proxy.alias", {}, {}, kGpu, kSync));
  rows.push_back(
      row("fence.mbarrier_init.cluster", "fence.mbarrier_init.release.cluster", {}, {}, kGpu, kSync));
  // Restricted fences order shared memory of the cluster alone, and cost less than a full fence.
  const auto restricted = gpu_since(86);
  rows.push_back(row("fence.acquire.restrict.cluster", "fence.acquire.sync_restrict::shared::cluster.cluster",
                     {}, {}, restricted, kSync));
  rows.push_back(row("fence.release.restrict.cluster", "fence.release.sync_restrict::shared::cta.cluster", {},
                     {}, restricted, kSync));
  rows.push_back(row("fence.proxy.async.acquire.restrict.cluster",
                     "fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster", {}, {},
                     restricted, proxy(Space::kSharedCluster)));
  rows.push_back(row("fence.proxy.async.release.restrict.cluster",
                     "fence.proxy.async::generic.release.sync_restrict::shared::cta.cluster", {}, {},
                     restricted, proxy(Space::kShared)));
}

// Every thread of every block of the cluster arrives and waits. The plain forms may be reached by the threads
// of a warp one by one; ".aligned" ones may not.
void add_cluster(std::vector<Row>& rows) {
  const auto cluster = Convergence::kCluster;
  for (const std::string aligned : {"", ".aligned"}) {
    rows.push_back(row("cluster.arrive" + aligned, "barrier.cluster.arrive.release" + aligned, {}, {}, kGpu,
                       kSync, cluster));
    rows.push_back(row("cluster.arrive.relaxed" + aligned, "barrier.cluster.arrive.relaxed" + aligned, {}, {},
                       kGpu, kSync, cluster));
    rows.push_back(row("cluster.wait" + aligned, "barrier.cluster.wait.acquire" + aligned, {}, {}, kGpu,
                       kSync, cluster));
  }
  // The address of the same shared-memory variable in another block of the cluster, and the way back.
  rows.push_back(row("mapa", "mapa.shared::cluster.u32 $r0, $0, $1", {"u32"}, {"smem", "u32"}, kGpu, kPure));
  rows.push_back(row("mapa.generic", "mapa.u64 $r0, $0, $1", {"u64"}, {"ptr", "u32"}, kGpu, kPure));
  rows.push_back(row("getctarank", "getctarank.shared::cluster.u32 $r0, $0", {"u32"}, {"smem"}, kGpu, kPure));
  rows.push_back(row("getctarank.generic", "getctarank.u64 $r0, $0", {"u32"}, {"ptr"}, kGpu, kPure));
  const std::pair<const char*, const char*> spaces[] = {
      {"global", "global"}, {"shared", "shared::cta"}, {"cluster", "shared::cluster"}, {"local", "local"}};
  for (const auto& [name, space] : spaces) {
    rows.push_back(row(std::string("isspacep.") + name, std::string("isspacep.") + space + " $r0, $0",
                       {"pred"}, {"ptr"}, kGpu, kPure));
  }
}

void add_control(std::vector<Row>& rows) {
  // Programmatic dependent launch: wait for the kernel before this one; let the next kernel start early.
  rows.push_back(row("grid.dependency.wait", "griddepcontrol.wait", {}, {}, kGpu, kSync));
  rows.push_back(row("grid.dependency.launch", "griddepcontrol.launch_dependents", {}, {}, kGpu, kSync));
  for (const std::string direction : {"inc", "dec"}) {
    rows.push_back(row("setmaxnreg." + direction, "setmaxnreg." + direction + ".sync.aligned.u32 $a0", {}, {},
                       kGpu, kSync, Convergence::kWarpgroup, 1));
  }
  rows.push_back(row("nanosleep", "nanosleep.u32 $0", {}, {"u32"}, kGpu, kSync));
  auto trap = row("trap", "trap", {}, {}, {80, 86, 88, true}, kSync);
  trap.semantic = Semantic::kTrap;
  rows.push_back(std::move(trap));
  rows.push_back(row("brkpt", "brkpt", {}, {}, kGpu, kSync));
  rows.push_back(row("pmevent", "pmevent $a0", {}, {}, kGpu, kSync, Convergence::kThread, 1));
}

}  // namespace

std::vector<Row> synchronization_rows() {
  std::vector<Row> rows;
  add_block_barriers(rows);
  add_warp_exchanges(rows);
  add_fences(rows);
  add_cluster(rows);
  add_control(rows);
  return rows;
}

std::string rows::braced(int first, int count, const std::string& prefix) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + prefix + std::to_string(first + i);
  return text + "}";
}

}  // namespace rose::ir
