#include "kernels/norm/layer_norm.h"

#include "dsl/fragment.h"
#include "dsl/grid.h"
#include "kernels/arguments.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

// One block per row. The variance is the mean of squared differences from the mean, which loses nothing where
// the mean is large; the row stays in registers meanwhile (on x86: in the first-level cache).
ir::Kernel layer_norm(const ir::Target& target, const LayerNormSpec& spec) {
  check_row_spec("layer_norm", spec.dtype, spec.hidden);
  if (spec.bias && !spec.weight)
    throw KernelError("layer_norm: a bias without a weight is not supported; set weight=1 or bias=0");
  Launch launch{.target = target,
                .threads = row_threads(target, spec.hidden, spec.dtype, spec.threads),
                .pdl = spec.pdl};
  return record("layer_norm", launch, [&](Block& block) {
    Shape rows = shape(dynamic("rows"), spec.hidden);
    auto x = block.input("x", spec.dtype, rows);
    auto residual = spec.residual ? block.inout("residual", spec.dtype, rows) : Tensor{};
    auto weight = spec.weight ? block.input("weight", spec.dtype, shape(spec.hidden)) : Tensor{};
    auto bias = spec.bias ? block.input("bias", spec.dtype, shape(spec.hidden)) : Tensor{};
    auto out = block.output("out", spec.dtype, rows);

    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    auto group = row_group(block, block.dimension("rows"));
    auto lanes = row_layout(block, group, spec.hidden, x.element_bytes());
    auto v = to(f32, load(x(group.row), lanes));
    if (spec.residual) {
      // What is normalised is the sum as the next layer will read it: rounded to dtype.
      auto sum = to(spec.dtype, v + to(f32, load(residual(group.row), lanes)));
      store(residual(group.row), sum);
      // A row too long for registers: each thread reads back what it wrote itself.
      v = to(f32, lanes.resident ? sum : load(residual(group.row), lanes));
    }
    double share = 1.0 / static_cast<double>(spec.hidden);
    auto difference = v - row_sum(block, v) * share;
    auto variance = row_sum(block, difference * difference) * share;
    auto normal = difference * rsqrt(variance + spec.epsilon);
    if (spec.weight) normal = normal * to(f32, load(weight, lanes));
    if (spec.bias) normal = normal + to(f32, load(bias, lanes));
    store(out(group.row), normal);
  });
}

LayerNorm::LayerNorm(runtime::Context& context, const LayerNormSpec& spec)
    : program_(&program(context, "layer_norm", spec, layer_norm)), spec_(spec) {}

void LayerNorm::operator()(runtime::Stream& stream, const Arguments& a) const {
  LaunchArguments list("layer_norm");
  list.add(a.x).add(a.rows);
  list.optional("residual", spec_.residual, a.residual);
  list.optional("weight", spec_.weight, a.weight);
  list.optional("bias", spec_.bias, a.bias);
  list.add(a.out);
  stream.launch(*program_, grid_of(a.rows), list.list());
}

CatalogEntry layer_norm_entry() {
  auto e = catalog_entry<LayerNormSpec>(
      "layer_norm", "layer norm of rows, with or without bias and residual addition", layer_norm,
      {"hidden=4096", "hidden=4096,residual=1", "hidden=384,dtype=f32", "hidden=8192,dtype=f16",
       "hidden=768,bias=0", "hidden=768,weight=0,bias=0"});
  e.bench_rows = 65536;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<LayerNormSpec>(text);
    struct Data {
      LayerNorm op;
      runtime::Buffer x, residual, weight, bias, out;
    };
    int64_t count = rows * spec.hidden;
    auto data = std::make_shared<Data>(
        Data{LayerNorm(context, spec), random_buffer(context, spec.dtype, count, 1),
             random_buffer(context, spec.dtype, spec.residual ? count : 0, 2),
             random_buffer(context, spec.dtype, spec.weight ? spec.hidden : 0, 3),
             random_buffer(context, spec.dtype, spec.bias ? spec.hidden : 0, 4),
             context.device().allocate(static_cast<size_t>(count * spec.dtype.bits() / 8))});
    Case c;
    c.bytes = static_cast<double>(count) * spec.dtype.bits() / 8 * (spec.residual ? 4 : 2);
    c.launch = [data, rows](runtime::Stream& stream) {
      data->op(stream, {.x = data->x,
                        .residual = data->residual,
                        .weight = data->weight,
                        .bias = data->bias,
                        .out = data->out,
                        .rows = rows});
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
