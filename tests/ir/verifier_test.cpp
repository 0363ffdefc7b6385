// One kernel that keeps and one that breaks each rule of the verifier; the messages must show the arithmetic.
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

// ---- launch
// --------------------------------------------------------------------------------------------------------

TEST(Launch, ThreadsOfABlock) {
  HandKernel good(1024), bad(1056);
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("1056 x 1 x 1 = 1056 threads"), HasSubstr("at most 1024"));
}

TEST(Launch, BlocksOfACluster) {
  HandKernel good, large, huge;
  good.kernel.cluster = {4, 2, 1};
  large.kernel.cluster = {4, 4, 1};
  huge.kernel.cluster = {8, 4, 1};
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(large, HasSubstr("4 x 4 x 1 = 16 blocks"), HasSubstr("non-portable"));
  EXPECT_REFUSED(huge, HasSubstr("= 32 blocks"), HasSubstr("at most 16"));
}

TEST(Launch, SharedMemory) {
  HandKernel good, bad, crowded;
  good.kernel.shared_bytes = 232448;
  bad.kernel.shared_bytes = 232464;
  crowded.kernel.shared_bytes = 120000;
  crowded.kernel.min_blocks = 2;
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("232464 bytes"), HasSubstr("16 more than the 232448"));
  EXPECT_REFUSED(crowded, HasSubstr("2 resident blocks x (120000 + 1024)"), HasSubstr("= 242048"));
}

TEST(Launch, TensorMemoryColumns) {
  const auto allocate = [](std::vector<int> columns) {
    HandKernel k(128, Arch::kSm100a);
    const auto address = k.shared();
    for (int n : columns)
      k.run(n > 0 ? "tcgen05.alloc" : "tcgen05.dealloc", n > 0 ? address : k.constant32(0),
            k.constant32(std::abs(n)));
    return k;
  };
  auto good = allocate({256, 256, -256, 128});
  auto bad = allocate({256, 128, 256});
  auto odd = allocate({96});
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("256 + 128 + 256 = 640 columns"), HasSubstr("has 512"));
  EXPECT_REFUSED(odd, HasSubstr("96 columns"), HasSubstr("powers of two"));
}

TEST(Launch, NameIsASymbolWithoutCutlass) {
  HandKernel spaced, unlucky;
  spaced.kernel.name = "rms norm";
  unlucky.kernel.name = "cutlass_gemm";
  EXPECT_REFUSED(spaced, HasSubstr("no symbol"));
  EXPECT_REFUSED(unlucky, HasSubstr("'cutlass'"));
}

TEST(Launch, ParameterBytes) {
  HandKernel good, bad;
  for (int i = 0; i < 33; ++i) {
    Parameter map{"map" + std::to_string(i), Parameter::Kind::kTensorMap, {}};
    if (i < 32) good.kernel.parameters.push_back(map);
    bad.kernel.parameters.push_back(map);
  }
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("4224 bytes of parameters"), HasSubstr("4096"));
}

// ---- types
// ---------------------------------------------------------------------------------------------------------

TEST(Types, OperandsFollowTheSignature) {
  HandKernel good, bad;
  good.emit("add", f32, {constant(f32, 1.0), constant(f32, 2.0)});
  bad.emit("add", f32, {constant(f32, 1.0), constant(s32, int64_t{2})});
  EXPECT_ACCEPTED(good);
  EXPECT_REFUSED(bad, HasSubstr("'add'"), HasSubstr("s32 constant as operand 1"), HasSubstr("f32"),
                 HasSubstr("kernel.cpp:1"));
}

TEST(Types, SignsOfIntegersMayMix) {
  HandKernel k;
  k.emit("add", s32, {constant(u32, int64_t{1}), constant(s32, int64_t{2})});
  EXPECT_ACCEPTED(k);
}

TEST(Types, NumberOfOperands) {
  HandKernel bad, open;
  bad.run("bar.sync.n", bad.constant32(1));
  open.run("st.shared", open.shared());
  EXPECT_REFUSED(bad, HasSubstr("takes 2 operands, not 1"));
  open.kernel.body.back().instruction.attributes = {0};
  open.kernel.body.back().instruction.type = f32;
  EXPECT_REFUSED(open, HasSubstr("takes at least 2 operands, not 1"));
}

TEST(Types, InstanceOfTheRow) {
  HandKernel bad;
  bad.emit("ex2", f64, {constant(f64, 1.0)});
  EXPECT_REFUSED(bad, HasSubstr("'ex2' has no instance of type f64"), HasSubstr("f32"));
}

TEST(Types, RowExistsOnTheTarget) {
  HandKernel hopper(128), blackwell(128, Arch::kSm100a), ultra(128, Arch::kSm103a);
  hopper.run("wgmma.fence");
  blackwell.run("wgmma.fence");
  ultra.run("tcgen05.mma.i8.ss", ultra.constant32(0), ultra.constant64(0), ultra.constant64(0),
            ultra.constant32(0), constant(pred, int64_t{1}));
  EXPECT_ACCEPTED(hopper);
  EXPECT_REFUSED(blackwell, HasSubstr("'wgmma.fence' does not exist on sm_100a"),
                 HasSubstr("it exists on sm_90a"));
  EXPECT_REFUSED(ultra, HasSubstr("does not exist on sm_103a"), HasSubstr("sm_100a"));
}

