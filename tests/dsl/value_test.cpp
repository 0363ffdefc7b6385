// The rules of recorded values: snapshots, variables, literals, types, and errors that name the kernel's
// line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "run_kernel.h"

namespace rose::dsl::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Put = std::function<void(const Val&)>;

// Recorded values have no value on the host.
static_assert(!std::is_convertible_v<Val, bool>);
static_assert(!std::is_constructible_v<bool, Val>);
static_assert(!std::is_constructible_v<bool, Var>);
static_assert(!std::is_convertible_v<Val, int>);
template <class A, class B>
concept LogicalAnd = requires(A a, B b) { a&& b; };
template <class A, class B>
concept LogicalOr = requires(A a, B b) { a || b; };
template <class A>
concept Ternary = requires(A a) { a ? 1 : 2; };
static_assert(!LogicalAnd<Val, Val> && !LogicalOr<Val, Val> && !LogicalAnd<Val, bool> &&
              !LogicalAnd<Var, Var>);
static_assert(!Ternary<Val> && !Ternary<Var>);

// A mistake on one line of a kernel, and what its message must say.
struct Mistake {
  std::string message;
  std::function<void(Block&)> body;
  std::string line;
  Mistake(std::string m, std::function<void(Block&)> b, Location l = Location::current())
      : message(std::move(m)),
        body(std::move(b)),
        line(fmt::format("tests/dsl/value_test.cpp:{}: ", l.line())) {}
};

TEST(Values, SnapshotsKeepWhatTheyWere) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var x(s32, 5);
                auto sum = x + 1;
                Val copy = x;
                Val same_type = to(s32, x), same_bits = bitcast(s32, x), one_lane = splat(x, 1);
                x = 7;
                put(sum), put(copy), put(same_type), put(same_bits), put(one_lane), put(x);
              }),
              ElementsAre(6, 5, 5, 5, 5, 7));
}

TEST(Values, CopiesOfVariablesAreNewVariables) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var x(s32, 1);
                Var y = x;
                auto z = x;
                x = 2, y += 10;
                put(x), put(y), put(z);
                y = x;  // assigns the value, not the register
                x = 3;
                put(y);
              }),
              ElementsAre(2, 11, 1, 2));
}

TEST(Values, ParametersOfFunctionsAreWhatCppSays) {
  auto by_value = [](Var v) {
    v += 1;
    return Val(v);
  };
  auto by_reference = [](Var& v) {
    v += 1;
    return Val(v);
  };
  EXPECT_THAT(computed([&](Block&, const Put& put) {
                Var x(s32, 1);
                put(by_value(x)), put(x);
                put(by_reference(x)), put(x);
                std::vector<Var> list;  // grows by copies
                for (int i = 0; i < 5; ++i) list.emplace_back(s32, i);
                for (Var& v : list) v *= 10;
                for (Var& v : list) put(v);
              }),
              ElementsAre(2, 1, 2, 2, 0, 10, 20, 30, 40));
}

TEST(Values, LiteralsTakeTheTypeOfTheOtherOperand) {
  record("literals", x86(), [](Block&) {
    for (Type type : {u16, s16, u32, s32, u64, s64}) {
      Val x(Var(type, 3));
      EXPECT_EQ((x + 1).type(), type);
      EXPECT_EQ((1 - x).type(), type);
      EXPECT_EQ((x << 1).type(), type);
      EXPECT_EQ((x < 5).type(), pred);
      EXPECT_EQ(select(x < 5, x, 0).type(), type);
    }
    Val f(Var(f32, 1));
    EXPECT_EQ((f * 2).type(), f32);
    EXPECT_EQ(((f * 2.5) * f).type(), f32);
    EXPECT_EQ((fma(f, 2, 1) + 1.0f).type(), f32);
    EXPECT_EQ((f32.with_lanes(8), (splat(f, 8) + f).type()), f32.with_lanes(8));
  });
}

