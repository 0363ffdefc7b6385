#include "kernel_builder.h"

namespace rose::codegen::x86::testing {

std::vector<ir::Target> runnable_targets() {
  auto host = ir::host_features();
  std::vector<ir::Target> targets;
  for (const char* name : {"x86:baseline", "x86:avx2", "x86:avx512", "x86:avx512+bf16+vnni"}) {
    auto target = ir::parse_target(name);
    const auto& f = target.x86;
    if ((f.avx2 && !host.avx2) || (f.avx512 && !host.avx512) || (f.avx512_bf16 && !host.avx512_bf16) ||
        (f.avx512_vnni && !host.avx512_vnni))
      continue;
    targets.push_back(target);
  }
  return targets;
}

}  // namespace rose::codegen::x86::testing
