// What each pass rewrites, and what it must leave alone, one small kernel at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "hand_kernel.h"
#include "interpreter.h"
#include "ir/passes.h"

namespace rose::ir {
namespace {

using test::HandKernel;
using ::testing::HasSubstr;
using ::testing::Not;

// A kernel of one u64 buffer and scalars: store() makes results visible.
struct Case : HandKernel {
  Operand buffer;
  int stores = 0;

  Case() : HandKernel(1, Arch::kX86) {
    kernel.target = parse_target("x86:baseline");
    kernel.shared_bytes = 0;
    buffer = parameter("buffer", Parameter::Kind::kPointer, u64);
  }
  Operand parameter(const char* name, Parameter::Kind kind, Type type) {
    kernel.parameters.push_back({name, kind, type});
    return emit("parameter", type, {}, {static_cast<int64_t>(kernel.parameters.size()) - 1});
  }
  Operand scalar(Type type) { return parameter("x", Parameter::Kind::kScalar, type); }
  void store(const Operand& value) { append("st.global", value.type, {}, {buffer, value}, {8 * stores++}); }
  static Operand number(Type type, int64_t value) { return constant(type, value); }

  // The text after one pass, without the lines of the source.
  std::string after(void (*pass)(Kernel&)) {
    pass(kernel);
    verify(kernel);
    std::string text, all = to_string(kernel);
    for (size_t at = 0; at < all.size();) {
      size_t end = all.find('\n', at);
      std::string line = all.substr(at, end - at);
      line = line.substr(0, line.find("  //"));
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
      at = end + 1;
    }
    return text;
  }
  // What the kernel stores, given the scalar.
  std::vector<uint64_t> run(uint64_t scalar) {
    std::vector<uint64_t> memory(64, 0);
    std::vector<uint64_t> arguments{reinterpret_cast<uint64_t>(memory.data()), scalar};
    test::interpret(kernel, arguments);
    memory.resize(static_cast<size_t>(stores));
    return memory;
  }
};

// The operand that the first store writes after folding.
std::string folded(Type type, const std::function<Operand(Case&, const Operand&)>& expression) {
  Case c;
  Operand x = c.scalar(type);
  c.store(expression(c, x));
  std::string text = c.after(fold_constants);
  auto at = text.find("st.global");
  text = text.substr(text.find(", ", at) + 2);
  return text.substr(0, text.find(" #"));
}

TEST(Fold, IdentitiesOfIntegers) {
  auto op = [](const char* row, int64_t constant, bool left = false) {
    return folded(s32, [&](Case& c, const Operand& x) {
      Operand k = c.number(s32, constant);
      return c.emit(row, s32, left ? std::vector<Operand>{k, x} : std::vector<Operand>{x, k});
    });
  };
  for (const char* row : {"add", "sub", "or", "xor"}) EXPECT_EQ(op(row, 0), "%1") << row;
  for (const char* row : {"add", "or", "xor"}) EXPECT_EQ(op(row, 0, true), "%1") << row;
  for (const char* row : {"mul.lo", "div"}) EXPECT_EQ(op(row, 1), "%1") << row;
  EXPECT_EQ(op("mul.lo", 1, true), "%1");
  EXPECT_EQ(op("mul.lo", 0), "0");
  // Near misses.
  EXPECT_EQ(op("sub", 0, true), "%2");
  EXPECT_EQ(op("div", 1, true), "%2");
  EXPECT_EQ(op("mul.lo", -1), "%2");
  EXPECT_EQ(op("and", 0), "%2");
  EXPECT_EQ(op("min", 0), "%2");
  for (const char* row : {"shl", "shr"}) {
    EXPECT_EQ(folded(s32, [&](Case& c,
                              const Operand& x) { return c.emit(row, s32, {x, constant(u32, int64_t{0})}); }),
              "%1")
        << row;
    EXPECT_EQ(folded(s32, [&](Case& c,
                              const Operand& x) { return c.emit(row, s32, {x, constant(u32, int64_t{1})}); }),
              "%2")
        << row;
  }
}

TEST(Fold, ConstantsOfEveryWidth) {
  auto op = [](const char* row, Type type, int64_t a, int64_t b) {
    return folded(type, [&](Case& c, const Operand&) {
      return c.emit(row, type, {c.number(type, a), c.number(type, b)});
    });
  };
  EXPECT_EQ(op("add", u16, 65535, 2), "1");
  EXPECT_EQ(op("sub", u32, 1, 2), "4294967295");
  EXPECT_EQ(op("mul.lo", s16, 300, 300), std::to_string(static_cast<int16_t>(90000)));
  EXPECT_EQ(op("div", s32, -7, 2), "-3");
  EXPECT_EQ(op("rem", s32, -7, 2), "-1");
  EXPECT_EQ(op("div", u32, 0xfffffff9, 2), "2147483644");
  EXPECT_EQ(op("min", s64, -1, 1), "-1");
  EXPECT_EQ(op("max", u64, -1, 1), "-1") << "2^64 - 1, printed as the bits' signed value";
  EXPECT_EQ(op("div", s32, 5, 0), "%2") << "left to run time";
  EXPECT_EQ(op("div", s32, -2147483648, -1), "%2") << "left to run time";
  auto shift = [](const char* row, Type type, int64_t a, int64_t count) {
    return folded(type, [&](Case& c, const Operand&) {
      return c.emit(row, type, {c.number(type, a), c.number(u32, count)});
    });
  };
  EXPECT_EQ(shift("shl", u16, 0x8001, 1), "2");
  EXPECT_EQ(shift("shl", u32, 1, 32), "0");
  EXPECT_EQ(shift("shl", u32, 1, 65), "0");
  EXPECT_EQ(shift("shr", s32, -8, 1), "-4");
  EXPECT_EQ(shift("shr", s32, -8, 40), "-1");
  EXPECT_EQ(shift("shr", u16, 0x8000, 200), "0");
  EXPECT_EQ(folded(s32,
                   [](Case& c, const Operand&) {
                     return c.emit("mul.wide.s32", {}, {c.number(s32, -2), c.number(s32, 1 << 30)});
                   }),
            "-2147483648");
  EXPECT_EQ(
      folded(s32, [](Case& c, const Operand&) { return c.emit("cvt.s64.s32", {}, {c.number(s32, -5)}); }),
      "-5");
  EXPECT_EQ(
      folded(s32,
             [](Case& c, const Operand&) { return c.emit("cvt.u64.u32", {}, {c.number(u32, 0xfffffffb)}); }),
      "4294967291");
  EXPECT_EQ(folded(s32, [](Case& c,
                           const Operand&) { return c.emit("cvt.s16.u64", {}, {c.number(u64, 0x18000)}); }),
            "-32768");
}

TEST(Fold, LeavesFloatsAlone) {
  const Operand zero = constant(f32, 0.0), minus_zero = constant(f32, -0.0), one = constant(f32, 1.0);
  auto op = [](const char* row, const Operand& a) {
    return folded(f32, [&](Case& c, const Operand& x) { return c.emit(row, f32, {x, a}); });
  };
  EXPECT_EQ(op("add", zero), "%2") << "-0 + 0 is +0";
  EXPECT_EQ(op("add", minus_zero), "%2");
  EXPECT_EQ(op("sub", zero), "%2");
  EXPECT_EQ(op("mul", one), "%2");
  EXPECT_EQ(op("mul", zero), "%2") << "NaN and infinity times 0 are NaN, -1 * 0 is -0";
  EXPECT_EQ(op("div.rn", one), "%2");
  EXPECT_EQ(folded(f32, [&](Case& c, const Operand&) { return c.emit("add", f32, {one, one}); }), "%2");
  EXPECT_EQ(folded(f32, [&](Case& c, const Operand& x) { return c.emit("sub", f32, {x, x}); }), "%2");
  // (x + 1) + 2 rounds twice.
  Case c;
  Operand x = c.scalar(f32), sum = c.emit("add", f32, {x, one});
  c.store(c.emit("add", f32, {sum, constant(f32, 2.0)}));
  EXPECT_THAT(c.after(fold_constants), HasSubstr("add f32 %2, 2"));
  // Bits of a float constant are an integer's.
  EXPECT_EQ(folded(s32, [&](Case& k, const Operand&) { return k.emit("bitcast", u32, {one}); }),
            "1065353216");
  // The back end keeps what fold kept: -0 + 0 is +0.
  Case bits;
  bits.store(bits.emit("add", f32, {bits.scalar(f32), zero}));
  fold_constants(bits.kernel), merge_common_expressions(bits.kernel), reduce_strength(bits.kernel),
      remove_dead_code(bits.kernel);
  EXPECT_EQ(bits.run(0x80000000u)[0], 0u);
}

TEST(Fold, JoinsAdditionsThatWrapAround) {
  Case c;
  Operand x = c.scalar(u16);
  Operand a = c.emit("add", u16, {x, c.number(u16, 65000)}), b = c.emit("add", u16, {c.number(u16, 1000), a});
  c.store(c.emit("add", u16, {b, c.number(u16, 10)}));
  auto before = c.run(5);
  EXPECT_THAT(c.after(fold_constants), HasSubstr("add u16 %1, 474"));  // 66010 - 65536
  EXPECT_EQ(c.run(5), before);
}

TEST(Fold, KeepsSnapshotsOfVariables) {
  Case c;
  Operand x = c.scalar(s32), v = c.variable(s32);
  c.assign(v, x);
  Operand snapshot = c.emit("mov", s32, {v}), sum = c.emit("add", s32, {v, c.number(s32, 1)});
  c.assign(v, c.number(s32, 7));
  c.store(snapshot), c.store(c.emit("add", s32, {sum, c.number(s32, 2)})), c.store(v);
  auto before = c.run(5);
  c.after(fold_constants);
  c.after(merge_common_expressions);
  EXPECT_EQ(c.run(5), before);
  EXPECT_EQ(before, (std::vector<uint64_t>{5, 8, 7}));
}

std::string address(const std::vector<int64_t>& parts, int64_t offset) {
  Case c;
  Operand x = c.scalar(u64);
  for (int64_t part : parts) x = c.emit("add", u64, {x, c.number(u64, part)});
  c.append("st.global", u32, {}, {x, c.number(u32, 1)}, {offset});
  std::string text = c.after(fold_constants);
  text = text.substr(text.find("st.global"));
  return text.substr(0, text.find('\n'));
}

TEST(Fold, AddressesTakeConstantsUpToTheLimit) {
  const int64_t most = 1 << 23;
  EXPECT_EQ(address({16}, 4), "st.global u32 %1, 1 #20");
  EXPECT_EQ(address({16, 32, -8}, 0), "st.global u32 %1, 1 #40");
  EXPECT_EQ(address({most - 1}, 0), "st.global u32 %1, 1 #8388607");
  EXPECT_EQ(address({most}, 0), "st.global u32 %2, 1 #0");
  EXPECT_EQ(address({most - 1}, 1), "st.global u32 %2, 1 #1");
  EXPECT_EQ(address({-most}, 0), "st.global u32 %1, 1 #-8388608");
  EXPECT_EQ(address({-most}, -1), "st.global u32 %2, 1 #-1");
  EXPECT_EQ(address({INT64_MAX}, 100), "st.global u32 %2, 1 #100");
  EXPECT_EQ(address({INT64_MIN}, -100), "st.global u32 %2, 1 #-100");
}

// The sum was made of the variable's old value.
TEST(Fold, AddressesOfVariablesStay) {
  Case c;
  Operand v = c.variable(u64);
  c.assign(v, c.buffer);
  Operand address = c.emit("add", u64, {v, c.number(u64, 8)});
  c.assign(v, c.emit("add", u64, {c.buffer, c.number(u64, 64)}));
  c.append("st.global", u64, {}, {address, c.number(u64, 5)}, {0});
  c.append("st.global", u64, {}, {v, c.number(u64, 6)}, {0});
  c.stores = 10;
  auto before = c.run(0);
  EXPECT_EQ(before[1], 5u);
  EXPECT_EQ(before[8], 6u);
  c.after(fold_constants);
  EXPECT_EQ(c.run(0), before);
}

// How many additions a kernel with `x + x` in several places keeps.
int64_t additions(Case& c) {
  c.after(merge_common_expressions);
  std::string text = c.after(remove_dead_code);
  int64_t count = 0;
  for (size_t at = text.find("add s32"); at != text.npos; at = text.find("add s32", at + 1)) ++count;
  return count;
}

TEST(Merge, KnowsWhatDominates) {
  auto twice = [](Case& c, const Operand& x) { return c.emit("add", s32, {x, x}); };
  {  // before and inside a branch, a loop's test, body and step
    Case c;
    Operand x = c.scalar(s32);
    c.store(twice(c, x));
    c.branch(
        c.compare(Comparison::kGt, x, c.number(s32, 0)), [&] { c.store(twice(c, x)); },
        [&] { c.store(twice(c, x)); });
    Operand v = c.variable(s32);
    c.assign(v, c.number(s32, 0));
    c.while_([&] { return c.compare(Comparison::kLt, v, twice(c, x)); }, [&] { c.assign(v, twice(c, x)); });
    EXPECT_EQ(additions(c), 1);
  }
  {  // both branches and behind them: none dominates another
    Case c;
    Operand x = c.scalar(s32);
    c.branch(
        c.compare(Comparison::kGt, x, c.number(s32, 0)), [&] { c.store(twice(c, x)); },
        [&] { c.store(twice(c, x)); });
    c.store(twice(c, x));
    EXPECT_EQ(additions(c), 3);
  }
  {  // the test dominates body and what follows; a body nothing behind the loop
    Case c;
    Operand x = c.scalar(s32), v = c.variable(s32);
    c.assign(v, x);
    c.while_([&] { return c.compare(Comparison::kLt, v, twice(c, x)); }, [&] { c.assign(v, twice(c, x)); });
    c.store(twice(c, x));
    EXPECT_EQ(additions(c), 2);
    Case d;
    x = d.scalar(s32), v = d.variable(s32);
    d.assign(v, x);
    d.while_([&] { return d.compare(Comparison::kLt, v, x); }, [&] { d.assign(v, twice(d, x)); });
    d.store(twice(d, x));
    EXPECT_EQ(additions(d), 2);
  }
}

TEST(Merge, KeepsDifferentThingsApart) {
  Case c;
  Operand x = c.scalar(s32), v = c.variable(s32);
  c.assign(v, x);
  Operand first = c.emit("add", s32, {v, c.number(s32, 1)});
  c.assign(v, c.number(s32, 9));
  Operand second = c.emit("add", s32, {v, c.number(s32, 1)});  // of another value of the variable
  c.store(first), c.store(second);
  Operand low = c.emit("ld.global", s32, {c.buffer}, {0});
  c.store(c.number(s32, 77));
  Operand again = c.emit("ld.global", s32, {c.buffer}, {16});  // memory has changed
  c.store(low), c.store(again);
  c.store(c.emit("sub", s32, {x, first})), c.store(c.emit("sub", s32, {first, x}));
  c.store(c.emit("selp", s32, {x, first, c.emit("setp", s32, {x, first}, {2})})),
      c.store(c.emit("cvt.s64.s32", {}, {x}));
  c.store(c.emit("shr", s32, {x, c.number(u32, 1)})),
      c.store(c.emit("shr", u32, {c.emit("bitcast", u32, {x}), c.number(u32, 1)}));
  auto before = c.run(static_cast<uint32_t>(-5));
  c.after(merge_common_expressions);
  EXPECT_EQ(c.run(static_cast<uint32_t>(-5)), before);
}

TEST(Dead, DropsWhatNobodyReads) {
  Case c;
  Operand x = c.scalar(s32), v = c.variable(s32), unread = c.variable(s32);
  c.assign(v, x);
  c.loop(3, [&] {
    Operand chain = c.emit("mul.lo", s32, {x, x});
    chain = c.emit("add", s32, {chain, x});
    c.assign(unread, chain);  // a variable that only collects
    c.emit("ld.global", s32, {c.buffer}, {0});
    c.assign(v, c.emit("add", s32, {v, c.number(s32, 1)}));
    c.branch(c.compare(Comparison::kGt, v, x), [&] { c.emit("neg", s32, {v}); });
  });
  c.store(v);
  auto before = c.run(5);
  std::string text = c.after(remove_dead_code);
  EXPECT_THAT(text, Not(HasSubstr("mul.lo")));
  EXPECT_THAT(text, Not(HasSubstr("ld.global")));
  EXPECT_THAT(text, Not(HasSubstr("neg")));
  EXPECT_EQ(c.run(5), before);
  EXPECT_EQ(before[0], 8u);
}

TEST(Strength, PowersOfTwo) {
  auto op = [](const char* row, Type type, uint64_t k) {
    Case c;
    c.store(c.emit(row, type, {c.scalar(type), {kNoReg, type, k}}));
    std::string text = c.after(reduce_strength);
    text = text.substr(text.find("%2 = ") + 5);
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(op("mul.lo", s32, 8), "shl s32 %1, 3");
  EXPECT_EQ(op("mul.lo", u64, 1ull << 63), "shl u64 %1, 63");
  EXPECT_EQ(op("mul.lo", s32, 6), "mul.lo s32 %1, 6");
  EXPECT_EQ(op("mul.lo", s32, 0x80000000), "mul.lo s32 %1, -2147483648");
  EXPECT_EQ(op("div", u32, 16), "shr u32 %1, 4");
  EXPECT_EQ(op("rem", u32, 16), "and u32 %1, 15");
  EXPECT_EQ(op("div", s32, 16), "div s32 %1, 16") << "rounds to zero, a shift down";
  EXPECT_EQ(op("rem", s32, 16), "rem s32 %1, 16");
  EXPECT_EQ(op("div", u32, 10), "div u32 %1, 10");
  EXPECT_EQ(op("mul", f32, constant(f32, 2.0).bits), "mul f32 %1, 2");
}

// for (i = 3; i != last; i += step) { store; body(i) } with a counter of the type.
void count(Case& c, Type type, int64_t turns, int64_t step,
           const std::function<void(const Operand& i, const Operand& counter)>& body) {
  Operand counter = c.variable(type), last = {kNoReg, type, constant(type, 3 + turns * step).bits};
  c.assign(counter, c.number(type, 3));
  c.while_([&] { return c.compare(Comparison::kNe, counter, last); },
           [&] { body(c.emit("mov", type, {counter}), counter); });
  c.blocks.push_back(&(c.blocks.empty() ? c.kernel.body : *c.blocks.back()).back().loop->step);
  c.assign(counter, c.emit("add", type, {counter, c.number(type, step)}));
  c.blocks.pop_back();
}

TEST(Strength, ProductsOfCountersBecomeSums) {
  for (int64_t step : {1, 5, -1, -7})
    for (int64_t factor : {3, -3, 100, 1000003}) {
      Case c;
      Operand total = c.variable(s64);
      c.assign(total, c.number(s64, 0));
      count(c, s64, 9, step, [&](const Operand& i, const Operand&) {
        c.branch(c.compare(Comparison::kEq, i, c.number(s64, 3 + 2 * step)),
                 [&] { c.jump(Statement::Kind::kContinue); });
        Operand product = c.emit("mul.lo", s64, {i, c.number(s64, factor)});
        c.assign(total, c.emit("xor", s64, {c.emit("mul.lo", s64, {total, c.number(s64, 31)}), product}));
        count(c, s64, 4, 2, [&](const Operand& j, const Operand&) {
          c.assign(total, c.emit("add", s64, {total, c.emit("mul.lo", s64, {j, c.number(s64, 7)})}));
        });
      });
      c.store(total);
      auto before = c.run(0);
      std::string text = c.after(reduce_strength);
      EXPECT_EQ(c.run(0), before) << step << " " << factor;
      EXPECT_THAT(text, Not(HasSubstr(fmt::format(" = mul.lo s64 %7, {}\n", factor))));
      int64_t in_loop = text.find("loop {") < text.find(fmt::format(", {}\n", factor)) ? 1 : 0;
      EXPECT_EQ(in_loop, 0) << "the product with " << factor << " must stand before the loop\n" << text;
    }
}

TEST(Strength, LeavesOtherLoopsAlone) {
  auto unchanged = [](const std::function<void(Case&)>& write) {
    Case c;
    write(c);
    std::string before = to_string(c.kernel);
    reduce_strength(c.kernel);
    return to_string(c.kernel) == before;
  };
  auto product = [](Case& c, const Operand& i) {
    c.store(c.emit("mul.lo", i.type, {i, Case::number(i.type, 3)}));
  };
  EXPECT_FALSE(unchanged(
      [&](Case& c) { count(c, s64, 4, 1, [&](const Operand& i, const Operand&) { product(c, i); }); }));
  EXPECT_TRUE(unchanged(
      [&](Case& c) { count(c, s32, 4, 1, [&](const Operand& i, const Operand&) { product(c, i); }); }));
  EXPECT_TRUE(unchanged([&](Case& c) {  // the body moves the counter itself
    count(c, s64, 4, 1, [&](const Operand& i, const Operand& counter) {
      product(c, i), c.assign(counter, c.emit("add", s64, {counter, Case::number(s64, 1)}));
    });
  }));
  EXPECT_TRUE(unchanged([&](Case& c) {  // … or a block inside of it
    count(c, s64, 4, 1, [&](const Operand& i, const Operand& counter) {
      product(c, i);
      c.branch(c.compare(Comparison::kEq, i, Case::number(s64, 4)),
               [&] { c.assign(counter, Case::number(s64, 5)); });
    });
  }));
  EXPECT_TRUE(unchanged([&](Case& c) {  // sums of rounded numbers are no products
    Operand counter = c.variable(f64), step = constant(f64, 0.1);
    c.assign(counter, constant(f64, 0.0));
    c.while_([&] { return c.emit("setp", f64, {counter, constant(f64, 1.0)}, {2}); },
             [&] { c.store(c.emit("mul", f64, {c.emit("mov", f64, {counter}), constant(f64, 3.0)})); });
    c.blocks.push_back(&c.kernel.body.back().loop->step);
    c.assign(counter, c.emit("add", f64, {counter, step}));
    c.blocks.pop_back();
  }));
}

TEST(Optimize, TellsOfEachPassInOrder) {
  Case c;
  c.store(c.scalar(s32));
  std::vector<std::string> names;
  optimize(
      c.kernel,
      [](const char* name, const Kernel&, void* user) {
        static_cast<std::vector<std::string>*>(user)->push_back(name);
      },
      &names);
  EXPECT_THAT(names,
              ::testing::ElementsAre("fold", "merge", "strength", "fold again", "merge again", "dead code"));
}

}  // namespace
}  // namespace rose::ir
