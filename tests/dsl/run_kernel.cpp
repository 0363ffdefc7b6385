#include "run_kernel.h"

namespace rose::dsl::testing {

std::vector<Target> x86_targets() {
  auto host = ir::host_features();
  std::vector<Target> targets;
  if (!host.avx2) targets.push_back(ir::parse_target("x86:baseline"));
  if (host.avx2) targets.push_back(ir::parse_target("x86:avx2"));
  if (host.avx512) targets.push_back(ir::parse_target("x86:avx512"));
  return targets;
}

std::string error_of(const Launch& launch, const std::function<void(Block&)>& body) {
  try {
    ir::verify(record("test", launch, body));
  } catch (const IrError& e) {
    return e.what();
  }
  return "";
}

Program::Program(ir::Kernel kernel) : kernel_(std::move(kernel)) {
  ir::verify(kernel_);
  ir::optimize(kernel_);
  ir::verify(kernel_);
  loaded_ = codegen::x86::load(codegen::x86::compile(kernel_), kernel_.name);
  scratch_.resize(static_cast<size_t>(kernel_.shared_bytes + kernel_.shared_alignment));
}

void Program::run(std::vector<uint64_t> arguments, int64_t block) {
  arguments.insert(arguments.end(), {static_cast<uint64_t>(block) + 1, 1, 1});  // the grid
  void* scratch = scratch_.data();
  size_t space = scratch_.size();
  std::align(static_cast<size_t>(kernel_.shared_alignment), static_cast<size_t>(kernel_.shared_bytes),
             scratch, space);
  loaded_.entry()(arguments.data(), block, 0, 0, scratch);
}

std::vector<int64_t> computed(
    const std::function<void(Block&, const std::function<void(const Val&)>&)>& body) {
  constexpr int64_t kMost = 256;
  int64_t count = 0;
  Program program(x86(), [&](Block& block) {
    Tensor out = block.output("out", s64, shape(kMost));
    body(block, [&](const Val& v) {
      store_at(out, count++, v.type().is_pred() ? select(v, literal(s64, 1), literal(s64, 0)) : to(s64, v));
    });
  });
  std::vector<int64_t> out(static_cast<size_t>(kMost), -99);
  program(out.data());
  out.resize(static_cast<size_t>(count));
  return out;
}

}  // namespace rose::dsl::testing