TEST(Types, GuardIsAPredicate) {
  HandKernel bad;
  const auto number = bad.tid();
  bad.run("brkpt");
  bad.kernel.body.back().instruction.guard.reg = number.reg;
  EXPECT_REFUSED(bad, HasSubstr("guarded by a u32 register"));
}

TEST(Types, AttributesInRange) {
  HandKernel bad;
  bad.kernel.min_blocks = 1;
  bad.run("setmaxnreg.dec");
  EXPECT_REFUSED(bad, HasSubstr("takes 1 attributes, not 0"));
  bad.kernel.body.back().instruction.attributes = {36};
  EXPECT_REFUSED(bad, HasSubstr("of 36 registers"), HasSubstr("multiple of 8"));
  bad.kernel.body.back().instruction.attributes = {264};
  EXPECT_REFUSED(bad, HasSubstr("register count 264"), HasSubstr("24 … 256"));
  bad.kernel.body.back().instruction.attributes = {40};
  EXPECT_ACCEPTED(bad);
}

// ---- definitions
// ---------------------------------------------------------------------------------------------------

TEST(Definitions, ReadBeforeWrite) {
  HandKernel bad;
  const Operand unwritten{bad.kernel.new_register(f32), f32};
  bad.emit("neg", f32, {unwritten});
  EXPECT_REFUSED(bad, HasSubstr("'neg' reads r0 (f32), which has no value"));
}

TEST(Definitions, BothBranchesMustWrite) {
  for (const bool both : {false, true}) {
    HandKernel k;
    const auto variable = k.variable(f32);
    k.branch(
        k.less(k.tid(), 64), [&] { k.assign(variable, constant(f32, 1.0)); },
        [&] {
          if (both) k.assign(variable, constant(f32, 2.0));
        });
    k.emit("neg", f32, {variable});
    if (both)
      EXPECT_ACCEPTED(k);
    else
      EXPECT_REFUSED(k, HasSubstr("no value on some way to here"));
  }
}

TEST(Definitions, ABranchThatLeavesNeedNotWrite) {
  HandKernel k;
  const auto variable = k.variable(f32);
  k.branch(k.less(k.tid(), 64), [&] { k.assign(variable, constant(f32, 1.0)); }, [&] { k.leave(); });
  k.emit("neg", f32, {variable});
  EXPECT_ACCEPTED(k);
}

TEST(Definitions, ALoopBodyMayNotRun) {
  for (const bool entered : {false, true}) {
    HandKernel k;
    const auto variable = k.variable(f32);
    k.loop(10, [&] { k.assign(variable, constant(f32, 1.0)); });
    k.kernel.body.back().loop->entered = entered;
    k.emit("neg", f32, {variable});
    if (entered)
      EXPECT_ACCEPTED(k);
    else
      EXPECT_REFUSED(k, HasSubstr("no value on some way to here"));
  }
}

TEST(Definitions, EveryBreakMustHaveTheValue) {
  for (const bool early : {false, true}) {
    HandKernel k;
    const auto variable = k.variable(f32);
    const auto condition = k.less(k.tid(), 64);
    k.endless([&] {
      if (early) k.branch(condition, [&] { k.jump(Statement::Kind::kBreak); });
      k.assign(variable, constant(f32, 1.0));
      k.branch(condition, [&] { k.jump(Statement::Kind::kBreak); });
    });
    k.emit("neg", f32, {variable});
    if (early)
      EXPECT_REFUSED(k, HasSubstr("no value on some way to here"));
    else
      EXPECT_ACCEPTED(k);
  }
}

TEST(Definitions, SingleAssignment) {
  HandKernel bad, good;
  const auto value = bad.emit("neg", f32, {constant(f32, 1.0)});
  bad.assign(value, constant(f32, 2.0));
  EXPECT_REFUSED(bad, HasSubstr("'mov' assigns r0 a second time"));
  const auto variable = good.variable(f32);
  good.assign(variable, constant(f32, 1.0));
  good.assign(variable, constant(f32, 2.0));
  EXPECT_ACCEPTED(good);
}

TEST(Definitions, JumpsStandInLoops) {
  HandKernel stray, inside;
  stray.jump(Statement::Kind::kBreak);
  EXPECT_REFUSED(stray, HasSubstr("BREAK stands outside every loop"));
  inside.endless([&] { inside.jump(Statement::Kind::kBreak); });
  EXPECT_ACCEPTED(inside);
}

TEST(Definitions, ConditionsArePredicates) {
  HandKernel bad;
  bad.branch(bad.tid(), [] {});
  EXPECT_REFUSED(bad, HasSubstr("IF has a u32 as its condition"));
}

}  // namespace
}  // namespace rose::ir
