// Memory barriers in shared memory (mbarrier): phases that end when all arrivals and all announced bytes are
// in.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

constexpr Effects kOnBarrier = synchronizing(access(true, true, Space::kShared));
constexpr Effects kOnRemoteBarrier = synchronizing(access(true, true, Space::kSharedCluster));

// "mbarrier.arrive…" drops the phase token; ".state" returns it for a later test_wait. ".cluster" arrives at
// a barrier of any block of the cluster (address from mapa) and returns nothing.
void add_arrivals(std::vector<Row>& rows) {
  const std::string smem = "smem", count = "u32";
  for (const std::string verb : {"arrive", "arrive_drop"}) {
    const std::string name = "mbarrier." + verb;
    const std::string local = ".release.cta.shared::cta.b64 ";
    const std::string remote = ".release.cluster.shared::cluster.b64 _, ";
    rows.push_back(row(name, name + local + "_, [$0]", {}, {smem}, kGpu, kOnBarrier));
    rows.push_back(row(name + ".state", name + local + "$r0, [$0]", {"u64"}, {smem}, kGpu, kOnBarrier));
    rows.push_back(row(name + ".count", name + local + "_, [$0], $1", {}, {smem, count}, kGpu, kOnBarrier));
    rows.push_back(
        row(name + ".count.state", name + local + "$r0, [$0], $1", {"u64"}, {smem, count}, kGpu, kOnBarrier));
    rows.push_back(row(name + ".expect_tx", name + ".expect_tx" + local + "_, [$0], $1", {}, {smem, count},
                       kGpu, kOnBarrier));
    rows.push_back(row(name + ".expect_tx.state", name + ".expect_tx" + local + "$r0, [$0], $1", {"u64"},
                       {smem, count}, kGpu, kOnBarrier));
    rows.push_back(row(name + ".noComplete", name + ".noComplete" + local + "$r0, [$0], $1", {"u64"},
                       {smem, count}, kGpu, kOnBarrier));
    rows.push_back(row(name + ".cluster", name + remote + "[$0]", {}, {smem}, kGpu, kOnRemoteBarrier));
    rows.push_back(
        row(name + ".count.cluster", name + remote + "[$0], $1", {}, {smem, count}, kGpu, kOnRemoteBarrier));
    rows.push_back(row(name + ".expect_tx.cluster", name + ".expect_tx" + remote + "[$0], $1", {},
                       {smem, count}, kGpu, kOnRemoteBarrier));
    // Relaxed arrivals publish nothing: for consumers that only read.
    const std::string relaxed = ".relaxed.cta.shared::cta.b64 _, ";
    const std::string relaxed_remote = ".relaxed.cluster.shared::cluster.b64 _, ";
    rows.push_back(row(name + ".relaxed", name + relaxed + "[$0]", {}, {smem}, gpu_since(86), kOnBarrier));
    rows.push_back(row(name + ".count.relaxed", name + relaxed + "[$0], $1", {}, {smem, count}, gpu_since(86),
                       kOnBarrier));
    rows.push_back(row(name + ".relaxed.cluster", name + relaxed_remote + "[$0]", {}, {smem}, gpu_since(86),
                       kOnRemoteBarrier));
    rows.push_back(row(name + ".count.relaxed.cluster", name + relaxed_remote + "[$0], $1", {}, {smem, count},
                       gpu_since(86), kOnRemoteBarrier));
  }
}

// Asks whether a phase has ended: by the token of an arrival, or (".parity") by the phase's number modulo 2.
// test_wait asks once; try_wait may sleep for a while first, with a limit in nanoseconds in the ".hint" form.
void add_waits(std::vector<Row>& rows) {
  struct Order {
    const char* name;
    const char* text;
    Availability available;
  };
  const Order orders[] = {{"", ".acquire.cta", kGpu},
                          {".cluster", ".acquire.cluster", kGpu},
                          {".relaxed", ".relaxed.cta", gpu_since(86)},
                          {".relaxed.cluster", ".relaxed.cluster", gpu_since(86)}};
  for (const std::string verb : {"test_wait", "try_wait"}) {
    for (const std::string by : {"", ".parity"}) {
      for (const auto& order : orders) {
        const std::string name = "mbarrier." + verb + by + order.name;
        const std::string text = "mbarrier." + verb + by + order.text + ".shared::cta.b64 $r0, [$0], $1";
        const std::string token = by.empty() ? "u64" : "u32";
        rows.push_back(row(name, text, {"pred"}, {"smem", token}, order.available, kOnBarrier));
        if (verb == "try_wait") {
          rows.push_back(row(name + ".hint", text + ", $2", {"pred"}, {"smem", token, "u32"}, order.available,
                             kOnBarrier));
        }
      }
    }
  }
  // Waits until the phase of that parity has ended. The labels are local to the braces, so copies do not
  // clash.
  for (const auto& order : orders) {
    const std::string attempt =
        std::string("mbarrier.try_wait.parity") + order.text + ".shared::cta.b64 done, [$0], $1";
    rows.push_back(row(std::string("mbarrier.wait.parity") + order.name,
                       "{ .reg .pred done; again: " + attempt + "; @!done bra again; }", {}, {"smem", "u32"},
                       order.available, kOnBarrier));
    rows.push_back(row(std::string("mbarrier.wait.parity") + order.name + ".hint",
                       "{ .reg .pred done; again: " + attempt + ", $2; @!done bra again; }", {},
                       {"smem", "u32", "u32"}, order.available, kOnBarrier));
  }
}

}  // namespace

std::vector<Row> rows::mbarrier_rows() {
  std::vector<Row> rows;
  rows.push_back(
      row("mbarrier.init", "mbarrier.init.shared::cta.b64 [$0], $1", {}, {"smem", "u32"}, kGpu, kOnBarrier));
  rows.push_back(
      row("mbarrier.inval", "mbarrier.inval.shared::cta.b64 [$0]", {}, {"smem"}, kGpu, kOnBarrier));
  add_arrivals(rows);
  for (const std::string verb : {"expect_tx", "complete_tx"}) {
    rows.push_back(row("mbarrier." + verb, "mbarrier." + verb + ".relaxed.cta.shared::cta.b64 [$0], $1", {},
                       {"smem", "u32"}, kGpu, kOnBarrier));
    rows.push_back(row("mbarrier." + verb + ".cluster",
                       "mbarrier." + verb + ".relaxed.cluster.shared::cluster.b64 [$0], $1", {},
                       {"smem", "u32"}, kGpu, kOnRemoteBarrier));
  }
  rows.push_back(
      row("mbarrier.pending_count", "mbarrier.pending_count.b64 $r0, $0", {"u32"}, {"u64"}, kGpu, kPure));
  add_waits(rows);
  return rows;
}

}  // namespace rose::ir
