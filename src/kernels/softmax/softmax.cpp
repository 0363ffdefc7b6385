#include "kernels/softmax/softmax.h"

#include <limits>

#include "dsl/fragment.h"
#include "dsl/grid.h"
#include "kernels/arguments.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLog2E = 1.4426950408889634;

}  // namespace

// One block per row. Powers of two instead of e: the factor log2 e is part of the scale.
ir::Kernel softmax(const ir::Target& target, const SoftmaxSpec& spec) {
  check_row_spec("softmax", spec.dtype, spec.width);
  check_row_spec("softmax", spec.out_dtype, spec.width);
  Launch launch{.target = target,
                .threads = row_threads(target, spec.width, spec.dtype, spec.threads),
                .pdl = spec.pdl};
  return record("softmax", launch, [&](Block& block) {
    Shape rows = shape(dynamic("rows"), spec.width);
    auto x = block.input("x", spec.dtype, rows);
    auto mask = spec.mask ? block.input("mask", spec.dtype, shape(dynamic("masks"), spec.width)) : Tensor{};
    auto rows_per_mask = spec.mask ? block.scalar("rows_per_mask", s64) : Val{};
    auto lengths = spec.lengths ? block.input("lengths", s32, shape(dynamic("rows"))) : Tensor{};
    auto scale = block.scalar("scale", f32) * kLog2E;
    auto out = block.output("out", spec.out_dtype, rows);

    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    auto group = row_group(block, block.dimension("rows"));
    auto lanes = row_layout(block, group, spec.width, std::max(x.element_bytes(), out.element_bytes()));
    auto v = to(f32, load(x(group.row), lanes)) * scale;
    if (spec.mask) v = v + to(f32, load(mask(group.row / rows_per_mask), lanes)) * kLog2E;
    if (spec.lengths) {
      auto length = load(lengths, group.row);
      v = map_index(v, [length](Val e, Val index) {
        return select(lane_numbers(s32, e.lanes()) < length - to(s32, index), e,
                      literal(e.type(), -kInfinity));
      });
    }
    auto most = row_max(block, v);
    auto level = select(most == -kInfinity, 0.0, most);  // a row of -infinity: no difference of infinities
    if (spec.log) {
      auto difference = v - level;
      auto sum = row_sum(block, map(difference, [](Val e) { return exp2(e); }));
      store(out(group.row), (difference - log2(select(sum == 0.0, 1.0, sum))) * (1 / kLog2E));
    } else {
      auto power = map(v - level, [](Val e) { return exp2(e); });
      auto sum = row_sum(block, power);
      store(out(group.row), power * select(sum == 0.0, 0.0, rcp(sum)));
    }
  });
}

Softmax::Softmax(runtime::Context& context, const SoftmaxSpec& spec)
    : program_(&program(context, "softmax", spec, softmax)), spec_(spec) {}

void Softmax::operator()(runtime::Stream& stream, const Arguments& a) const {
  LaunchArguments list("softmax");
  list.add(a.x).add(a.rows).optional("mask", spec_.mask, a.mask);
  if (spec_.mask) {
    require(a.rows_per_mask > 0, "softmax", "rows_per_mask", a.rows_per_mask, "use at least 1");
    list.add((a.rows + a.rows_per_mask - 1) / a.rows_per_mask).add(a.rows_per_mask);
  }
  list.optional("lengths", spec_.lengths, a.lengths).add(a.scale).add(a.out);
  stream.launch(*program_, grid_of(a.rows), list.list());
}

CatalogEntry softmax_entry() {
  auto e = catalog_entry<SoftmaxSpec>(
      "softmax", "softmax or log-softmax of rows, with scale, mask and lengths", softmax,
      {"width=4096", "width=4096,mask=1", "width=4096,lengths=1", "width=1000,dtype=f32,out_dtype=f32",
       "width=32768,out_dtype=f32,log=1"});
  e.bench_rows = 65536;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<SoftmaxSpec>(text);
    struct Data {
      Softmax op;
      runtime::Buffer x, mask, lengths, out;
    };
    int64_t count = rows * spec.width;
    auto data = std::make_shared<Data>(
        Data{Softmax(context, spec), random_buffer(context, spec.dtype, count, 1),
             random_buffer(context, spec.dtype, spec.mask ? spec.width : 0, 2),
             context.device().allocate(static_cast<size_t>(spec.lengths ? rows * 4 : 0)),
             context.device().allocate(static_cast<size_t>(count * spec.out_dtype.bits() / 8))});
    if (spec.lengths)
      context.stream().fill_words(data->lengths, static_cast<uint32_t>(spec.width), data->lengths.bytes());
    Case c;
    c.bytes = static_cast<double>(count) * (spec.dtype.bits() + spec.out_dtype.bits()) / 8;
    c.launch = [data, rows](runtime::Stream& stream) {
      data->op(stream, {.x = data->x,
                        .out = data->out,
                        .mask = data->mask,
                        .lengths = data->lengths,
                        .rows = rows,
                        .rows_per_mask = rows});
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
