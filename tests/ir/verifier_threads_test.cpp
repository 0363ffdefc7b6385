// The verifier's rules about threads that act together: convergence, roles, named barriers, pipelines'
// promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hand_kernel.h"

namespace rose::ir {
namespace {

using test::HandKernel;
using testing::AllOf;
using testing::HasSubstr;

std::string complaint(const Kernel& kernel) {
  try {
    verify(kernel);
  } catch (const IrError& error) {
    return error.what();
  }
  return "";
}

#define EXPECT_ACCEPTED(kernel) EXPECT_EQ(complaint((kernel).done()), "")
#define EXPECT_REFUSED(kernel, ...) EXPECT_THAT(complaint((kernel).done()), AllOf(__VA_ARGS__))

void block_barrier(HandKernel& k) { k.run("bar.sync", k.constant32(0)); }
void warp_operation(HandKernel& k) { k.run("tensormap.cp_fenceproxy.gpu", k.constant64(0), k.constant32(0)); }
void shuffle(HandKernel& k, int64_t mask = 0xffffffff) {
  k.emit("shfl.bfly", f32, {constant(f32, 1.0), k.constant32(1), k.constant32(31), k.constant32(mask)});
}
void warpgroup_operation(HandKernel& k) { k.run("wgmma.fence"); }

// Runs `body` under a condition on the thread number.
using Condition = std::function<Operand(HandKernel&)>;
HandKernel under(const Condition& condition, const std::function<void(HandKernel&)>& body,
                 int threads = 256) {
  HandKernel k(threads);
  k.branch(condition(k), [&] { body(k); });
  return k;
}

Operand shifted(HandKernel& k, int64_t bits) { return k.emit("shr", u32, {k.tid(), k.constant32(bits)}); }

TEST(Uniformity, BlockBarrierUnderAThreadCondition) {
  auto bad = under([](HandKernel& k) { return k.less(k.tid(), 5); }, block_barrier);
  EXPECT_REFUSED(bad, HasSubstr("'bar.sync' must be executed by all threads of the block together"),
                 HasSubstr("the IF at kernel.cpp:3 lets two threads of one warp go different ways"));
  auto warps = under([](HandKernel& k) { return k.less(k.tid(), 32); }, block_barrier);
  EXPECT_REFUSED(warps, HasSubstr("lets two warps go different ways"));
  auto good = under([](HandKernel& k) { return k.less(k.block_index(), 5); }, block_barrier);
  EXPECT_ACCEPTED(good);
}

TEST(Uniformity, WarpOperationNeedsWholeWarps) {
  const std::vector<std::pair<Condition, bool>> cases{
      {[](HandKernel& k) { return k.less(k.tid(), 64); }, true},
      {[](HandKernel& k) { return k.less(k.tid(), 48); }, false},
      {[](HandKernel& k) { return k.compare(Comparison::kGe, k.tid(), k.constant32(96)); }, true},
      {[](HandKernel& k) { return k.compare(Comparison::kGt, k.tid(), k.constant32(31)); }, true},
      {[](HandKernel& k) { return k.compare(Comparison::kGt, k.tid(), k.constant32(32)); }, false},
      {[](HandKernel& k) { return k.compare(Comparison::kGt, k.constant32(64), k.tid()); }, true},
      {[](HandKernel& k) { return k.equal(k.tid(), 0); }, false},
      {[](HandKernel& k) { return k.equal(shifted(k, 5), 3); }, true},
      {[](HandKernel& k) { return k.equal(shifted(k, 4), 3); }, false},
      {[](HandKernel& k) { return k.equal(k.lane(), 0); }, false},
      {[](HandKernel& k) { return k.equal(k.emit("and", u32, {k.tid(), k.constant32(0x1e0)}), 32); }, true},
      {[](HandKernel& k) { return k.equal(k.emit("and", u32, {k.tid(), k.constant32(0x1f)}), 0); }, false},
      {[](HandKernel& k) { return k.less(k.emit("sub", u32, {k.tid(), k.constant32(32)}), 64); }, true},
      {[](HandKernel& k) { return k.less(k.emit("sub", u32, {k.tid(), k.constant32(16)}), 64); }, false},
      {[](HandKernel& k) { return k.equal(k.emit("div", u32, {k.tid(), k.constant32(96)}), 1); }, true},
      {[](HandKernel& k) { return k.equal(k.emit("div", u32, {k.tid(), k.constant32(80)}), 1); }, false},
      {[](HandKernel& k) { return k.emit("elect.sync", {}, {k.constant32(0xffffffff)}); }, false},
      {[](HandKernel& k) {  // the first lane's value, for all
         const auto first =
             k.emit("shfl.idx", u32, {k.lane(), k.constant32(0), k.constant32(31), k.constant32(0xffffffff)});
         return k.equal(first, 0);
       },
       true},
      {[](HandKernel& k) { return k.equal(k.emit("ld.shared", u32, {k.shared()}, {0}), 0); }, true},
      {[](HandKernel& k) {
         const auto address = k.emit("add", u32, {k.shared(), k.tid()});
         return k.equal(k.emit("ld.shared", u32, {address}, {0}), 0);
       },
       false},
      {[](HandKernel& k) {  // threads of a warp may get different answers
         return k.emit("mbarrier.try_wait.parity", {}, {k.shared(), k.constant32(0)});
       },
       false},
  };
  for (size_t n = 0; n < cases.size(); ++n) {
    SCOPED_TRACE("case " + std::to_string(n));
    auto k = under(cases[n].first, warp_operation);
    if (cases[n].second)
      EXPECT_ACCEPTED(k);
    else
      EXPECT_REFUSED(k, HasSubstr("all 32 threads of a warp"), HasSubstr("two threads of one warp"));
  }
}

TEST(Uniformity, OneThreadOperationsMayStandAnywhere) {
  auto k = under([](HandKernel& k) { return k.emit("elect.sync", {}, {k.constant32(0xffffffff)}); },
                 [](HandKernel& k) { k.run("mbarrier.arrive.expect_tx", k.shared(), k.constant32(1024)); });
  EXPECT_ACCEPTED(k);
}

TEST(Uniformity, WarpgroupOperation) {
  auto good = under([](HandKernel& k) { return k.equal(shifted(k, 7), 1); }, warpgroup_operation, 384);
  auto bad = under([](HandKernel& k) { return k.equal(shifted(k, 5), 1); }, warpgroup_operation, 384);
  HandKernel small(64);
  warpgroup_operation(small);
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("all 128 threads of a warpgroup"), HasSubstr("two warps"));
  EXPECT_REFUSED(small, HasSubstr("4 warps = 128 threads, but the block has 64 threads"));
}

TEST(Uniformity, ShufflesWithTheirOwnMask) {
  auto whole = under([](HandKernel& k) { return k.less(k.lane(), 16); }, [](HandKernel& k) { shuffle(k); });
  auto half =
      under([](HandKernel& k) { return k.less(k.lane(), 16); }, [](HandKernel& k) { shuffle(k, 0xffff); });
  EXPECT_REFUSED(whole, HasSubstr("'shfl.bfly' must be executed by all 32 threads"));
  EXPECT_ACCEPTED(half);
}

TEST(Uniformity, VariablesRememberTheirCondition) {
  for (const bool varying : {false, true}) {
    HandKernel k;
    const auto flag = k.variable(u32);
    k.assign(flag, k.constant32(0));
    k.branch(k.less(varying ? k.tid() : k.block_index(), 5), [&] { k.assign(flag, k.constant32(1)); });
    k.branch(k.equal(flag, 1), [&] { block_barrier(k); });
    if (varying)
      EXPECT_REFUSED(k, HasSubstr("'bar.sync'"));
    else
      EXPECT_ACCEPTED(k);
  }
}

TEST(Uniformity, LoopsByThreadAndByBlock) {
  for (const bool varying : {false, true}) {
    HandKernel k;
    const auto bound = varying ? k.tid() : k.block_index();
    const auto counter = k.variable(u32);
    k.assign(counter, k.constant32(0));
    k.while_([&] { return k.compare(Comparison::kLt, counter, bound); },
             [&] {
               shuffle(k);
               k.append("add", u32, {counter.reg}, {counter, k.constant32(1)}, {});
             });
    block_barrier(k);  // all meet again after the loop
    if (varying)
      EXPECT_REFUSED(k, HasSubstr("'shfl.bfly'"), HasSubstr("the loop at kernel.cpp"));
    else
      EXPECT_ACCEPTED(k);
  }
}

TEST(Uniformity, ThreadsThatLeft) {
  for (const auto kind : {Statement::Kind::kBreak, Statement::Kind::kContinue, Statement::Kind::kReturn}) {
    HandKernel k;
    k.loop(4, [&] {
      k.branch(k.less(k.lane(), 7), [&] { k.jump(kind); });
      shuffle(k);
    });
    EXPECT_REFUSED(k, HasSubstr("'shfl.bfly'"), HasSubstr("two threads of one warp"));
  }
  HandKernel after;  // BREAK and CONTINUE leave nothing behind after the loop
  after.loop(
      4, [&] { after.branch(after.less(after.lane(), 7), [&] { after.jump(Statement::Kind::kContinue); }); });
  shuffle(after);
  EXPECT_ACCEPTED(after);
}

// ---- roles
// ---------------------------------------------------------------------------------------------------------

HandKernel specialised(int producer_registers, int consumer_registers, int threads = 384,
                       int producers = 128) {
  HandKernel k(threads);
  k.kernel.min_blocks = 1;
  k.role("producer", 0, producers, [] {}, producer_registers);
  k.role("consumer", producers, threads - producers, [&] { warpgroup_operation(k); }, consumer_registers);
  return k;
}

TEST(Roles, RegisterBudget) {
  auto good = specialised(40, 232);
  auto bad = specialised(40, 240);
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("'producer' 128 threads x 40 + 'consumer' 256 threads x 240 = 66560"),
                 HasSubstr("2048 more than the 384 threads x 168 = 64512"));
  auto odd = specialised(44, 232);
  EXPECT_REFUSED(odd, HasSubstr("44 registers"), HasSubstr("multiple of 8"));
  good.kernel.min_blocks = 0;
  EXPECT_REFUSED(good, HasSubstr("C7508"));
}

