#include "dsl/tensor.h"

#include <fmt/format.h>

namespace rose::dsl {
namespace {

using ir::Operand;

Builder& builder() { return Builder::current(); }
bool gpu() { return builder().kernel.target.is_gpu(); }

// An index of any integer type as s64.
Val widen(const Arg& index) {
  if (index.literal()) return Val(index.as(s64));
  return index.type() == s64 ? Val(index.operand()) : to(s64, index);
}

Val as_address(const Val& base, const Val& bytes) {
  if (base.type() == u32) return base + to(u32, bytes);
  return base + bitcast(u64, bytes);
}

// The type of one register of an access and how many such registers the whole access has.
struct Registers {
  Type type;
  int count;
};

Registers registers_for(Type dtype, int count) {
  if (!gpu()) return {dtype.with_lanes(count), 1};
  int per_word = 32 / dtype.bits();
  if (dtype.bits() >= 32 || count % 2) return {dtype, count};
  if (count % per_word == 0) return {dtype.with_lanes(per_word), count / per_word};
  if (dtype == e4m3 || dtype == e5m2) return {dtype.with_lanes(2), count / 2};
  return {dtype, count};
}

ir::Instruction access(const ir::Row& row, Type type, int64_t offset, SourceLine where,
                       const std::optional<Val>& valid) {
  ir::Instruction i;
  i.row = &row, i.type = type, i.attributes = {offset}, i.where = where;
  if (valid) i.guard.reg = valid->operand().reg;
  return i;
}

// A mutable register set to zero: what a guarded load leaves when its guard is false.
ir::Reg zeroed(Type type, Location where) {
  ir::Instruction i;
  i.row = &ir::operation("mov"), i.type = type, i.where = line_of(where);
  i.results = {builder().kernel.new_register(type, true)};
  i.operands = {Operand{ir::kNoReg, type, 0}};
  ir::Reg reg = i.results[0];
  builder().append(std::move(i));
  return reg;
}

// Byte address of an element offset: the register part and the constant part.
std::pair<Val, int64_t> address_of(const Tensor& t, const std::optional<Val>& elements, int64_t constant) {
  int64_t bytes = t.offset + constant * t.element_bytes();
  if (!elements) return {t.base, bytes};
  return {as_address(t.base, *elements * t.element_bytes()), bytes};
}

}  // namespace

Tensor Tensor::operator()(const Arg& i) const {
  if (rank() == 0) throw IrError("tensor '" + name + "' has no dimension left to index", i.where());
  Tensor t = *this;
  t.shape.erase(t.shape.begin());
  t.strides.erase(t.strides.begin());
  const Dim& stride = strides[0];
  if (i.literal() && stride.is_static()) {
    t.offset += ir::constant_int(i.as(s64)) * stride.size * element_bytes();
    return t;
  }
  LineScope line(i.where());
  Val index = widen(i);
  Val elements =
      stride.is_static() ? index * (stride.size * element_bytes()) : index * stride.value * element_bytes();
  t.base = as_address(base, elements);
  return t;
}

Tensor Tensor::slice(int64_t begin, int64_t length) const {
  if (rank() == 0 || !strides[0].is_static())
    throw IrError("slice of '" + name + "': the first dimension needs a constant stride");
  if (shape[0].is_static() && (begin < 0 || length < 0 || begin + length > shape[0].size))
    throw IrError(fmt::format("slice of '{}': {} + {} elements exceed its length {}", name, begin, length,
                              shape[0].size));
  Tensor t = *this;
  t.shape[0] = Dim(length);
  t.offset += begin * strides[0].size * element_bytes();
  return t;
}

Tensor Tensor::split_last(int64_t inner) const {
  if (rank() == 0) throw IrError("split_last of '" + name + "': it has no dimension");
  const Dim &n = shape.back(), &stride = strides.back();
  if (!n.is_static() || !stride.is_static() || n.size % inner)
    throw IrError(fmt::format("split_last of '{}': {} does not divide its last dimension {}", name, inner,
                              n.is_static() ? n.size : -1));
  Tensor t = *this;
  t.shape.back() = Dim(n.size / inner);
  t.strides.back() = Dim(stride.size * inner);
  t.shape.push_back(Dim(inner));
  t.strides.push_back(stride);
  return t;
}

Pack load_pack(const Tensor& t, const std::optional<Val>& elements, int64_t constant, int count,
               const std::optional<Val>& valid, const char* row_name, Location where) {
  LineScope line(line_of(where));
  auto [base, bytes] = address_of(t, elements, constant);
  auto [type, total] = registers_for(t.dtype, count);
  const ir::Row& row = ir::operation(row_name ? row_name : t.shared ? "ld.shared" : "ld.global");
  int per_access = gpu() ? std::max(1, 128 / std::max(type.bits(), 8)) : 1;
  if (gpu())
    while (per_access > 1 && total % per_access) per_access /= 2;
  if (gpu()) per_access = std::min(per_access, 4);
  Pack pack;
  for (int first = 0; first < total; first += per_access) {
    auto i = access(row, type, bytes + static_cast<int64_t>(first) * type.bits() / 8, line_of(where), valid);
    i.operands = {base.operand()};
    for (int k = 0; k < std::min(per_access, total - first); ++k) {
      if (valid)
        i.results.push_back(zeroed(type, where));
      else
        i.results.push_back(builder().kernel.new_register(type));
      pack.emplace_back(Operand{i.results.back(), type, 0});
    }
    builder().append(std::move(i));
  }
  return pack;
}

void store_pack(const Tensor& t, const std::optional<Val>& elements, int64_t constant, const Pack& values,
                const std::optional<Val>& valid, const char* row_name, Location where) {
  LineScope line(line_of(where));
  auto [base, bytes] = address_of(t, elements, constant);
  const ir::Row& row = ir::operation(row_name ? row_name : t.shared ? "st.shared" : "st.global");
  Type type = values.at(0).type();
  bool byte = type == u8 && t.dtype.bits() == 8;  // how one 8-bit value leaves a conversion on a GPU
  if (type.scalar != t.dtype.scalar && !byte)
    throw IrError(fmt::format("store of {} values to '{}', which holds {}", ir::to_string(type), t.name,
                              ir::to_string(t.dtype)),
                  line_of(where));
  int total = static_cast<int>(values.size());
  int per_access = gpu() ? std::min(4, std::max(1, 128 / std::max(type.bits(), 8))) : 1;
  if (gpu())
    while (per_access > 1 && total % per_access) per_access /= 2;
  for (int first = 0; first < total; first += per_access) {
    auto i = access(row, type, bytes + static_cast<int64_t>(first) * type.bits() / 8, line_of(where), valid);
    i.operands = {base.operand()};
    for (int k = 0; k < std::min(per_access, total - first); ++k)
      i.operands.push_back(values[static_cast<size_t>(first + k)].operand());
    builder().append(std::move(i));
  }
}

Val load(const Tensor& t, Location where) { return load_pack(t, {}, 0, 1, {}, nullptr, where)[0]; }

Val load(const Tensor& t, const Arg& index, Location where) {
  Tensor element = t(index);
  return load(element, where);
}

void store(const Tensor& t, const Arg& value, Location where) {
  store_pack(t, {}, 0, {Val(value.as(t.dtype))}, {}, nullptr, where);
}

void store_at(const Tensor& t, const Arg& index, const Arg& value, Location where) {
  store(t(index), value, where);
}

}  // namespace rose::dsl
