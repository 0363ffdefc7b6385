// Recorded control flow: what it computes, and what the host must not do inside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run_kernel.h"

namespace rose::dsl::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Put = std::function<void(const Val&)>;

TEST(Control, IfAndElse) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var x(s32, 5), y(s32, 0);
                IF (x > 3) {
                  y = 1;
                }
                ELSE { y = 2; }
                put(y);
                IF (x > 30) {
                  y = 3;
                }
                ELSE {
                  IF (x > 4) {
                    y = 4;
                  }
                  ELSE { y = 5; }
                }
                put(y);
                IF (x == 5) {
                  x = 6;
                  IF (x == 6) {
                    y = 7;
                  }
                  ELSE { y = 8; }
                }
                put(y);
                Var flag(pred, false);
                IF (flag) {
                  y = 100;
                }
                put(y);
              }),
              ElementsAre(1, 4, 7, 7));
}

TEST(Control, ForCountsInTheTypeOfItsBounds) {
  for (Type type : {u32, s32, s64, u64}) {
    EXPECT_THAT(computed([&](Block&, const Put& put) {
                  Var sum(type, 0), turns(type, 0);
                  Val low(Var(type, 3)), high(Var(type, 10));
                  FOR (i, low, high) {
                    EXPECT_EQ(i.type(), type);
                    sum += i;
                  }
                  put(sum);
                  FOR (i, 0, high) {
                    sum += i;
                  }
                  put(sum);
                  FOR_STEP(i, low, 20, 7) { sum += i, turns += 1; }
                  put(sum), put(turns);
                  FOR (i, high, low) {
                    sum += i;
                  }  // empty
                  put(sum);
                }),
                ElementsAre(42, 87, 87 + 3 + 10 + 17, 3, 117));
  }
}

TEST(Control, BoundsCompareInTheirOwnSign) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var turns(s32, 0);
                FOR (i, -3, 3) {
                  turns += 1;
                }
                put(turns);
                FOR (i, literal(u32, 0xfffffff0u), literal(u32, 0xfffffff4u)) {
                  turns += 1;
                }
                put(turns);
                FOR (i, literal(s32, -8), literal(s32, 8), 3) {
                  turns += to(s32, i);
                }  // -8 -5 -2 1 4 7
                put(turns);
              }),
              ElementsAre(6, 10, 7));
}

TEST(Control, BoundsAndStepAreReadOnce) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var n(s32, 4), step(s32, 1), turns(s32, 0);
                FOR (i, literal(s32, 0), n, step) {
                  n += 1, step += 1, turns += 1;
                }
                put(turns), put(n), put(step);
              }),
              ElementsAre(4, 8, 5));
}

TEST(Control, WhileReadsItsConditionBeforeEachTurn) {
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var x(s32, 1), turns(s32, 0);
                WHILE (x < 100) {
                  x *= 3, turns += 1;
                }
                put(x), put(turns);
                WHILE (x < 100) {
                  turns += 1;
                }
                put(turns);
                Var go(pred, true);
                WHILE (go) {
                  turns += 1;
                  go = turns < 10;
                }
                put(turns);
                WHILE (literal(pred, true)) {
                  turns += 1;
                  BREAK_IF(turns == 50);
                }
                put(turns);
              }),
              ElementsAre(243, 5, 5, 10, 50));
}

TEST(Control, BreakAndContinueLeaveTheInnermostLoop) {
  // 10 i + j over 0 <= i, j < 6, without j = 2, stopping each row at j = 4 and everything at i = 3.
  int64_t expected = 0;
  for (int i = 0; i < 6 && i != 3; ++i)
    for (int j = 0; j < 4; ++j)
      if (j != 2) expected += 10 * i + j;
  EXPECT_THAT(computed([](Block&, const Put& put) {
                Var sum(s64, 0), after(s64, 0);
                FOR (i, 0, 6) {
                  BREAK_IF(i == 3);
                  FOR (j, 0, 6) {
                    IF (j == 2) {
                      CONTINUE;
                    }
                    IF (j == 4) {
                      BREAK;
                    }
                    ELSE { sum += 10 * i; }
                    sum += j;
                  }
                  after += 1;
                }
                put(sum), put(after);
                Var count(s64, 0), turns(s64, 0);
                WHILE (turns < 10) {
                  turns += 1;
                  IF ((turns & 1) == 0) {
                    CONTINUE;
                  }
                  count += 1;
                }
                put(count);
              }),
              ElementsAre(expected, 3, 5));
}

TEST(Control, ReturnEndsTheKernel) {
  Program p(x86(), [](Block& block) {
    Val limit = block.scalar("limit", s32);
    Tensor out = block.output("out", s32, shape(8));
    FOR (i, literal(s32, 0), 8) {
      IF (i == limit) {
        return_from_kernel();
      }
      store_at(out, i, i);
    }
  });
  std::vector<int32_t> out(8, -1);
  p(3, out.data());
  EXPECT_THAT(out, ElementsAre(0, 1, 2, -1, -1, -1, -1, -1));
}

TEST(Control, HostLoopsUnrollAndHostIfsDecide) {
  ir::Kernel k = record("host", x86(), [](Block&) {
    Var x(s32, 0);
    for (int i = 0; i < 10; ++i)
      if (i % 2) x += i;
    bool loops = false;
    if (loops)
      FOR (i, 0, 3) {
        x += 1;
      }
    else
      x = 5;  // the else belongs to the host's if
  });
  EXPECT_EQ(ir::instruction_count(k.body), 1 + 5 * 2 + 1);
}