TEST(Roles, ThreadsWithoutARoleKeepTheirShare) {
  HandKernel k(512);
  k.kernel.min_blocks = 1;
  k.role("consumer", 128, 256, [] {}, 160);
  EXPECT_REFUSED(k, HasSubstr("'consumer' 256 threads x 160 + other 256 threads x 128 = 73728"));
}

TEST(Roles, WholeWarps) {
  HandKernel half(128), outside(128), inside(128), registers(128);
  half.role("loader", 0, 48, [] {});
  outside.role("loader", 96, 64, [] {});
  inside.role("loader", 96, 32, [] {});
  registers.kernel.min_blocks = 1;
  registers.role("loader", 96, 32, [] {}, 40);
  EXPECT_REFUSED(half, HasSubstr("48 threads from thread 0 are not whole warps"));
  EXPECT_REFUSED(outside, HasSubstr("96 + 64 = 160 passes the end of the block at thread 128"));
  EXPECT_ACCEPTED(inside);
  EXPECT_REFUSED(registers, HasSubstr("not whole warpgroups"));
}

TEST(Roles, BlockBarrierInARoleWaitsForEver) {
  HandKernel bad(384), good(384);
  bad.role("consumer", 128, 256, [&] { block_barrier(bad); });
  good.role("consumer", 128, 256, [&] { good.run("bar.sync.n", good.constant32(1), good.constant32(256)); });
  EXPECT_REFUSED(bad, HasSubstr("waits for all 384 threads"),
                 HasSubstr("only the 256 threads of role 'consumer'"), HasSubstr("bar.sync.n"));
  EXPECT_ACCEPTED(good);
}

