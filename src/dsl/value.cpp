#include "dsl/value.h"

#include <fmt/format.h>

#include <algorithm>

namespace rose::dsl {
namespace {

using ir::Comparison;
using ir::Operand;
using ir::Row;

Builder& builder() { return Builder::current(); }

Val result(const Row& row, Type type, Type result_type, std::vector<Operand> operands,
           std::vector<int64_t> attributes, const SourceLine& where) {
  return Val(builder().emit_one(row, type, result_type, std::move(operands), std::move(attributes), where));
}

// The operand as a value that later assignments do not change.
Val snapshot(const Operand& x, const SourceLine& where) {
  if (x.is_constant() || !builder().kernel.registers[x.reg].mutable_) return Val(x);
  static const Row& row = ir::operation("mov");
  return Val(builder().emit_one(row, x.type, x.type, {x}, {}, where));
}

// A row found by a name that depends on types: there may be none.
const Row& row_named(std::string_view name, const SourceLine& where) {
  try {
    return ir::operation(name);
  } catch (const IrError& e) {
    throw IrError(e.what(), where);
  }
}

Operand spread(const Operand& operand, int lanes, const SourceLine& where) {
  if (operand.is_constant()) return {ir::kNoReg, operand.type.with_lanes(lanes), operand.bits};
  static const Row& row = ir::operation("splat");
  Type wide = operand.type.with_lanes(lanes);
  return builder().emit_one(row, wide, wide, {operand}, {}, where);
}

// Brings two operands to one type: literals adapt, one lane spreads over many.
struct Pair {
  Operand a, b;
  Type type;
  SourceLine where;
};

Pair unify(const Arg& a, const Arg& b, const char* what) {
  if (a.literal() && b.literal())
    throw IrError(fmt::format("{}: both operands are literals; compute it on the host", what), a.where());
  Type type = a.literal() ? b.type() : a.type();
  Operand x = a.as(type), y = a.literal() ? b.operand() : b.literal() ? b.as(type) : b.operand();
  if (x.type.scalar == y.type.scalar && x.type.lanes != y.type.lanes &&
      (x.type.lanes == 1 || y.type.lanes == 1)) {
    int lanes = std::max(x.type.lanes, y.type.lanes);
    if (x.type.lanes == 1)
      x = spread(x, lanes, a.where());
    else
      y = spread(y, lanes, b.where());
  }
  if (x.type != y.type)
    throw IrError(fmt::format("{}: the operands have the types {} and {}; convert one with to()", what,
                              ir::to_string(x.type), ir::to_string(y.type)),
                  a.where());
  return {x, y, x.type, a.where()};
}

// On PTX the row's instance must exist for the very type; on x86 every scalar kind that the row knows works
// with any number of lanes.
void check(const Row& row, Type type, const SourceLine& where) {
  bool gpu = builder().kernel.target.is_gpu();
  bool ok = gpu ? row.has(type) : row.has(type.element()) || row.has(type);
  if (!ok)
    throw IrError(fmt::format("'{}' has no form for {} on {}", row.name, ir::to_string(type),
                              ir::to_string(builder().kernel.target)),
                  where);
}

Val binary(const Row& row, const Pair& p, Type result_type) {
  check(row, p.type, p.where);
  return result(row, p.type, result_type, {p.a, p.b}, {}, p.where);
}

Val arithmetic(const Arg& a, const Arg& b, const Row& general, const Row* integer, const Row* paired,
               const char* what) {
  Pair p = unify(a, b, what);
  if (integer && p.type.is_integer()) return binary(*integer, p, p.type);
  if (paired && p.type == f32.with_lanes(2) && builder().kernel.target.is_gpu())
    return binary(*paired, p, p.type);
  return binary(general, p, p.type);
}

Val compare(const Arg& a, const Arg& b, Comparison comparison) {
  static const Row& row = ir::operation("setp");
  Pair p = unify(a, b, "comparison");
  check(row, p.type, p.where);
  return result(row, p.type, pred.with_lanes(p.type.lanes), {p.a, p.b}, {static_cast<int64_t>(comparison)},
                p.where);
}

Val unary(const Row& row, const Arg& a) {
  Operand x = a.operand();
  check(row, x.type, a.where());
  return result(row, x.type, x.type, {x}, {}, a.where());
}

Val shift(const Row& row, const Arg& a, const Arg& count) {
  Operand x = a.operand();
  check(row, x.type, a.where());
  Operand n = count.literal() ? count.as(u32.with_lanes(x.type.lanes)) : count.operand();
  if (n.type.lanes == 1 && x.type.lanes > 1) n = spread(n, x.type.lanes, count.where());
  if (n.type.scalar != ir::Scalar::kU32)
    throw IrError("a shift count must be u32, not " + ir::to_string(n.type), count.where());
  return result(row, x.type, x.type, {x, n}, {}, a.where());
}

Val convert(Type type, const Arg& value, const char* suffix) {
  Operand x = value.operand();
  Type target = type.with_lanes(x.type.lanes);
  if (x.type == target && !*suffix) return snapshot(x, value.where());
  const Row& row = row_named(
      fmt::format("cvt.{}.{}{}", ir::to_string(type.element()), ir::to_string(x.type.element()), suffix),
      value.where());
  if (builder().kernel.target.is_gpu() && x.type.lanes != 1)
    throw IrError(fmt::format("to(): {} is packed; take it apart first (unpack2_f32, op(\"unpack\"))",
                              ir::to_string(x.type)),
                  value.where());
  return result(row, target, target, {x}, {}, value.where());
}

Type signature_type(const std::string& text, Type type, const Row& row, const SourceLine& where) {
  if (text == "t") return type;
  if (text == "half") return type.with_lanes(type.lanes / 2);
  if (text == "any") return type;
  if (text == "ptr" || text == "map") return u64;
  if (text == "smem") return builder().kernel.target.is_gpu() ? u32 : u64;
  if (text == "imm") throw IrError("row '" + row.name + "' has a constant among its results", where);
  return ir::parse_type(text);
}

}  // namespace

Arg::Arg(const Val& value, Location where)
    : operand_(value.operand()), where_(line_in_kernel(line_of(where))) {
  if (value.empty()) throw IrError("a value is used before it is set", where_);
}
Arg::Arg(const Var& variable, Location where)
    : operand_(variable.operand()), where_(line_in_kernel(line_of(where))) {}

Operand Arg::as(Type type) const {
  if (!literal()) return operand_;
  if (kind_ == Kind::kFloat && !type.is_float())
    throw IrError(fmt::format("the literal {} meets a value of type {}", real_, ir::to_string(type)), where_);
  try {
    return kind_ == Kind::kInt ? ir::constant(type, integer_) : ir::constant(type, real_);
  } catch (const IrError& e) {
    throw IrError(e.what(), where_);
  }
}

const Operand& Arg::operand() const {
  if (literal())
    throw IrError("a literal stands where a typed value is needed; use literal(type, value)", where_);
  return operand_;
}

Val::Val(const Var& variable, Location where) {
  static const Row& row = ir::operation("mov");
  operand_ =
      builder().emit_one(row, variable.type(), variable.type(), {variable.operand()}, {}, line_of(where));
}

Var::Var(Type type, Location) : type_(type), reg_(builder().kernel.new_register(type, true)) {}
Var::Var(const Val& initial, Location where) : Var(initial.type(), Arg(initial, where), where) {}
Var::Var(const Var& other, Location where) : Var(other.type_, Arg(other, where), where) {}
Var::Var(Type type, const Arg& initial, Location)
    : type_(type), reg_(builder().kernel.new_register(type, true)) {
  *this = initial;
}
Var& Var::operator=(const Var& other) { return *this = Arg(other); }

Var& Var::operator=(const Arg& value) {
  static const Row& row = ir::operation("mov");
  Operand x = value.as(type_);
  if (x.type != type_)
    throw IrError(
        fmt::format("a {} is assigned to a variable of type {}", ir::to_string(x.type), ir::to_string(type_)),
        value.where());
  ir::Instruction i;
  i.row = &row, i.type = type_, i.results = {reg_}, i.operands = {x}, i.where = value.where();
  builder().append(std::move(i));
  return *this;
}

Var& Var::operator+=(const Arg& value) {
  return *this = Arg((Arg(operand(), value.where()) + value).operand(), value.where());
}
Var& Var::operator-=(const Arg& value) {
  return *this = Arg((Arg(operand(), value.where()) - value).operand(), value.where());
}
Var& Var::operator*=(const Arg& value) {
  return *this = Arg((Arg(operand(), value.where()) * value).operand(), value.where());
}
Var& Var::operator^=(const Arg& value) {
  return *this = Arg((Arg(operand(), value.where()) ^ value).operand(), value.where());
}

Val literal(Type type, const Arg& value) {
  Operand x = value.as(type);
  if (!x.is_constant() || x.type != type)
    throw IrError("literal() takes a number of the host; convert values with to()", value.where());
  return Val(x);
}

Val operator+(const Arg& a, const Arg& b) {
  static const Row &row = ir::operation("add"), &paired = ir::operation("add.f32x2");
  return arithmetic(a, b, row, nullptr, &paired, "+");
}
Val operator-(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("sub");
  return arithmetic(a, b, row, nullptr, nullptr, "-");
}
Val operator*(const Arg& a, const Arg& b) {
  static const Row &row = ir::operation("mul"), &integer = ir::operation("mul.lo"),
                   &paired = ir::operation("mul.f32x2");
  return arithmetic(a, b, row, &integer, &paired, "*");
}
Val operator/(const Arg& a, const Arg& b) {
  static const Row &row = ir::operation("div.rn"), &integer = ir::operation("div");
  return arithmetic(a, b, row, &integer, nullptr, "/");
}
Val operator%(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("rem");
  return arithmetic(a, b, row, nullptr, nullptr, "%");
}
Val operator&(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("and");
  return arithmetic(a, b, row, nullptr, nullptr, "&");
}
Val operator|(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("or");
  return arithmetic(a, b, row, nullptr, nullptr, "|");
}
Val operator^(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("xor");
  return arithmetic(a, b, row, nullptr, nullptr, "^");
}
Val operator<<(const Arg& a, const Arg& count) {
  static const Row& row = ir::operation("shl");
  return shift(row, a, count);
}
Val operator>>(const Arg& a, const Arg& count) {
  static const Row& row = ir::operation("shr");
  return shift(row, a, count);
}
Val operator-(const Arg& a) {
  static const Row& row = ir::operation("neg");
  return unary(row, a);
}
Val operator~(const Arg& a) {
  static const Row& row = ir::operation("not");
  return unary(row, a);
}
Val operator!(const Val& a) {
  if (!a.type().is_pred())
    throw IrError("! takes a predicate, not " + ir::to_string(a.type()), builder().line());
  return ~a;
}
Val operator==(const Arg& a, const Arg& b) { return compare(a, b, Comparison::kEq); }
Val operator!=(const Arg& a, const Arg& b) { return compare(a, b, Comparison::kNe); }
Val operator<(const Arg& a, const Arg& b) { return compare(a, b, Comparison::kLt); }
Val operator<=(const Arg& a, const Arg& b) { return compare(a, b, Comparison::kLe); }
Val operator>(const Arg& a, const Arg& b) { return compare(a, b, Comparison::kGt); }
Val operator>=(const Arg& a, const Arg& b) { return compare(a, b, Comparison::kGe); }

Val min(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("min");
  return arithmetic(a, b, row, nullptr, nullptr, "min");
}
Val max(const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("max");
  return arithmetic(a, b, row, nullptr, nullptr, "max");
}

Val fma(const Arg& a, const Arg& b, const Arg& c) {
  static const Row &real = ir::operation("fma"), &integer = ir::operation("mad.lo"),
                   &paired = ir::operation("fma.f32x2");
  Pair ab = unify(a, b, "fma");
  Operand z = c.literal() ? c.as(ab.type) : c.operand();
  if (z.type.scalar == ab.type.scalar && z.type.lanes != ab.type.lanes) {
    int lanes = std::max(z.type.lanes, ab.type.lanes);
    if (z.type.lanes == 1)
      z = spread(z, lanes, c.where());
    else if (ab.type.lanes == 1)
      ab.a = spread(ab.a, lanes, a.where()), ab.b = spread(ab.b, lanes, b.where()), ab.type = z.type;
  }
  if (z.type != ab.type)
    throw IrError(fmt::format("fma: the operands have the types {} and {}", ir::to_string(ab.type),
                              ir::to_string(z.type)),
                  a.where());
  bool pair = ab.type == f32.with_lanes(2) && builder().kernel.target.is_gpu();
  const Row& row = ab.type.is_integer() ? integer : pair ? paired : real;
  check(row, ab.type, a.where());
  return result(row, ab.type, ab.type, {ab.a, ab.b, z}, {}, a.where());
}

Val select(const Arg& condition, const Arg& a, const Arg& b) {
  static const Row& row = ir::operation("selp");
  Pair p = unify(a, b, "select");
  Operand c = condition.operand();
  if (!c.type.is_pred())
    throw IrError("select needs a predicate, not " + ir::to_string(c.type), condition.where());
  if (c.type.lanes != p.type.lanes && c.type.lanes == 1) c = spread(c, p.type.lanes, condition.where());
  if (p.type.lanes == 1 && c.type.lanes > 1)
    p.a = spread(p.a, c.type.lanes, a.where()), p.b = spread(p.b, c.type.lanes, b.where()), p.type = p.a.type;
  check(row, p.type, p.where);
  return result(row, p.type, p.type, {p.a, p.b, c}, {}, p.where);
}

Val to(Type type, const Arg& value) { return convert(type, value, ""); }
Val to_nearest(Type type, const Arg& value) { return convert(type, value, ".nearest"); }

Val bitcast(Type type, const Arg& value) {
  static const Row& row = ir::operation("bitcast");
  Operand x = value.operand();
  if (x.type == type) return snapshot(x, value.where());
  if (x.type.bits() != type.bits())
    throw IrError(fmt::format("bitcast of {} ({} bits) to {} ({} bits)", ir::to_string(x.type), x.type.bits(),
                              ir::to_string(type), type.bits()),
                  value.where());
  return result(row, type, type, {x}, {}, value.where());
}

Val exp2(const Arg& a) {
  static const Row& row = ir::operation("ex2");
  return unary(row, a);
}
Val log2(const Arg& a) {
  static const Row& row = ir::operation("lg2");
  return unary(row, a);
}
Val exp(const Arg& a) { return exp2(a * 1.4426950408889634); }
Val rcp(const Arg& a) {
  static const Row& row = ir::operation("rcp");
  return unary(row, a);
}
Val rsqrt(const Arg& a) {
  static const Row& row = ir::operation("rsqrt");
  return unary(row, a);
}
Val sqrt(const Arg& a) {
  static const Row& row = ir::operation("sqrt");
  return unary(row, a);
}
Val tanh(const Arg& a) {
  static const Row& row = ir::operation("tanh");
  return unary(row, a);
}
Val sin(const Arg& a) {
  static const Row& row = ir::operation("sin");
  return unary(row, a);
}
Val cos(const Arg& a) {
  static const Row& row = ir::operation("cos");
  return unary(row, a);
}
Val floor(const Arg& a) {
  static const Row& row = ir::operation("floor");
  return unary(row, a);
}
Val round(const Arg& a) {
  static const Row& row = ir::operation("round");
  return unary(row, a);
}
Val abs(const Arg& a) {
  static const Row& row = ir::operation("abs");
  return unary(row, a);
}

std::vector<Val> op(std::string_view name, Type type, std::initializer_list<Arg> operands,
                    std::vector<int64_t> attributes, Location where) {
  SourceLine line = line_of(where);
  const Row& row = row_named(name, line);
  std::vector<Type> results;
  for (const auto& text : row.signature.results) {
    auto star = text.find('*');
    int count = star == std::string::npos ? 1
                : star + 1 == text.size() ? 1
                                          : std::stoi(text.substr(star + 1));
    for (int i = 0; i < count; ++i) results.push_back(signature_type(text.substr(0, star), type, row, line));
  }
  std::vector<Operand> list;
  const auto& kinds = row.signature.operands;
  if (kinds.empty() && operands.size()) throw IrError(fmt::format("'{}' takes no operands", name), line);
  for (const Arg& a : operands) {
    if (!a.literal()) {
      list.push_back(a.operand());
      continue;
    }
    const std::string& kind = kinds[std::min(list.size(), kinds.size() - 1)];
    Type literal_type = kind == "imm" ? s32 : signature_type(kind.substr(0, kind.find('*')), type, row, line);
    list.push_back(a.as(literal_type));
  }
  std::vector<Val> values;
  for (ir::Reg reg : builder().emit(row, type, results, std::move(list), std::move(attributes), line))
    values.emplace_back(Operand{reg, builder().kernel.registers[reg].type, 0});
  return values;
}

Val op1(std::string_view row, Type type, std::initializer_list<Arg> operands, std::vector<int64_t> attributes,
        Location where) {
  return op(row, type, operands, std::move(attributes), where).at(0);
}

Val pack2(Type packed, const Arg& low, const Arg& high) {
  const Row& row = row_named("cvt." + ir::to_string(packed) + ".f32", low.where());
  return result(row, packed, packed, {low.operand(), high.operand()}, {}, low.where());
}

std::pair<Val, Val> unpack2_f32(const Arg& packed) {
  Operand x = packed.operand();
  if (x.type == bf16.with_lanes(2)) {  // bf16 is the high half of an f32
    Val bits = bitcast(u32, packed);
    return {bitcast(f32, bits << 16), bitcast(f32, bits & 0xffff0000u)};
  }
  static const Row& row = ir::operation("unpack");
  Type half = x.type.with_lanes(1);
  std::vector<Type> halves{half, half};
  auto regs = builder().emit(row, x.type, halves, {x}, {}, packed.where());
  return {to(f32, Val(Operand{regs[0], half, 0})), to(f32, Val(Operand{regs[1], half, 0}))};
}

Val splat(const Arg& scalar, int lanes) {
  if (scalar.operand().type.lanes != 1) throw IrError("splat takes one lane", scalar.where());
  return lanes == 1 ? snapshot(scalar.operand(), scalar.where())
                    : Val(spread(scalar.operand(), lanes, scalar.where()));
}

Val extract(const Arg& vector, int lane) {
  static const Row& row = ir::operation("extract");
  Type type = vector.operand().type.element();
  return result(row, type, type, {vector.operand()}, {lane}, vector.where());
}

Val concat(std::initializer_list<Arg> parts) {
  static const Row& row = ir::operation("concat");
  std::vector<Operand> list;
  for (const Arg& p : parts) list.push_back(p.operand());
  Type type = list[0].type.with_lanes(list[0].type.lanes * static_cast<int>(list.size()));
  return result(row, type, type, std::move(list), {}, parts.begin()->where());
}

std::vector<Val> split(const Arg& vector, int parts) {
  static const Row& row = ir::operation("split");
  Type whole = vector.operand().type, part = whole.with_lanes(whole.lanes / parts);
  std::vector<Type> types(static_cast<size_t>(parts), part);
  std::vector<Val> values;
  for (ir::Reg reg : builder().emit(row, part, types, {vector.operand()}, {}, vector.where()))
    values.emplace_back(Operand{reg, part, 0});
  return values;
}

Val shuffle_lanes(const Arg& a, const Arg& b, std::vector<int64_t> lanes) {
  static const Row& row = ir::operation("shuffle");
  Type type = a.operand().type.with_lanes(static_cast<int>(lanes.size()));
  return result(row, type, type, {a.operand(), b.operand()}, std::move(lanes), a.where());
}

Val reduce_add(const Arg& v) {
  static const Row& row = ir::operation("reduce.add");
  Type t = v.operand().type.element();
  return result(row, t, t, {v.operand()}, {}, v.where());
}
Val reduce_max(const Arg& v) {
  static const Row& row = ir::operation("reduce.max");
  Type t = v.operand().type.element();
  return result(row, t, t, {v.operand()}, {}, v.where());
}
Val reduce_min(const Arg& v) {
  static const Row& row = ir::operation("reduce.min");
  Type t = v.operand().type.element();
  return result(row, t, t, {v.operand()}, {}, v.where());
}

}  // namespace rose::dsl
