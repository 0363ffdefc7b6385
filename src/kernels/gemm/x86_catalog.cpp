// The x86 products in the list of kernels.
#include "kernels/gemm/x86_gemm.h"

namespace rose::kernels {

CatalogEntry gemm_x86_entry() {
  auto e = catalog_entry<X86GemmSpec>("gemm_x86", "matrix product on x86, with plain or quantised weights",
                                      gemm_x86,
                                      {"weights=f32,dtype=f32,out=f32,n=1024,k=1024",
                                       "weights=bf16,n=1024,k=1024",
                                       "weights=s8,n=1024,k=1024",
                                       "weights=bf16,n=1024,k=1024,rows=1",
                                       "weights=bf16,n=1000,k=1023,bias=1,residual=1",
                                       "weights=f16,dtype=f32,n=576,k=576",
                                       "weights=q4_0,n=1024,k=1024",
                                       "weights=q4_1,n=1024,k=1024",
                                       "weights=q5_0,n=1024,k=1024",
                                       "weights=q5_1,n=1024,k=1024",
                                       "weights=q8_0,n=1024,k=1024",
                                       "weights=q2_k,n=1024,k=1024",
                                       "weights=q3_k,n=1024,k=1024",
                                       "weights=q4_k,n=1024,k=1024",
                                       "weights=q4_k,n=1024,k=1024,rows=1",
                                       "weights=q4_k,n=1024,k=1024,exact=1",
                                       "weights=q5_k,n=1024,k=1024",
                                       "weights=q6_k,n=1024,k=1024",
                                       "weights=iq4_nl,n=1024,k=1024",
                                       "weights=iq4_xs,n=1024,k=1024",
                                       "weights=mxfp4,n=1024,k=1024"},
                                      x86_only);
  e.bench_rows = 1024;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<X86GemmSpec>(text);
    spec.rows = 0;  // the operation chooses by the number of rows
    struct Data {
      X86Gemm op;
      runtime::Buffer a, weights, workspace, bias, residual, out;
    };
    X86Gemm op(context, spec);
    auto& device = context.device();
    int64_t workspace_bytes = op.workspace_bytes(rows), weight_bytes = op.weight_bytes(),
            out_bytes = rows * spec.n * spec.out.bits() / 8;
    auto data = std::make_shared<Data>(
        Data{std::move(op), random_buffer(context, spec.dtype, rows * spec.k, 1),
             device.allocate(static_cast<size_t>(weight_bytes)),
             device.allocate(static_cast<size_t>(std::max<int64_t>(1, workspace_bytes))),
             random_buffer(context, ir::f32, spec.n, 2), random_buffer(context, spec.out, rows * spec.n, 3),
             device.allocate(static_cast<size_t>(out_bytes))});
    context.stream().fill(data->weights, 0x2c,
                          data->weights.bytes());  // small positive numbers in every format
    Case c;
    c.bytes = static_cast<double>(weight_bytes + out_bytes * (spec.residual ? 2 : 1)) +
              static_cast<double>(rows * spec.k) * spec.dtype.bits() / 8;
    c.operations =
        2.0 * static_cast<double>(rows) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
    c.launch = [data, rows](runtime::Stream& stream) {
      data->op(stream,
               {.a = data->a,
                .weights = data->weights,
                .out = data->out,
                .workspace = data->workspace,
                .bias = data->bias,
                .residual = data->residual},
               rows);
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
