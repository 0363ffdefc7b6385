#include "dsl/block.h"

#include <fmt/format.h>

#include "layout/layout.h"

namespace rose::dsl {
namespace {

Val special(Builder& builder, ir::Special which) {
  static const ir::Row& row = ir::operation("special");
  return Val(builder.emit_one(row, Type{}, u32, {}, {static_cast<int64_t>(which)}, {}));
}

void note_layout(ir::Kernel& kernel, const std::string& name, Type dtype, const Shape& shape,
                 const Shape& strides) {
  std::vector<layout::IntTuple> sizes, steps;
  for (const Dim& d : shape) sizes.emplace_back(d.size);
  for (const Dim& d : strides) steps.emplace_back(d.size);
  kernel.layouts.push_back(
      {fmt::format("{} ({}, shared)", name, ir::to_string(dtype)),
       to_string(layout::Layout(layout::IntTuple::tuple(sizes), layout::IntTuple::tuple(steps)))});
}

}  // namespace

Val Block::read_parameter(ir::Parameter parameter) {
  for (const auto& p : builder_.kernel.parameters)
    if (p.name == parameter.name)
      throw IrError(fmt::format("kernel '{}' has two parameters '{}'", builder_.kernel.name, p.name));
  static const ir::Row& row = ir::operation("parameter");
  Type type = parameter.kind == ir::Parameter::Kind::kScalar ? parameter.type : u64;
  auto number = static_cast<int64_t>(builder_.kernel.parameters.size());
  builder_.kernel.parameters.push_back(std::move(parameter));
  return Val(builder_.emit_one(row, type, type, {}, {number}, {}));
}

void Block::bind(Dim& dim) {
  if (dim.is_static()) return;
  for (const auto& [name, value] : dims_)
    if (name == dim.name) {
      dim.value = value;
      return;
    }
  dim.value = read_parameter({dim.name, ir::Parameter::Kind::kScalar, s64});
  dims_.emplace_back(dim.name, dim.value);
}

Tensor Block::parameter(std::string name, Type dtype, Shape shape, Shape strides) {
  Tensor t;
  t.name = name, t.dtype = dtype, t.source = sources_++;
  t.base = read_parameter({name, ir::Parameter::Kind::kPointer, dtype});
  for (Dim& d : shape) bind(d);
  for (Dim& d : strides) bind(d);
  if (strides.empty()) {  // row-major: each stride is the product of the extents inside it
    Dim stride(1);
    for (size_t i = shape.size(); i-- > 0;) {
      strides.insert(strides.begin(), stride);
      if (stride.is_static() && shape[i].is_static())
        stride = Dim(stride.size * shape[i].size);
      else {
        Val inner = stride.is_static() ? literal(s64, stride.size) : stride.value;
        if (i > 0)
          stride = Dim(name + "_stride", shape[i].is_static()                     ? inner * shape[i].size
                                         : stride.is_static() && stride.size == 1 ? shape[i].value
                                                                                  : inner * shape[i].value);
      }
    }
  }
  if (strides.size() != shape.size())
    throw IrError(
        fmt::format("parameter '{}': {} strides for {} dimensions", name, strides.size(), shape.size()));
  t.shape = std::move(shape), t.strides = std::move(strides);
  return t;
}

Tensor Block::input(std::string name, Type dtype, Shape shape, Shape strides) {
  return parameter(std::move(name), dtype, std::move(shape), std::move(strides));
}
Tensor Block::output(std::string name, Type dtype, Shape shape, Shape strides) {
  return parameter(std::move(name), dtype, std::move(shape), std::move(strides));
}
Tensor Block::inout(std::string name, Type dtype, Shape shape, Shape strides) {
  return parameter(std::move(name), dtype, std::move(shape), std::move(strides));
}

Val Block::scalar(std::string name, Type type) {
  return read_parameter({std::move(name), ir::Parameter::Kind::kScalar, type});
}
Val Block::tensor_map(std::string name) {
  return read_parameter({std::move(name), ir::Parameter::Kind::kTensorMap, u64});
}

Val Block::dimension(const std::string& name) {
  Dim d{std::string(name)};
  bind(d);
  return d.value;
}

Val Block::index(int axis) {
  return to(s64, special(builder_, static_cast<ir::Special>(static_cast<int>(ir::Special::kBlockX) + axis)));
}
Val Block::grid(int axis) {
  return to(s64, special(builder_, static_cast<ir::Special>(static_cast<int>(ir::Special::kGridX) + axis)));
}
Val Block::thread32() { return gpu() ? special(builder_, ir::Special::kThreadX) : literal(u32, 0); }
Val Block::thread() { return gpu() ? to(s64, thread32()) : literal(s64, 0); }
Val Block::lane() { return gpu() ? thread32() & 31 : literal(u32, 0); }
Val Block::warp() { return gpu() ? thread32() >> 5 : literal(u32, 0); }

Tensor Block::shared(std::string name, Type dtype, Shape shape, int alignment) {
  int64_t elements = 1;
  Shape strides;
  for (size_t i = shape.size(); i-- > 0;) {
    if (!shape[i].is_static()) throw IrError("shared memory '" + name + "' needs a constant shape");
    strides.insert(strides.begin(), Dim(elements));
    elements *= shape[i].size;
  }
  auto& kernel = builder_.kernel;
  kernel.shared_alignment = std::max(kernel.shared_alignment, alignment);
  int64_t offset = (kernel.shared_bytes + alignment - 1) / alignment * alignment;
  kernel.shared_bytes = offset + (elements * dtype.bits() + 7) / 8;
  note_layout(kernel, name, dtype, shape, strides);
  Tensor t;
  t.name = std::move(name), t.dtype = dtype, t.shape = std::move(shape), t.strides = std::move(strides);
  t.base = Val(builder_.shared_base()), t.offset = offset, t.source = sources_++, t.shared = true;
  return t;
}

void Block::barrier(Location where) {
  if (gpu()) op("bar.sync", Type{}, {Arg(literal(u32, 0), where)}, {}, where);
}

ir::Kernel record(std::string name, const Launch& launch, const std::function<void(Block&)>& body) {
  Builder builder(std::move(name), launch.target);
  if (!launch.target.is_gpu() && launch.threads != 1)
    throw IrError("a block has one thread on x86, not " + std::to_string(launch.threads));
  auto& k = builder.kernel;
  k.threads = {launch.threads, 1, 1};
  k.cluster = {launch.cluster, 1, 1};
  k.min_blocks = launch.min_blocks;
  k.cooperative = launch.cooperative;
  k.pdl = launch.pdl;
  Block block(builder);
  body(block);
  return builder.finish();
}

}  // namespace rose::dsl
