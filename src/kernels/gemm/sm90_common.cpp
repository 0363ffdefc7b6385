#include "kernels/gemm/sm90_common.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/activation/functions.h"

namespace rose::kernels {

using namespace dsl;

void check_gemm(const ir::Target& target, const GemmSpec& spec, const char* kernel) {
  if (target.arch != ir::Arch::kSm90a)
    throw KernelError(fmt::format("{} exists on sm_90a, not on {}", kernel, ir::to_string(target)));
  if (spec.dtype != bf16 && spec.dtype != f16)
    throw KernelError(fmt::format("{}: dtype is {}; use bf16 or f16", kernel, ir::to_string(spec.dtype)));
  if (spec.out_dtype != spec.dtype && spec.out_dtype != f32)
    throw KernelError(fmt::format("{}: out_dtype is {}; use {} (dtype) or f32", kernel,
                                  ir::to_string(spec.out_dtype), ir::to_string(spec.dtype)));
  int64_t multiple = spec.gated ? 16 : 8;
  require(spec.n >= multiple && spec.n % multiple == 0 && spec.n <= (1 << 24), kernel, "n", spec.n,
          fmt::format("use a multiple of {} up to 2^24", multiple));
  require(spec.k >= 8 && spec.k % 8 == 0 && spec.k <= (1 << 24), kernel, "k", spec.k,
          "use a multiple of 8 up to 2^24");
  if (spec.activation != "none") parse_activation(kernel, spec.activation);
}

Val gemm_activation(const GemmSpec& spec, const Val& x) {
  return spec.activation == "none" ? x : activate(parse_activation("gemm", spec.activation), x);
}

runtime::TensorMap gemm_map(runtime::Context& context, ir::Type dtype, runtime::DevicePointer base,
                            int64_t rows, int64_t columns, int64_t stride, int box_rows,
                            runtime::TensorMapL2 l2) {
  runtime::TensorMapSpec s;
  s.type = dtype == bf16 ? runtime::TensorMapType::kBf16 : runtime::TensorMapType::kF16;
  s.rank = 2, s.base = base, s.l2 = l2;
  s.dims = {static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), 1, 1, 1};
  s.strides = {static_cast<uint64_t>(stride) * 2, 0, 0, 0};
  s.box = {kGemmTileK, static_cast<uint32_t>(box_rows), 1, 1, 1};
  s.swizzle = runtime::TensorMapSwizzle::k128Bytes;
  return context.device().encode_tensor_map(s);
}

std::vector<runtime::Argument> arguments_by_name(
    const runtime::Program& program,
    std::initializer_list<std::pair<std::string_view, runtime::Argument>> values) {
  std::vector<runtime::Argument> list;
  for (const auto& parameter : program.source().parameters) {
    const runtime::Argument* found = nullptr;
    for (const auto& [name, value] : values)
      if (name == parameter.name) found = &value;
    if (!found) throw KernelError(fmt::format("gemm: nothing is given for parameter '{}'", parameter.name));
    list.push_back(*found);
  }
  return list;
}

Gemm::Operands checked_operands(const GemmSpec& spec, const Gemm::Operands& operands, int64_t m) {
  require(m >= 1 && m <= INT32_MAX / 2, "gemm", "m", m, "use 1 to 2^30");
  Gemm::Operands o = operands;
  if (o.a_stride == 0) o.a_stride = spec.k;
  if (o.out_stride == 0) o.out_stride = spec.out_columns();
  if (o.residual_stride == 0) o.residual_stride = spec.out_columns();
  auto stride = [](const char* name, int64_t value, int64_t least) {
    require(value >= least && value % 8 == 0, "gemm", name, value,
            fmt::format("use a multiple of 8 from {} on", least));
  };
  stride("a_stride", o.a_stride, spec.k);
  stride("out_stride", o.out_stride, spec.out_columns());
  stride("residual_stride", o.residual_stride, spec.out_columns());
  auto given = [](const char* name, runtime::DevicePointer pointer) {
    if (pointer.address == 0 || pointer.address % 16 != 0)
      throw KernelError(fmt::format("gemm: '{}' is at address {:#x}; pass a pointer aligned to 16 bytes",
                                    name, pointer.address));
  };
  given("a", o.a), given("weights", o.weights), given("out", o.out);
  if (spec.bias) given("bias", o.bias);
  if (spec.residual) given("residual", o.residual);
  return o;
}

Case gemm_case(runtime::Context& context, const GemmSpec& spec, int64_t m, int64_t workspace_bytes,
               GemmLaunch launch) {
  // What a launch reads comes round again after several times the cache's size.
  const int64_t weights = weight_bytes(spec), a = m * spec.k * 2,
                out = m * spec.out_columns() * spec.out_dtype.bits() / 8,
                residual = spec.residual ? m * spec.out_columns() * 2 : 0;
  const int64_t cold = 4 * static_cast<int64_t>(context.properties().l2_bytes);
  struct Data {
    std::vector<runtime::Buffer> weights, a, residual, out;
    runtime::Buffer bias, workspace;
    size_t turn = 0;
  };
  auto data = std::make_shared<Data>();
  const int64_t sets = std::clamp<int64_t>(ceil_div(cold, weights + a + out + residual), 1, 64);
  auto padded = [](int64_t bytes) { return static_cast<size_t>((bytes + 255) / 256 * 256); };
  for (int64_t i = 0; i < sets; ++i) {
    if (i == 0) {
      data->weights.push_back(random_buffer(context, spec.dtype, weights / 2, 1));
      data->a.push_back(random_buffer(context, spec.dtype, m * spec.k, 2));
      data->residual.push_back(random_buffer(context, spec.dtype, residual / 2, 3));
    } else {
      auto copy = [&](std::vector<runtime::Buffer>& list, int64_t bytes) {
        list.push_back(context.device().allocate(padded(bytes)));
        if (bytes) context.stream().copy(list.back(), list.front(), static_cast<size_t>(bytes));
      };
      copy(data->weights, weights), copy(data->a, a), copy(data->residual, residual);
    }
    data->out.push_back(context.device().allocate(padded(out)));
  }
  data->bias = random_buffer(context, f32, spec.n, 4);
  data->workspace = context.device().allocate(padded(workspace_bytes));
  Case c;
  c.bytes = static_cast<double>(weights + a + out + residual);
  c.operations = 2.0 * static_cast<double>(m) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
  c.launch = [data, spec, m, launch = std::move(launch)](runtime::Stream& stream) {
    size_t i = data->turn++ % data->weights.size();
    launch(stream,
           {.a = data->a[i],
            .weights = data->weights[i],
            .out = data->out[i],
            .bias = data->bias,
            .residual = data->residual[i],
            .workspace = data->workspace},
           m);
  };
  return c;
}

}  // namespace rose::kernels
