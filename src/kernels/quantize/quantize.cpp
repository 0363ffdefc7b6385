#include "kernels/quantize/quantize.h"

#include <fmt/format.h>

#include <bit>

#include "dsl/fragment.h"
#include "kernels/row_groups.h"

namespace rose::kernels {

using namespace dsl;

namespace {

void check(const QuantizeSpec& s) {
  check_row_spec("quantize", s.dtype, s.width);
  if (s.out_dtype != e4m3 && s.out_dtype != e5m2 && s.out_dtype != s8)
    throw KernelError(
        fmt::format("quantize: out_dtype is {}; use e4m3, e5m2 or s8", ir::to_string(s.out_dtype)));
  if (s.scales != "tensor" && s.scales != "token" && s.scales != "block")
    throw KernelError(fmt::format("quantize: scales is '{}'; use tensor, token or block", s.scales));
  if (s.scales != "block") return;
  require(s.block >= 16 && s.block <= 1024 && std::has_single_bit(static_cast<uint64_t>(s.block)), "quantize",
          "block", s.block, "use a power of two from 16 to 1024");
  require(s.width % s.block == 0, "quantize", "width", s.width,
          fmt::format("blocks of {} must divide it", s.block));
}

// A row that shares a scale is a row of the kernel: a whole row, or a block of one.
int64_t length_of(const QuantizeSpec& s) { return s.scales == "block" ? s.block : s.width; }

RowGroups groups_of(const ir::Target& target, const QuantizeSpec& s) {
  if (s.scales == "block") return row_groups(target, s.block, s.dtype);
  int threads = row_threads(target, s.width, s.dtype);
  return {threads, threads};
}

}  // namespace

double quantize_limit(ir::Type out_dtype) {
  return out_dtype == e4m3 ? 448 : out_dtype == e5m2 ? 57344 : 127;
}

ir::Kernel quantize(const ir::Target& target, const QuantizeSpec& spec) {
  check(spec);
  auto groups = groups_of(target, spec);
  bool given = spec.scales == "tensor", transposed = spec.scales == "block" && spec.transposed;
  return record("quantize", {.target = target, .threads = groups.threads}, [&](Block& block) {
    int64_t length = length_of(spec), blocks = spec.width / length;
    auto x = block.input("x", spec.dtype, shape(dynamic("rows"), length));
    auto out = block.output("out", spec.out_dtype, shape(dynamic("rows"), length));
    auto scales =
        given ? block.input("scales", f32, shape(1)) : block.output("scales", f32, shape(dynamic("rows")));

    auto group = row_group(block, block.dimension("rows"), groups.size);
    auto lanes = row_layout(block, group, length, x.element_bytes());
    auto v = to(f32, load(x(group.row), lanes));
    if (given) {
      store(out(group.row), v * (1.0 / load(scales, 0)));
      return;
    }
    double limit = quantize_limit(spec.out_dtype);
    auto most = row_max(block, map(v, [](Val e) { return abs(e); }));
    auto scale = select(most == 0.0, 1.0, max(most / limit, 0x1p-126));
    if (spec.power_of_two)  // any fraction bit carries into the exponent
      scale = bitcast(f32, (bitcast(u32, scale) + 0x007fffffu) & 0x7f800000u);
    store(out(group.row), v * (1.0 / scale));
    Val first = group.thread == 0;
    if (group.valid) first = first & *group.valid;
    IF (first) {
      Val place = group.row;
      if (transposed) {
        auto [row, column] = split_row(group.row, blocks);
        place = column * (block.dimension("rows") / blocks) + row;
      }
      store_at(scales, place, scale);
    }
  });
}

Quantize::Quantize(runtime::Context& context, const QuantizeSpec& spec)
    : program_(&program(context, "quantize", spec, quantize)),
      spec_(spec),
      target_(runtime::target_of(context.properties())) {}

void Quantize::operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                          runtime::DevicePointer scales, int64_t rows) const {
  int64_t parts = rows * (spec_.width / length_of(spec_));
  require(rows >= 0 && parts <= INT32_MAX, "quantize", "the number of rows or blocks", parts,
          "use at most 2^31 - 1");
  stream.launch(*program_, groups_of(target_, spec_).grid(parts), {x, parts, out, scales});
}

CatalogEntry quantize_entry() {
  auto e = catalog_entry<QuantizeSpec>(
      "quantize", "rows to fp8 or int8, with scales for the tensor, each token or each block", quantize,
      {"width=4096", "width=4096,scales=tensor", "width=4096,scales=block", "width=4096,out_dtype=s8",
       "width=7168,scales=block,transposed=1,power_of_two=1", "width=384,dtype=f32,out_dtype=s8",
       "width=4096,out_dtype=e5m2,dtype=f16"});
  e.bench_rows = 65536;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<QuantizeSpec>(text);
    struct Data {
      Quantize op;
      runtime::Buffer x, out, scales;
    };
    int64_t count = rows * spec.width, parts = rows * (spec.width / length_of(spec));
    auto data = std::make_shared<Data>(
        Data{Quantize(context, spec), random_buffer(context, spec.dtype, count, 1),
             context.device().allocate(static_cast<size_t>(count)), random_buffer(context, f32, parts, 2)});
    Case c;
    c.bytes = static_cast<double>(count) * (spec.dtype.bits() / 8 + 1) +
              (spec.scales == "tensor" ? 4 : 4.0 * static_cast<double>(parts));
    c.launch = [data, rows](runtime::Stream& stream) {
      data->op(stream, data->x, data->out, data->scales, rows);
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