TEST(Values, ArithmeticOfIntegers) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var a(s32, -7), b(u32, 0xfffffff0u), shift(u32, 4);
                put(a / 2), put(a % 3), put(a >> 1), put(-a), put(abs(a)), put(~a), put(min(a, 3)),
                    put(max(a, 3));
                put(b >> 4), put(b >> shift), put(b << shift), put(b + 0x20u), put((a ^ 5) & 0xff);
                put(a * 3), put(fma(a, 2, 1)), put(to(s16, a * 10000)), put(to(u16, b)), put(100 / a),
                    put(shift << 31);
              }),
              ElementsAre(-3, -1, -4, 7, 7, 6, -7, 3, 0x0fffffff, 0x0fffffff, 0xffffff00, 0x10,
                          (-7 ^ 5) & 0xff, -21, -13, static_cast<int16_t>(-70000), 0xfff0, -14, 0));
}

TEST(Values, PredicatesAndSelect) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var x(s32, 5), y(s32, 9);
                Val less = x < y, equal = x == y;
                put(less & equal), put(less | equal), put(!less), put(less ^ equal), put(less & !equal);
                put(select(less, x, y)), put(select(equal, x, 1)), put(select(less & (x != 5), 7, y));
                x = 100;  // the comparison is not made again
                put(select(less, x, y)), put(less);
                Var flag(pred, true);
                flag = equal;
                put(flag);
              }),
              ElementsAre(0, 1, 0, 1, 1, 5, 1, 9, 100, 1, 0));
}

TEST(Values, ErrorsNameTheLineOfTheKernel) {
  // clang-format off: one line for each mistake
  const Mistake mistakes[] = {
      Mistake("the operands have the types f32 and s32", [](Block&) { Val(Var(f32, 1)) + Val(Var(s32, 1)); }),
      Mistake("the operands have the types u32 and s32", [](Block&) { Val(Var(u32, 1)) < Val(Var(s32, 1)); }),
      Mistake("the literal 1.5 meets a value of type s32", [](Block&) { Var x(s32, 1); x += 1.5; }),
      Mistake("a f32 is assigned to a variable of type s32", [](Block&) { Var x(s32, 1); x = Val(Var(f32, 1)); }),
      Mistake("the operands have the types s32 and f32", [](Block&) { Var x(s32, 1); x += Val(Var(f32, 1)); }),
      Mistake("does not fit in u16 (0 … 65535)", [](Block&) { Val(Var(u16, 1)) + 70000; }),
      Mistake("does not fit in u32", [](Block&) { Val(Var(u32, 1)) == -1; }),
      Mistake("a shift count must be u32, not s64", [](Block&) { Val(Var(s64, 1)) << Val(Var(s64, 1)); }),
      Mistake("select needs a predicate, not s32", [](Block&) { Val x(Var(s32, 1)); select(x, x, 1); }),
      Mistake("! takes a predicate, not s32", [](Block&) { Val x(Var(s32, 1)); !x; }),
      Mistake("'rem' has no form for f32", [](Block&) { Val(Var(f32, 1)) % 2; }),
      Mistake("'neg' has no form for u32", [](Block&) { -Val(Var(u32, 1)); }),
      Mistake("both operands are literals", [](Block&) { select(Val(Var(pred, true)), 1, 2); }),
      Mistake("a literal stands where a typed value is needed", [](Block&) { to(f32, 1); }),
      Mistake("literal() takes a number", [](Block&) { literal(s32, Val(Var(s32, 1))); }),
      Mistake("no operation 'cvt.e4m3.s32'", [](Block&) { to(e4m3, Val(Var(s32, 1))); }),
      Mistake("bitcast of s32 (32 bits) to f64 (64 bits)", [](Block&) { bitcast(f64, Val(Var(s32, 1))); }),
      Mistake("a value is used before it is set", [](Block&) { Val nothing; nothing + 1; }),
      Mistake("no operation 'shl.twice'", [](Block&) { op("shl.twice", u32, {}); }),
      Mistake("'special' takes no operands", [](Block&) { op("special", Type{}, {1}, {0}); }),
      Mistake("'shfl.bfly' does not exist on x86", [](Block&) { op("shfl.bfly", u32, {Val(Var(u32, 1)), 1, 31, 1}); }),
      Mistake("'st.global' takes at least 2 operands", [](Block& b) { op("st.global", f32, {b.scalar("x", u64)}, {0}); }),
  };
  // clang-format on
  for (const Mistake& m : mistakes) {
    std::string error = error_of(x86(), m.body);
    EXPECT_THAT(error, StartsWith(m.line)) << m.message;
    EXPECT_THAT(error, HasSubstr(m.message));
  }
}