TEST(Control, KnownBoundsEnterTheLoopAtOnce) {
  auto entered = [](auto begin, auto end) {
    return record("k", x86(),
                  [&](Block&) {
                    FOR (i, begin, end) {
                    }
                  })
        .body.back()
        .loop->entered;
  };
  EXPECT_TRUE(entered(0, 3));
  EXPECT_FALSE(entered(3, 3));
  EXPECT_FALSE(entered(4, 3));
}

// A mistake of the host inside a recorded block; `offset` lines below the call stands the block that must be
// named.
void expect_error(const std::string& message, int offset, const std::function<void(Block&)>& body,
                  Location l = Location::current()) {
  auto line = fmt::format("tests/dsl/control_test.cpp:{}: ", static_cast<int>(l.line()) + offset);
  EXPECT_THAT(error_of(x86(), body), AllOf(HasSubstr(line), HasSubstr(message)));
}

TEST(ControlErrors, HostJumpsOutOfRecordedBlocks) {
  Val yes = literal(pred, true);
  constexpr const char* kLeft = "the host left this recorded";
  // clang-format off: each block on the line of its call
  expect_error("FOR by break", 0, [&](Block&) { FOR (i, 0, 3) { break; } });
  expect_error("IF by break", 0, [&](Block&) { IF (yes) { break; } });
  expect_error("ELSE by break", 0, [&](Block&) { IF (yes) { } ELSE { break; } });
  expect_error("WHILE by break", 0, [&](Block&) { WHILE (yes) { break; } });
  expect_error(kLeft, 0, [&](Block&) { FOR (i, 0, 3) { return; } });
  expect_error(kLeft, 0, [&](Block&) { for (int k = 0; k < 3; ++k) { IF (yes) { if (k == 1) break; } } });
  expect_error(kLeft, 0, [&](Block&) { try { FOR (i, 0, 3) { throw 1; } } catch (int) {} });
  expect_error("IF by break", 0, [&](Block&) { FOR (i, 0, 3) { IF (i == 1) { goto out; } } out: return; });  // the inner one
  // clang-format on
}

TEST(ControlErrors, ExceptionsOfTheHostPassThrough) {
  EXPECT_THROW(record("k", x86(),
                      [](Block&) {
                        FOR (i, 0, 3) {
                          IF (i == 1) {
                            throw std::out_of_range("mine");
                          }
                        }
                      }),
               std::out_of_range);
  Program after(x86(), [](Block&) {});  // recording works again
}

TEST(ControlErrors, WrongPlacesAndTypes) {
  Val yes = literal(pred, true);
  // clang-format off: each mistake on the line of its call
  expect_error("BREAK outside of a loop", 0, [&](Block&) { BREAK; });
  expect_error("CONTINUE outside of a loop", 0, [&](Block&) { IF (yes) { CONTINUE; } });
  expect_error("BREAK outside of a loop", 0, [&](Block&) { FOR (i, 0, 3) {} BREAK; });
  expect_error("ELSE must follow an IF at once", 0, [&](Block&) { ELSE {} });
  expect_error("ELSE must follow an IF at once", 0, [&](Block&) { Var x(s32, 0); IF (yes) {} x = 1; ELSE {} });
  expect_error("ELSE must follow an IF at once", 0, [&](Block&) { Var x(s32, 0); IF (yes) {} ELSE { x = 1; } ELSE { x = 2; } });
  expect_error("ELSE must follow an IF at once", 0, [&](Block&) { IF (yes) { ELSE {} } });
  expect_error("a chain is written", 0, [&](Block&) { Var x(s32, 0); IF (yes) {} ELSE IF (yes) { x = 1; } ELSE { x = 2; } });
  expect_error("IF needs a predicate of one lane, not s32", 0, [&](Block&) { IF (Val(Var(s32, 1))) {} });
  expect_error("IF needs a predicate of one lane, not predx8", 0, [&](Block&) { IF (splat(Val(Var(s32, 1)), 8) == 1) {} });
  expect_error("WHILE needs a predicate", 0, [&](Block&) { WHILE (Val(Var(s32, 1))) {} });
  expect_error("the bounds have two types", 0, [&](Block&) { FOR (i, literal(s32, 0), literal(s64, 4)) {} });
  expect_error("its step has the type s32", 0, [&](Block&) { FOR (i, 0, 4, literal(s32, 1)) {} });
  expect_error("its step must be above 0", 0, [&](Block&) { FOR (i, 0, 4, 0) {} });
  expect_error("its step must be above 0", 0, [&](Block&) { FOR (i, 4, 0, -1) {} });
  expect_error("FOR counts integers, not f32", 0, [&](Block&) { FOR (i, literal(f32, 0), literal(f32, 4)) {} });
  expect_error("does not fit in u32", 0, [&](Block&) { FOR (i, literal(u32, 0), -4) {} });
  // clang-format on
}

// A value of a block is not there outside of it: the verifier finds the read.
TEST(ControlErrors, ValuesDoNotLeaveTheirBlock) {
  EXPECT_THAT(error_of(x86(),
                       [](Block& block) {
                         Tensor out = block.output("out", s64, shape(1));
                         Val inner, yes = Val(Var(s64, 1)) == 1;
                         IF (yes) {
                           inner = Val(Var(s64, 4)) * 3;
                         }
                         store_at(out, 0, inner);
                       }),
              HasSubstr("control_test.cpp"));
}

}  // namespace
}  // namespace rose::dsl::testing
