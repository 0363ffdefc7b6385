// Makes recorded kernels callable on this machine, for the tests of the language.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "codegen/x86/compile.h"
#include "codegen/x86/loader.h"
#include "dsl/block.h"

namespace rose::dsl::testing {

// The feature sets that this machine can run: AVX2 and AVX-512, where it has them, else the baseline.
std::vector<Target> x86_targets();
inline Launch x86() { return {.target = x86_targets().back()}; }
inline Launch hopper(int threads = 128) { return {.target = ir::parse_target("sm_90a"), .threads = threads}; }

// Where `record` throws, or the verifier behind it: the message; "" when neither does.
std::string error_of(const Launch& launch, const std::function<void(Block&)>& body);

// A kernel for x86 that was verified before and after the passes, as machine code with its scratch memory.
class Program {
 public:
  explicit Program(ir::Kernel kernel);
  Program(const Launch& launch, const std::function<void(Block&)>& body)
      : Program(record("test", launch, body)) {}

  // Runs one block. Arguments are pointers and numbers, in the order of the parameters.
  template <class... T>
  void operator()(T... arguments) {
    run({word(arguments)...}, 0);
  }
  void run(std::vector<uint64_t> arguments, int64_t block);
  const ir::Kernel& kernel() const { return kernel_; }

  template <class T>
  static uint64_t word(T value) {
    uint64_t bits = 0;
    static_assert(sizeof value <= sizeof bits);
    std::memcpy(&bits, &value, sizeof value);
    return bits;
  }

 private:
  ir::Kernel kernel_;
  codegen::x86::LoadedKernel loaded_;
  std::vector<std::byte> scratch_;
};

// The numbers that `body` stores in `out`, one for each call of `put`: the shortest way to ask what a few
// recorded lines compute.
std::vector<int64_t> computed(
    const std::function<void(Block& block, const std::function<void(const Val&)>& put)>& body);

}  // namespace rose::dsl::testing
