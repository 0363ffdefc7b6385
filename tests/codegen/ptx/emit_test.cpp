// The PTX text of whole kernels: parameters, registers, control flow, lines; and that ptxas takes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assembler.h"
#include "codegen/ptx/emit.h"

namespace rose::codegen::ptx {
namespace {

using namespace ir;
using ::testing::HasSubstr;
using ::testing::Not;

struct Writer {
  Kernel kernel;
  Block* block = &kernel.body;

  explicit Writer(const char* target = "sm_90a") {
    kernel.name = "written";
    kernel.target = parse_target(target);
    kernel.threads = {64, 1, 1};
  }
  Operand emit(const char* row, Type type, Type result, std::vector<Operand> operands,
               std::vector<int64_t> attributes = {}, int line = 0) {
    Operand r{kernel.new_register(result), result, 0};
    append(row, type, {r.reg}, std::move(operands), std::move(attributes), line);
    return r;
  }
  void append(const char* row, Type type, std::vector<Reg> results, std::vector<Operand> operands,
              std::vector<int64_t> attributes = {}, int line = 0) {
    Instruction i;
    i.row = &operation(row), i.type = type, i.results = std::move(results), i.operands = std::move(operands),
    i.attributes = std::move(attributes);
    if (line) i.where = {"kernel.cpp", line};
    block->push_back(Statement(std::move(i)));
  }
  Operand parameter(const char* name, Parameter::Kind kind, Type type) {
    kernel.parameters.push_back({name, kind, type});
    Type held = kind == Parameter::Kind::kScalar ? type : u64;
    return emit("parameter", held, held, {}, {static_cast<int64_t>(kernel.parameters.size()) - 1});
  }
  Operand thread() { return emit("special", {}, u32, {}, {static_cast<int64_t>(Special::kThreadX)}); }
  Operand less(const Operand& a, int64_t b) {
    return emit("setp", a.type, pred, {a, constant(a.type, b)}, {static_cast<int64_t>(Comparison::kLt)});
  }
  void inside(Block& inner, const std::function<void()>& body) {
    Block* outer = block;
    block = &inner, body(), block = outer;
  }
  void jump(Statement::Kind kind) {
    Statement s;
    s.kind = kind;
    block->push_back(std::move(s));
  }
  If& branch(const Operand& condition) {
    jump(Statement::Kind::kIf);
    block->back().branch = std::make_unique<If>();
    block->back().branch->condition = condition;
    return *block->back().branch;
  }
  Loop& loop() {
    jump(Statement::Kind::kLoop);
    block->back().loop = std::make_unique<Loop>();
    return *block->back().loop;
  }
  std::string text(Options options = {}) {
    std::string ptx = emit_checked(options);
    auto result = test::assemble(ptx, to_string(kernel.target));
    EXPECT_TRUE(result.ok) << result.log << ptx;
    return ptx;
  }