TEST(Roles, NamedBarrierCounts) {
  const auto pair = [](int64_t id, int64_t count, bool both) {
    HandKernel k(384);
    k.role("first", 128, 128, [&] { k.run("bar.sync.n", k.constant32(id), k.constant32(count)); });
    k.role("second", 256, 128, [&] {
      if (both) k.run("bar.arrive", k.constant32(id), k.constant32(count));
    });
    return k;
  };
  EXPECT_ACCEPTED(pair(1, 256, true));
  EXPECT_REFUSED(pair(1, 256, false), HasSubstr("barrier 1 waits for 256 threads, but only 128 threads"));
  EXPECT_REFUSED(pair(0, 256, true), HasSubstr("uses barrier 0"));
  EXPECT_REFUSED(pair(16, 256, true), HasSubstr("names barrier 16"));
  EXPECT_REFUSED(pair(1, 100, true), HasSubstr("counts 100 threads"));
}

TEST(Roles, ClusterBarrierNeedsAllThreads) {
  for (const bool both : {false, true}) {
    HandKernel k(256);
    k.role("first", 0, 128, [&] { k.run("cluster.arrive"); });
    k.role("second", 128, 128, [&] {
      if (both) k.run("cluster.arrive");
    });
    if (both)
      EXPECT_ACCEPTED(k);
    else
      EXPECT_REFUSED(k, HasSubstr("'cluster.arrive' waits for all 256 threads"),
                     HasSubstr("only 128 threads"));
  }
  auto bad = under([](HandKernel& k) { return k.less(k.tid(), 32); },
                   [](HandKernel& k) { k.run("cluster.arrive"); });
  EXPECT_REFUSED(bad, HasSubstr("all threads of the cluster"));
}

// ---- pipelines' barriers
// -------------------------------------------------------------------------------------------

