#include "kernels/activation/activation.h"

#include <fmt/format.h>

#include <cmath>

#include "dsl/fragment.h"
#include "dsl/grid.h"
#include "kernels/activation/functions.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

ir::Kernel activation(const ir::Target& target, const ActivationSpec& spec) {
  check_row_spec("activation", spec.dtype, spec.width);
  auto function = parse_activation("activation", spec.function);
  bool packed = spec.form == "packed", separate = spec.form == "separate";
  if (!packed && !separate && spec.form != "plain")
    throw KernelError(fmt::format("activation: form is '{}'; use packed, separate or plain", spec.form));
  Launch launch{.target = target,
                .threads = row_threads(target, spec.width, spec.dtype, spec.threads),
                .pdl = spec.pdl};
  if (!std::isfinite(spec.cap) || spec.cap < 0)
    throw KernelError(fmt::format("activation: cap is {}; use a positive number, or 0 for none", spec.cap));
  return record("activation", launch, [&](Block& block) {
    Shape rows = shape(dynamic("rows"), spec.width);
    auto x = block.input(separate ? "gate" : "x", spec.dtype,
                         packed ? shape(dynamic("rows"), 2 * spec.width) : rows);
    auto up = separate ? block.input("up", spec.dtype, rows) : Tensor{};
    auto out = block.output("out", spec.dtype, rows);

    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    auto group = row_group(block, block.dimension("rows"));
    auto lanes = row_layout(block, group, spec.width, x.element_bytes());
    Tensor row = x(group.row);
    auto gate = load(packed ? row.slice(0, spec.width) : row, lanes);
    Frag factor;  // loaded before the arithmetic starts, so that both rows are in flight
    if (packed) factor = load(row.slice(spec.width, spec.width), lanes);
    if (separate) factor = load(up(group.row), lanes);
    auto active = map(to(f32, gate), [function, cap = spec.cap](Val v) {
      return cap == 0 ? activate(function, v) : activate(function, v * (1 / cap)) * cap;
    });
    store(out(group.row), spec.form == "plain" ? active : active * to(f32, factor));
  });
}

ActivationKernel::ActivationKernel(runtime::Context& context, const ActivationSpec& spec)
    : program_(&program(context, "activation", spec, activation)), separate_(spec.form == "separate") {}

void ActivationKernel::operator()(runtime::Stream& stream, runtime::DevicePointer x,
                                  runtime::DevicePointer out, int64_t rows) const {
  if (separate_) throw KernelError("activation: this one was made for separate gate and up; pass both");
  stream.launch(*program_, grid_of(rows), {x, rows, out});
}

void ActivationKernel::operator()(runtime::Stream& stream, runtime::DevicePointer gate,
                                  runtime::DevicePointer up, runtime::DevicePointer out, int64_t rows) const {
  if (!separate_)
    throw KernelError("activation: this one was made for one input; set form=separate in its spec");
  stream.launch(*program_, grid_of(rows), {gate, rows, up, out});
}

CatalogEntry activation_entry() {
  auto e = catalog_entry<ActivationSpec>(
      "activation", "silu, gelu, relu or tanh of rows, gated (packed or separate) or plain", activation,
      {"width=4096", "width=4096,form=separate", "width=14336,function=gelu_tanh",
       "width=1536,function=gelu_erf,form=plain,dtype=f32",
       "width=6912,function=gelu_tanh,form=separate,dtype=f16", "width=4096,function=relu,form=plain",
       "width=768,function=tanh,form=plain", "width=4000,function=tanh,form=plain,cap=30,dtype=f32"});
  e.bench_rows = 65536;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<ActivationSpec>(text);
    struct Data {
      ActivationKernel op;
      runtime::Buffer x, up, out;
    };
    int64_t count = rows * spec.width;
    bool separate = spec.form == "separate", packed = spec.form == "packed";
    auto data = std::make_shared<Data>(Data{
        ActivationKernel(context, spec), random_buffer(context, spec.dtype, packed ? 2 * count : count, 1),
        random_buffer(context, spec.dtype, separate ? count : 0, 2),
        context.device().allocate(static_cast<size_t>(count * spec.dtype.bits() / 8))});
    Case c;
    c.bytes = static_cast<double>(count) * spec.dtype.bits() / 8 * (packed || separate ? 3 : 2);
    c.launch = [data, rows, separate](runtime::Stream& stream) {
      if (separate)
        data->op(stream, data->x, data->up, data->out, rows);
      else
        data->op(stream, data->x, data->out, rows);
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
