// The ELF loader on good, damaged and foreign objects, and compiling on many threads.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "kernel_builder.h"

namespace rose::codegen::x86::testing {
namespace {

using ir::f32, ir::s64, ir::u64;

// Uses constants from .rodata, so that it has relocations: out[0..15] = 2^in[0..15] + add.
ir::Kernel sample(double add) {
  Builder b(ir::parse_target("x86"), "sample");
  auto in = b.pointer("in"), out = b.pointer("out");
  auto v = b.one("ex2", f32.with_lanes(16), {b.load(f32.with_lanes(16), in)});
  b.store(out, b.one("add", v.type, {v, ir::constant(v.type, add)}));
  return b.kernel;
}

void expect_sample(Entry entry, float add) {
  std::array<float, 16> in, out;
  for (int i = 0; i < 16; ++i) in[i] = static_cast<float>(i - 8);
  uint64_t arguments[] = {address(in.data()), address(out.data()), 1, 1, 1};
  entry(arguments, 0, 0, 0, nullptr);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(out[i], std::ldexp(1.0f, i - 8) + add);
}

std::string message(std::string_view object, std::string_view entry = "sample") {
  try {
    load(object, entry);
  } catch (const CodegenError& e) {
    return e.what();
  }
  return "";
}

TEST(Loader, RunsCodeThatOutlivesItsObjectAndMoves) {
  LoadedKernel kept;
  {
    auto object = compile(sample(3));
    auto first = load(object, "sample");
    std::fill(object.begin(), object.end(), '\xcc');
    kept = std::move(first);
  }
  expect_sample(kept.entry(), 3);
  EXPECT_EQ(kept.bytes() % 4096, 0u);
  LoadedKernel other = load(compile(sample(4)), "sample");
  std::swap(kept, other);
  expect_sample(kept.entry(), 4);
  expect_sample(other.entry(), 3);
}

TEST(Loader, CompilesTheSameBytesAgain) { EXPECT_EQ(compile(sample(3)), compile(sample(3))); }

TEST(Loader, SaysWhatIsWrong) {
  auto object = compile(sample(1));
  EXPECT_NE(message(object, "simple").find("no function 'simple'"), std::string::npos);
  EXPECT_NE(message("").find("ends at byte 0"), std::string::npos);
  EXPECT_NE(message(std::string(4096, 'x')).find("not an x86-64 relocatable"), std::string::npos);
  auto arm = object;
  arm[18] = '\xb7';  // e_machine
  EXPECT_NE(message(arm).find("not an x86-64 relocatable"), std::string::npos);
}

TEST(Loader, SurvivesTruncatedAndMutatedObjects) {
  auto object = compile(sample(1));
  for (size_t n = 0; n < object.size(); ++n)
    EXPECT_NE(message(object.substr(0, n)), "") << "cut to " << n << " bytes";
  std::mt19937 random(11);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    auto damaged = object;
    for (int i = 0, n = 1 + static_cast<int>(random() % 4); i < n; ++i) {
      auto at = random() % damaged.size();
      if (random() % 3) {
        damaged[at] = static_cast<char>(random());
      } else if (at + 8 <= damaged.size()) {
        const uint64_t values[] = {0,          ~uint64_t{0}, uint64_t{1} << 63,
                                   0x7fffffff, 0xffffffff,   damaged.size()};
        std::memcpy(&damaged[at], &values[random() % 6], 8);
      }
    }
    refused += !message(damaged).empty();
  }
  EXPECT_GT(refused, 1000);  // the rest changed code or constants, which no loader can know
}

TEST(Compile, OnManyThreadsAtOnce) {
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 8; ++i, ++done) {
        auto kernel = load(compile(sample(t * 8 + i)), "sample");
        expect_sample(kernel.entry(), static_cast<float>(t * 8 + i));
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 32);
}

TEST(Compile, ShowsItsCodeToPeople) {
  auto kernel = sample(1);
  EXPECT_NE(llvm_ir(kernel).find("define void @sample(ptr"), std::string::npos);
  EXPECT_NE(assembly(kernel).find("sample:"), std::string::npos);
}

}  // namespace
}  // namespace rose::codegen::x86::testing