TEST(Values, VariablesAreSetBeforeTheyAreRead) {
  EXPECT_THAT(
      error_of(x86(), [](Block& block) { store_at(block.output("out", s32, shape(1)), 0, Var(s32)); }),
      HasSubstr("value_test.cpp"));
}

TEST(Values, EveryInstructionCarriesItsLine) {
  int first = 0, last = 0;
  ir::Kernel k = record("lines", x86(), [&](Block& block) {
    first = __LINE__;
    Tensor out = block.output("out", s32, shape(4));
    Var x(s32, 1);
    FOR (i, 0, 4) {
      x += to(s32, i);
    }
    x *= 3;
    x = Val(x) + 4;
    x = 5;
    IF (!(x == 5)) {
      x = x + 1;
    }
    store_at(out, 0, x);
    last = __LINE__;
  });
  int found = 0;
  std::function<void(const ir::Block&)> check = [&](const ir::Block& block) {
    for (const ir::Statement& s : block) {
      if (s.kind == ir::Statement::Kind::kInstruction &&
          s.instruction.row->semantic != ir::Semantic::kParameter) {
        ++found;
        EXPECT_THAT(s.where.file, HasSubstr("value_test.cpp")) << ir::to_string(s.instruction, k);
        EXPECT_TRUE(first < s.where.line && s.where.line < last)
            << ir::to_string(s.instruction, k) << " at line " << s.where.line;
      }
      if (s.loop) check(s.loop->test), check(s.loop->body), check(s.loop->step);
      if (s.branch) check(s.branch->then);
    }
  };
  check(k.body);
  EXPECT_GT(found, 10);
}

TEST(Recording, NothingIsRecordedOutsideOfAKernel) {
  EXPECT_THROW(Var(s32, 1), IrError);
  EXPECT_THROW(literal(s32, 1) + literal(s32, 2), IrError);
  EXPECT_THROW(op("bar.sync", Type{}, {0}), IrError);
  EXPECT_THROW(
      {
        IF (literal(pred, true)) {
        }
      },
      IrError);
  EXPECT_THROW({FOR (i, 0, 3){}}, IrError);
  EXPECT_NO_THROW(literal(s32, 1));
  EXPECT_THROW(record("bad name", x86(), [](Block&) {}), IrError);
  EXPECT_THROW(record("k", {.target = x86().target, .threads = 2}, [](Block&) {}), IrError);
  EXPECT_THROW(record("k", x86(), [](Block&) { throw std::runtime_error("the kernel's own"); }),
               std::runtime_error);
  EXPECT_THROW(Builder::current(), IrError);  // also after a kernel that threw
}

// A kernel may record another one; each has its own registers.
TEST(Recording, Nests) {
  ir::Kernel inner;
  ir::Kernel outer = record("outer", x86(), [&](Block&) {
    Var x(s32, 1);
    inner = record("inner", x86(), [](Block&) {
      Var y(s32, 1);
      y += 1;
      y += 2;
    });
    x += 1;
  });
  EXPECT_EQ(ir::instruction_count(inner.body), 5);
  EXPECT_EQ(ir::instruction_count(outer.body), 3);
}

TEST(Recording, ThreadsRecordInParallel) {
  auto recorded = [](int number) {
    return ir::to_string(record("parallel", x86(), [&](Block& block) {
      Tensor out = block.output("out", s64, shape(64));
      Var sum(s64, number);
      FOR (i, 0, 64) {
        for (int k = 0; k < number; ++k) sum += i * k;
        IF (sum > 100) {
          store_at(out, i, sum);
        }
      }
    }));
  };
  std::vector<std::string> parallel(8);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < parallel.size(); ++t)
    threads.emplace_back([&, t] {
      for (int turn = 0; turn < 20; ++turn) parallel[t] = recorded(static_cast<int>(t) * 3);
    });
  for (auto& t : threads) t.join();
  for (size_t t = 0; t < parallel.size(); ++t) EXPECT_EQ(parallel[t], recorded(static_cast<int>(t) * 3));
}

}  // namespace
}  // namespace rose::dsl::testing
