#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_common.h"

namespace rose::kernels {

CatalogEntry gemm_entry() {
  auto e = catalog_entry<GemmSpec>(
      "gemm", "matrix product of a layer on Hopper: the kernel that fits the number of rows",
      [](const ir::Target& target, const GemmSpec& spec) {
        GemmSm90Spec s;
        static_cast<GemmSpec&>(s) = spec;
        return gemm_sm90(target, s);
      },
      {"n=6144,k=4096", "n=4096,k=4096", "n=28672,k=4096", "n=4096,k=14336", "n=128256,k=4096"}, sm90_only);
  e.bench_rows = 1;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto gemm = std::make_shared<Gemm>(context, parse_spec<GemmSpec>(text));
    gemm->prepare(rows);
    return gemm_case(
        context, gemm->spec(), rows, gemm->workspace_bytes(rows),
        [gemm](runtime::Stream& stream, const Gemm::Operands& o, int64_t m) { (*gemm)(stream, o, m); });
  };
  return e;
}

}  // namespace rose::kernels