 private:
  std::string emit_checked(const Options& options) { return ptx::emit(kernel, options); }
};

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Emit, HeaderParametersAndLaunch) {
  Writer w;
  w.kernel.min_blocks = 2, w.kernel.shared_bytes = 1000, w.kernel.shared_alignment = 128;
  w.parameter("x", Parameter::Kind::kPointer, bf16);
  w.parameter("small", Parameter::Kind::kScalar, u8);
  w.parameter("half", Parameter::Kind::kScalar, bf16);
  w.parameter("scale", Parameter::Kind::kScalar, f32);
  w.parameter("map", Parameter::Kind::kTensorMap, {});
  std::string ptx = w.text();
  EXPECT_EQ(ptx.find(".version 8.6\n.target sm_90a\n.address_size 64\n"), 0u) << ptx;
  for (const char* part : {".extern .shared .align 128 .b8 shared_memory[];", ".visible .entry written(",
                           ".param .b64", ".param .b8", ".param .b16", ".param .b32", ".param .align 64 .b8",
                           "[128]", ".maxntid 64, 1, 1", ".minnctapersm 2"})
    EXPECT_THAT(ptx, HasSubstr(part));
  Writer blackwell("sm_100a");
  EXPECT_EQ(blackwell.text().find(".version 8.8\n.target sm_100a\n"), 0u);
}

TEST(Emit, BranchesLoopsAndJumps) {
  Writer w;
  Operand x = w.parameter("x", Parameter::Kind::kPointer, u32), t = w.thread();
  Operand count{w.kernel.new_register(u32, true), u32, 0};
  w.append("mov", u32, {count.reg}, {constant(u32, int64_t{0})});
  Loop& loop = w.loop();
  loop.unroll = 1;
  w.inside(loop.test, [&] { loop.condition = w.less(count, 10); });
  w.inside(loop.body, [&] {
    If& branch = w.branch(w.less(t, 5));
    w.inside(branch.then, [&] { w.jump(Statement::Kind::kContinue); });
    w.inside(branch.otherwise, [&] {
      If& inner = w.branch(w.less(t, 7));
      w.inside(inner.then, [&] { w.jump(Statement::Kind::kBreak); });
    });
    w.append("st.global", u32, {}, {x, count}, {4});
    If& last = w.branch(w.less(t, 9));
    w.inside(last.then, [&] { w.jump(Statement::Kind::kReturn); });
  });
  w.inside(loop.step, [&] { w.append("add", u32, {count.reg}, {count, constant(u32, int64_t{1})}); });
  std::string ptx = w.text();
  EXPECT_THAT(ptx, HasSubstr(".pragma \"nounroll\";"));
  EXPECT_EQ(occurrences(ptx, "LOOP0:"), 1);
  EXPECT_EQ(occurrences(ptx, "LEAVE0:"), 1);
  EXPECT_EQ(occurrences(ptx, "bra NEXT0;"), 1);
  EXPECT_EQ(occurrences(ptx, "bra LEAVE0;"), 2) << "the first test, and the break";
  EXPECT_EQ(occurrences(ptx, "ret;"), 2);
  loop.entered = true;
  EXPECT_EQ(occurrences(w.text(), "bra LEAVE0;"), 1) << "a loop known to be entered is not tested at first";
}

TEST(Emit, EndlessLoopsAndConstantBranches) {
  Writer w;
  Operand t = w.thread();
  Loop& loop = w.loop();
  loop.condition = constant(pred, int64_t{1});
  w.inside(loop.body, [&] {
    If& never = w.branch(constant(pred, int64_t{0}));
    w.inside(never.then, [&] { w.append("trap", {}, {}, {}); });
    If& done = w.branch(w.less(t, 64));
    w.inside(done.then, [&] { w.jump(Statement::Kind::kBreak); });
  });
  std::string ptx = w.text();
  EXPECT_THAT(ptx, Not(HasSubstr("trap;")));
  EXPECT_THAT(ptx, HasSubstr("\tbra LOOP0;\n"));
}

TEST(Emit, GuardsAndNumbers) {
  Writer w;
  Operand x = w.parameter("x", Parameter::Kind::kPointer, u32), t = w.thread(), early = w.less(t, 3);
  w.append("st.global", f32, {}, {x, constant(f32, 1.0)}, {-8});
  w.kernel.body.back().instruction.guard = {early.reg, false};
  w.append("st.global", f64, {}, {x, constant(f64, -2.0)}, {16});
  w.kernel.body.back().instruction.guard = {early.reg, true};
  w.append("st.global", s32, {}, {x, constant(s32, int64_t{-5})}, {0});
  w.append("st.global", f32, {},
           {x, constant(f32, 1.0), constant(f32, 2.0), constant(f32, 3.0), constant(f32, 4.0)}, {32});
  std::string ptx = w.text();
  for (const char* part : {"0f3F800000", "0dC000000000000000", "-5", "+-8]", "+16]", ".v4"})
    EXPECT_THAT(ptx, HasSubstr(part));
  EXPECT_EQ(occurrences(ptx, "@!%"), 1) << ptx;
}

TEST(Emit, LinesOfTheKernel) {
  Writer w;
  Operand x = w.parameter("x", Parameter::Kind::kPointer, u32);
  w.append("st.global", u32, {}, {x, constant(u32, int64_t{1})}, {0}, 12);
  w.append("st.global", u32, {}, {x, constant(u32, int64_t{2})}, {4}, 12);
  w.append("st.global", u32, {}, {x, constant(u32, int64_t{3})}, {8}, 13);
  std::string ptx = w.text();
  EXPECT_THAT(ptx, HasSubstr(".file 1 \"kernel.cpp\""));
  EXPECT_EQ(occurrences(ptx, ".loc 1 12 0"), 1);
  EXPECT_EQ(occurrences(ptx, ".loc 1 13 0"), 1);
  EXPECT_THAT(w.text({.lines = false}), Not(HasSubstr(".loc")));
}

TEST(Emit, RefusesOtherTargets) {
  Writer w("x86:avx2");
  EXPECT_THROW(emit(w.kernel), IrError);
}

}  // namespace
}  // namespace rose::codegen::ptx
