// The text form of a kernel, word for word.
#include <gtest/gtest.h>

#include "hand_kernel.h"

namespace rose::ir {
namespace {

TEST(Printer, OneKernelWithEverything) {
  test::HandKernel h(256);
  h.kernel.cluster = {2, 1, 1};
  h.kernel.parameters = {{"x", Parameter::Kind::kPointer, bf16},
                         {"count", Parameter::Kind::kScalar, s32},
                         {"map", Parameter::Kind::kTensorMap, {}}};
  Operand x = h.emit("parameter", u64, {}, {0}), count = h.emit("parameter", s32, {}, {1});
  Operand sum = h.variable(f32);
  h.assign(sum, constant(f32, -0.5));
  Operand positive = h.compare(Comparison::kGt, count, constant(s32, int64_t{-3}));
  h.loop(4, [&] {
    h.branch(positive, [&] { h.jump(Statement::Kind::kContinue); }, [&] { h.jump(Statement::Kind::kBreak); });
    h.assign(sum, h.emit("fma", f32, {sum, constant(f32, 1e-6), constant(f32, 2.0)}));
  });
  h.append("st.global", f32, {}, {x, sum}, {16});
  h.kernel.body.back().instruction.guard = {positive.reg, true};
  h.role("copy", 128, 128, [&] { h.leave(); });
  EXPECT_EQ(to_string(h.kernel),
            R"(kernel hand for sm_90a, 256 threads, clusters of 2, 4096 bytes of shared memory
  parameter x: pointer to bf16
  parameter count: s32
  parameter map: tensor map
  %0 = parameter u64 #0                                       // kernel.cpp:1
  %1 = parameter s32 #1                                       // kernel.cpp:2
  $2 = mov f32 -0.5                                           // kernel.cpp:3
  %3 = setp s32 %1, -3 #4                                     // kernel.cpp:4
  $4 = mov u32 0                                              // kernel.cpp:5
  loop {                                                      // kernel.cpp:6
    %5 = setp u32 $4, 4 #2                                    // kernel.cpp:7
    leave unless %5                                           // kernel.cpp:6
    if %3 {                                                   // kernel.cpp:8
      continue                                                // kernel.cpp:9
    } else {                                                  // kernel.cpp:8
      break                                                   // kernel.cpp:10
    }                                                         // kernel.cpp:8
    %6 = fma f32 $2, 1e-06, 2                                 // kernel.cpp:11
    $2 = mov f32 %6                                           // kernel.cpp:12
  } step {                                                    // kernel.cpp:6
    $4 = add u32 $4, 1                                        // kernel.cpp:13
  }                                                           // kernel.cpp:6
  @!%3 st.global f32 %0, $2 #16                               // kernel.cpp:14
  %7 = special #0                                             // kernel.cpp:15
  %8 = sub u32 %7, 128                                        // kernel.cpp:16
  %9 = setp u32 %8, 128 #2                                    // kernel.cpp:17
  if %9 role "copy" {                                         // kernel.cpp:18
    return                                                    // kernel.cpp:19
  }                                                           // kernel.cpp:18
)");
}

TEST(Printer, WithoutLinesAndWithLargeNumbers) {
  Kernel k;
  k.name = "bare";
  Instruction i;
  i.row = &operation("add"), i.type = s64, i.results = {k.new_register(s64)};
  i.operands = {constant(s64, INT64_MIN), constant(s64, int64_t{-1})};
  EXPECT_EQ(to_string(i, k), "%0 = add s64 -9223372036854775808, -1");
  i.row = &operation("selp"),
  i.operands = {constant(s64, int64_t{1}), constant(s64, int64_t{2}), constant(pred, int64_t{1})};
  EXPECT_EQ(to_string(i, k), "%0 = selp s64 1, 2, true");
  k.body.push_back(Statement(i));
  EXPECT_EQ(to_string(k), "kernel bare for x86:baseline, 1 threads\n  %0 = selp s64 1, 2, true\n");
}

}  // namespace
}  // namespace rose::ir
