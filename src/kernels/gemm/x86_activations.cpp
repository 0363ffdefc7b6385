#include "kernels/gemm/x86_activations.h"

#include <cstddef>

#include "dsl/fragment.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

// A part of the record at the given byte, as a tensor of its own.
Tensor part(const Tensor& record, int64_t byte, Type dtype, int64_t length) {
  Tensor t = record;
  t.offset += byte, t.dtype = dtype, t.shape = shape(length), t.strides = shape(1);
  return t;
}

// One group: q = nearest(x / scale), scale = max |x| / 127.
void quantise_group(const Tensor& x, const Tensor& record, const Val& index) {
  Val v = to(f32, load_pack(x, index * 32, 0, 32)[0]);
  Val largest = reduce_max(abs(v));
  Val scale = largest * (1.0 / 127);
  Val inverse = select(largest > 0.0, 127.0 / largest, literal(f32, 0.0));
  Val q = to_nearest(s32, v * inverse);
  auto halves = split(q, 2);
  Val first = reduce_add(halves[0]), second = reduce_add(halves[1]), sum = first + second;

  Tensor group = record(index * static_cast<int64_t>(sizeof(X86Group)));
  store_pack(part(group, offsetof(X86Group, q), s8, 32), {}, 0, {to(s8, q)});
  auto number = [&](size_t byte, const Val& value) {
    store_at(part(group, static_cast<int64_t>(byte), value.type(), 1), 0, value);
  };
  number(offsetof(X86Group, scale), scale);
  number(offsetof(X86Group, scaled_sum), to(f32, sum) * scale);
  number(offsetof(X86Group, sums), sum * -8);
  number(offsetof(X86Group, sums) + 4, sum * -16);
  number(offsetof(X86Group, sums) + 8, sum * -128);
  number(offsetof(X86Group, half_sums), first * -32);
  number(offsetof(X86Group, half_sums) + 4, second * -32);
}

}  // namespace

X86Form x86_form(std::string_view name) {
  if (name == "as_is") return X86Form::kAsIs;
  if (name == "bf16") return X86Form::kBf16;
  if (name == "bytes") return X86Form::kBytes;
  if (name == "blocks") return X86Form::kBlocks;
  throw KernelError("no form '" + std::string(name) +
                    "' of activations; the forms are bf16, bytes and blocks");
}

int64_t x86_record_bytes(X86Form form, int64_t k) {
  int64_t bytes = form == X86Form::kBf16     ? 2 * k
                  : form == X86Form::kBytes  ? x86_scale_offset(k) + 4
                  : form == X86Form::kBlocks ? k / 32 * static_cast<int64_t>(sizeof(X86Group))
                                             : 0;
  return (bytes + 63) / 64 * 64;
}

// One block of the grid per row.
ir::Kernel x86_activations(const ir::Target& target, const X86ActivationsSpec& spec) {
  check_row_spec("x86_activations", spec.dtype, spec.k, 1 << 20);
  auto form = x86_form(spec.form);
  require(form != X86Form::kAsIs, "x86_activations", "the form", 0, "as_is needs no kernel");
  if (form == X86Form::kBlocks)
    require(spec.k % 32 == 0, "x86_activations", "k", spec.k, "blocks have 32 elements");
  return record("x86_activations", {.target = target}, [&](Block& block) {
    auto x = block.input("x", spec.dtype, shape(dynamic("rows"), spec.k));
    auto records = block.output("records", u8, shape(dynamic("rows"), x86_record_bytes(form, spec.k)));
    auto row = block.index();
    auto record = records(row);
    if (form == X86Form::kBlocks) {
      FOR (index, literal(s64, 0), spec.k / 32, Unroll{1}) quantise_group(x(row), record, index);
      return;
    }
    auto lanes = row_layout(block, row_group(block, block.dimension("rows")), spec.k, x.element_bytes());
    auto v = to(f32, load(x(row), lanes));
    if (form == X86Form::kBf16) {
      store(part(record, 0, bf16, spec.k), to(bf16, v));
      return;
    }
    Val largest = row_max(block, map(v, [](Val e) { return abs(e); }));
    Val inverse = select(largest > 0.0, 127.0 / largest, literal(f32, 0.0));
    for_each_chunk(lanes, [&](const Chunk& c) {
      Val e = to(f32, load_pack(x(row), c.offset, c.constant, c.lanes)[0]);
      store_pack(part(record, 0, u8, spec.k), c.offset, c.constant,
                 {to(u8, to_nearest(s32, e * inverse) + 128)});
    });
    store_at(part(record, x86_scale_offset(spec.k), f32, 1), 0, largest * (1.0 / 127));
  });
}

X86Activations::X86Activations(runtime::Context& context, const X86ActivationsSpec& spec)
    : program_(&program(context, "x86_activations", spec, x86_activations)) {}

void X86Activations::operator()(runtime::Stream& stream, runtime::DevicePointer x,
                                runtime::DevicePointer records, int64_t rows) const {
  stream.launch(*program_, grid_of(rows), {x, rows, records});
}

CatalogEntry x86_activations_entry() {
  auto e = catalog_entry<X86ActivationsSpec>(
      "x86_activations", "rows of activations in the form that x86 matrix products read", x86_activations,
      {"form=blocks", "form=bytes", "form=bf16,dtype=f32"}, x86_only);
  e.bench_rows = 1024;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<X86ActivationsSpec>(text);
    struct Data {
      X86Activations op;
      runtime::Buffer x, records;
    };
    int64_t bytes = x86_record_bytes(x86_form(spec.form), spec.k);
    auto data = std::make_shared<Data>(Data{X86Activations(context, spec),
                                            random_buffer(context, spec.dtype, rows * spec.k, 1),
                                            context.device().allocate(static_cast<size_t>(rows * bytes))});
    Case c;
    c.bytes = static_cast<double>(rows) *
              (static_cast<double>(spec.k) * spec.dtype.bits() / 8 + static_cast<double>(bytes));
    c.launch = [data, rows](runtime::Stream& stream) { data->op(stream, data->x, data->records, rows); };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
