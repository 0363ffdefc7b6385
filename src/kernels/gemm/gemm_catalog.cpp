#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_common.h"
#include "kernels/gemm/sm90_decode.h"
#include "kernels/gemm/sm90_few.h"

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

CatalogEntry gemm_few_entry() {
  auto e = catalog_entry<GemmFewSpec>(
      "gemm_few",
      "bf16 and f16 matrix product on Hopper, few rows (weights stream through wgmma's tall side)", gemm_few,
      {"n=6144,k=4096", "n=4096,k=14336,tokens=16,stages=11,residual=1,pdl=1",
       "n=28672,k=4096,gated=1,activation=silu,tokens=64,stages=7",
       "n=1000,k=520,dtype=f16,out_dtype=f16,bias=1,activation=gelu_erf,residual=1,tokens=32,stages=9",
       "n=128256,k=4096,out_dtype=f32,blocks=132", "n=4096,k=4096,tokens=128,stages=4,residual=1",
       "n=4096,k=4096,tokens=128,rows=128,stages=7,resident=1,residual=1",
       "n=4096,k=4096,tokens=256,rows=128,stages=4,resident=1,gated=1,residual=1,bias=1",
       "n=4096,k=4096,steps=2,stages=6"},
      sm90_only);
  e.bench_rows = 1;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<GemmFewSpec>(text);
    const auto& kernel = program(context, "gemm_few", spec, gemm_few);
    auto bytes = static_cast<size_t>(gemm_few_counters(spec)) * 4;
    auto counters = std::make_shared<runtime::Buffer>(context.device().allocate(bytes));
    context.stream().fill_words(*counters, 0, bytes);
    return gemm_case(
        context, spec, rows, gemm_few_workspace_bytes(spec),
        [spec, counters, &context, &kernel](runtime::Stream& stream, const Gemm::Operands& o, int64_t m) {
          launch_gemm_few(context, stream, spec, kernel, o, *counters, m);
        });
  };
  return e;
}

CatalogEntry gemm_decode_entry() {
  auto e = catalog_entry<GemmDecodeSpec>(
      "gemm_decode",
      "bf16 and f16 matrix product on Hopper, up to 64 rows (rows of weights dealt to all processors)",
      gemm_decode,
      {"n=6144,k=4096,pdl=1", "n=4096,k=14336,tokens=16,steps=2,stages=5,residual=1,pdl=1",
       "n=28672,k=4096,gated=1,activation=silu,tokens=64,stages=6,cluster=2",
       "n=1000,k=520,dtype=f16,out_dtype=f16,bias=1,activation=gelu_erf,residual=1,tokens=32",
       "n=128256,k=4096,out_dtype=f32,resident=1", "n=4096,k=4096,tokens=64,stages=8,cluster=4,resident=1"},
      sm90_only);
  e.bench_rows = 1;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<GemmDecodeSpec>(text);
    const auto& kernel = program(context, "gemm_decode", spec, gemm_decode);
    return gemm_case(context, spec, rows, 0,
                     [spec, &context, &kernel](runtime::Stream& stream, const Gemm::Operands& o, int64_t m) {
                       launch_gemm_decode(context, stream, spec, kernel, o, m);
                     });
  };
  return e;
}

}  // namespace rose::kernels
