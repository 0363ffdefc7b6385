#include "kernels/norm/rms_norm.h"

#include "dsl/fragment.h"
#include "dsl/grid.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

// One block per row. The row stays in registers between the two passes (on x86: in the first-level cache).
ir::Kernel rms_norm(const ir::Target& target, const RmsNormSpec& spec) {
  check_row_spec("rms_norm", spec.dtype, spec.hidden);
  Launch launch{.target = target,
                .threads = row_threads(target, spec.hidden, spec.dtype, spec.threads, spec.residual ? 1 : 2),
                .pdl = spec.pdl};
  return record("rms_norm", launch, [&](Block& block) {
    Shape rows = shape(dynamic("rows"), spec.hidden);
    auto x = block.input("x", spec.dtype, rows);
    auto residual = spec.residual ? block.inout("residual", spec.dtype, rows) : Tensor{};
    auto weight = block.input("weight", spec.dtype, shape(spec.hidden));
    auto out = block.output("out", spec.dtype, rows);

    auto group = row_group(block, block.dimension("rows"));
    auto lanes = row_layout(block, group, spec.hidden, x.element_bytes());
    Frag factor;  // no kernel writes it: read while the kernel ahead still runs
    if (spec.pdl) factor = load(weight, lanes);
    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    auto v = to(f32, load(x(group.row), lanes));
    if (spec.residual) {
      // What is normalised is the sum as the next layer will read it: rounded to dtype.
      auto sum = to(spec.dtype, v + to(f32, load(residual(group.row), lanes)));
      store(residual(group.row), sum);
      // A row too long for registers: each thread reads back what it wrote itself.
      v = to(f32, lanes.resident ? sum : load(residual(group.row), lanes));
    }
    auto scale = rsqrt(row_sum(block, v * v) * (1.0 / static_cast<double>(spec.hidden)) + spec.epsilon);
    auto w = to(f32, spec.pdl ? factor : load(weight, lanes));
    if (spec.weight_plus_one) w = map(w, [](Val e) { return e + 1.0; });
    store(out(group.row), v * scale * w);
  });
}

RmsNorm::RmsNorm(runtime::Context& context, const RmsNormSpec& spec)
    : program_(&program(context, "rms_norm", spec, rms_norm)), residual_(spec.residual) {}

void RmsNorm::operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer weight,
                         runtime::DevicePointer out, int64_t rows) const {
  if (residual_) throw KernelError("rms_norm: this one was made to add a residual; pass it");
  stream.launch(*program_, grid_of(rows), {x, rows, weight, out});
}

void RmsNorm::operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer residual,
                         runtime::DevicePointer weight, runtime::DevicePointer out, int64_t rows) const {
  if (!residual_)
    throw KernelError("rms_norm: this one was made without a residual; set residual in its spec");
  stream.launch(*program_, grid_of(rows), {x, rows, residual, weight, out});
}

CatalogEntry rms_norm_entry() {
  auto e = catalog_entry<RmsNormSpec>(
      "rms_norm", "root-mean-square norm of rows, with or without a residual addition", rms_norm,
      {"hidden=4096", "hidden=4096,residual=1", "hidden=576,dtype=f32", "hidden=8192,dtype=f16",
       "hidden=640,weight_plus_one=1"});
  e.bench_rows = 65536;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<RmsNormSpec>(text);
    struct Data {
      RmsNorm op;
      runtime::Buffer x, residual, weight, out;
    };
    int64_t count = rows * spec.hidden;
    auto data = std::make_shared<Data>(
        Data{RmsNorm(context, spec), random_buffer(context, spec.dtype, count, 1),
             random_buffer(context, spec.dtype, count, 2), random_buffer(context, spec.dtype, spec.hidden, 3),
             context.device().allocate(static_cast<size_t>(count * spec.dtype.bits() / 8))});
    Case c;
    c.bytes = static_cast<double>(count) * spec.dtype.bits() / 8 * (spec.residual ? 4 : 2);
    c.launch = [data, rows, residual = spec.residual](runtime::Stream& stream) {
      if (residual)
        data->op(stream, data->x, data->residual, data->weight, data->out, rows);
      else
        data->op(stream, data->x, data->weight, data->out, rows);
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
