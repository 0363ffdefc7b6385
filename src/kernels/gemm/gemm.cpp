#include "kernels/gemm/gemm.h"

#include <cstring>

#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_common.h"

namespace rose::kernels {

namespace {

// The kernel's Spec for a range of rows.
GemmSm90Spec many_rows(const GemmSpec& spec) {
  GemmSm90Spec s;
  static_cast<GemmSpec&>(s) = spec;
  return s;
}

}  // namespace

void pack_gated(const std::byte* gate, const std::byte* up, std::byte* packed, int64_t rows,
                size_t row_bytes) {
  require(rows >= 0 && rows % 8 == 0, "gemm", "rows of gate and up", rows, "use a multiple of 8");
  const size_t eight = 8 * row_bytes;
  for (int64_t i = 0; i < rows / 8; ++i, gate += eight, up += eight, packed += 2 * eight) {
    std::memcpy(packed, gate, eight);
    std::memcpy(packed + eight, up, eight);
  }
}

Gemm::Gemm(runtime::Context& context, const GemmSpec& spec) : context_(&context), spec_(spec) {
  check_gemm(runtime::target_of(context.properties()), spec, "gemm");
}

const runtime::Program& Gemm::program_for(int64_t) {
  auto& found = programs_[0];
  if (!found) found = &program(*context_, "gemm_sm90", many_rows(spec_), gemm_sm90);
  return *found;
}

void Gemm::prepare(int64_t max_m) { program_for(max_m); }

int64_t Gemm::workspace_bytes(int64_t) const { return 0; }

void Gemm::operator()(runtime::Stream& stream, const Operands& operands, int64_t m) {
  launch_gemm_sm90(*context_, stream, many_rows(spec_), program_for(m), operands, m);
}

}  // namespace rose::kernels
