// The passes keep a kernel's meaning to the bit: random kernels run before and after each pass.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "codegen/x86/compile.h"
#include "codegen/x86/loader.h"
#include "interpreter.h"
#include "ir/passes.h"
#include "random_kernel.h"

namespace rose::ir {
namespace {

using test::random_kernel;

struct Memory {
  alignas(64) std::array<uint8_t, test::kRandomKernelBytes> bytes{};
  std::vector<uint64_t> arguments;

  explicit Memory(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (auto& b : bytes) b = static_cast<uint8_t>(random());
    // Parameters, then the grid.
    arguments = {reinterpret_cast<uint64_t>(bytes.data()),
                 static_cast<uint32_t>(random()),
                 random(),
                 0x40490fdb,
                 1,
                 1,
                 1};
  }
};

using Bytes = std::array<uint8_t, test::kRandomKernelBytes>;

Bytes interpreted(const Kernel& kernel, uint64_t seed) {
  Memory memory(seed);
  test::interpret(kernel, memory.arguments);
  return memory.bytes;
}

Bytes executed(const Kernel& kernel, uint64_t seed) {
  Memory memory(seed);
  auto loaded = codegen::x86::load(codegen::x86::compile(kernel), kernel.name);
  loaded.entry()(memory.arguments.data(), 0, 0, 0, nullptr);
  return memory.bytes;
}

// Without FMA, so that the back end has no choice of how to round.
Target plain() { return parse_target("x86:baseline"); }

TEST(RandomKernels, EachPassKeepsEveryBit) {
  int64_t before = 0, after = 0, wrong = 0;
  for (uint64_t seed = 0; seed < 2500 && wrong < 3; ++seed) {
    Kernel kernel = random_kernel(seed, plain());
    ASSERT_NO_THROW(verify(kernel)) << to_string(kernel);
    const Bytes expected = interpreted(kernel, seed);
    before += instruction_count(kernel.body);
    for (const Pass& pass : passes()) {
      Kernel last = kernel;
      pass.run(kernel);
      ASSERT_NO_THROW(verify(kernel)) << "seed " << seed << " after " << pass.name << "\n"
                                      << to_string(kernel);
      if (interpreted(kernel, seed) != expected) {
        ++wrong;
        ADD_FAILURE() << "seed " << seed << ": '" << pass.name << "' made of\n"
                      << to_string(last) << "\n"
                      << to_string(kernel);
        break;
      }
      Kernel twice = kernel;
      pass.run(twice);
      ASSERT_EQ(to_string(twice), to_string(kernel))
          << "seed " << seed << ": '" << pass.name << "' finds more the second time";
    }
    after += instruction_count(kernel.body);
  }
  EXPECT_LT(after, before * 9 / 10) << "the passes hardly did anything";
}

TEST(RandomKernels, MachineCodeAgreesBeforeAndAfter) {
  auto start = std::chrono::steady_clock::now();
  int kernels = 0;
  for (uint64_t seed = 10000;
       kernels < 2000 && std::chrono::steady_clock::now() - start < std::chrono::seconds(10);
       ++seed, ++kernels) {
    Kernel kernel = random_kernel(seed, plain());
    const Bytes expected = interpreted(kernel, seed);
    ASSERT_EQ(executed(kernel, seed), expected) << "seed " << seed << ", before the passes\n"
                                                << to_string(kernel);
    optimize(kernel);
    ASSERT_EQ(executed(kernel, seed), expected) << "seed " << seed << ", after the passes\n"
                                                << to_string(kernel);
  }
  RecordProperty("kernels", kernels);
  EXPECT_GE(kernels, 100);
}

}  // namespace
}  // namespace rose::ir