HandKernel with_fact(BarrierFact fact, int cluster = 1) {
  HandKernel k(384);
  k.kernel.cluster = {cluster, 1, 1};
  k.role("producer", 0, 128, [] {});
  k.role("consumer", 128, 256, [] {});
  k.run("mbarrier.init", k.shared(), k.constant32(fact.arrivals));
  if (fact.bytes_per_phase > 0)
    k.run("mbarrier.arrive.expect_tx", k.shared(), k.constant32(fact.bytes_per_phase));
  fact.name = "pipe.full";
  fact.where = {"kernel.cpp", 99};
  k.kernel.barriers.push_back(fact);
  return k;
}

TEST(Barriers, Arrivals) {
  EXPECT_ACCEPTED(with_fact({.arrivals = 256, .arrive = {{"consumer", 256}}}));
  EXPECT_ACCEPTED(with_fact({.arrivals = 4, .arrive = {{"consumer", 2, 2}}}, 2));
  EXPECT_REFUSED(with_fact({.arrivals = 3, .arrive = {{"consumer", 2}}}), HasSubstr("kernel.cpp:99"),
                 HasSubstr("3 arrivals a phase, but role 'consumer' 2 = 2 arrive"), HasSubstr("never end"));
  EXPECT_REFUSED(with_fact({.arrivals = 2, .arrive = {{"consumer", 2, 2}}}, 2),
                 HasSubstr("role 'consumer' 2 x 2 blocks = 4 arrive"), HasSubstr("end too early"));
  EXPECT_REFUSED(with_fact({.arrivals = 512, .arrive = {{"consumer", 512}}}), HasSubstr("512 times"),
                 HasSubstr("has 256 threads"));
  EXPECT_REFUSED(with_fact({.arrivals = 1, .arrive = {{"loader", 1}}}), HasSubstr("no such role"));
  EXPECT_REFUSED(with_fact({.arrivals = 2, .arrive = {{"producer", 1, 2}}}), HasSubstr("a cluster has 1"));
}

TEST(Barriers, Bytes) {
  const auto fact = [](int64_t announced, std::vector<BarrierFact::Copy> copies) {
    return BarrierFact{.arrivals = 1,
                       .bytes_per_phase = announced,
                       .arrive = {{"producer", 1}},
                       .copies = std::move(copies)};
  };
  EXPECT_ACCEPTED(with_fact(fact(16384 + 32768, {{"A", 16384}, {"B", 16384, 2}})));
  EXPECT_ACCEPTED(with_fact(fact(16384, {{"A", 8192, 1, 2}}), 2));
  EXPECT_REFUSED(with_fact(fact(32768, {{"A", 16384}, {"B", 16384, 2}})),
                 HasSubstr("32768 bytes a phase are announced, but 'A' 16384 + 'B' 16384 x 2 boxes = 49152"),
                 HasSubstr("end too early"));
  EXPECT_REFUSED(with_fact(fact(8192, {})), HasSubstr("no copies = 0 bytes"), HasSubstr("never end"));
  EXPECT_REFUSED(with_fact(fact(24, {{"A", 24}})), HasSubstr("multiple of 16"));
  EXPECT_REFUSED(with_fact(fact(1 << 20, {{"A", 1 << 19, 2}})), HasSubstr("counts up to 1048575"));
}

TEST(Barriers, InstructionsKeepThePromise) {
  auto init = with_fact({.arrivals = 256, .arrive = {{"consumer", 256}}});
  init.kernel.barriers[0].arrivals = 2;
  init.kernel.barriers[0].arrive = {{"consumer", 2}};
  EXPECT_REFUSED(init, HasSubstr("2 arrivals a phase are promised, but no mbarrier.init sets that count"));
  auto bytes = with_fact(
      {.arrivals = 1, .bytes_per_phase = 8192, .arrive = {{"producer", 1}}, .copies = {{"A", 8192}}});
  EXPECT_ACCEPTED(bytes);
  bytes.kernel.barriers[0].bytes_per_phase = 16384;
  bytes.kernel.barriers[0].copies = {{"A", 8192, 2}};
  EXPECT_REFUSED(bytes, HasSubstr("16384 bytes a phase are promised"), HasSubstr("announce 8192 altogether"));
}

TEST(Uniformity, TheWarpNumberByAShuffle) {
  HandKernel k(384);
  const auto warp =
      k.emit("shfl.idx", u32, {shifted(k, 5), k.constant32(0), k.constant32(31), k.constant32(0xffffffff)});
  const auto warpgroup = k.emit("shr", u32, {warp, k.constant32(2)});
  k.branch(k.equal(warpgroup, 1), [&] { warpgroup_operation(k); });
  EXPECT_ACCEPTED(k);
}

}  // namespace
}  // namespace rose::ir
