// Values of a kernel under construction. A Val is an immutable snapshot, a Var one mutable register;
// operators record an instruction at once. Types are checked while recording: a mismatch throws IrError with
// the kernel's source line.
//
// Integer and floating-point literals take the type of the other operand. Nothing else converts by itself:
// use to(). On x86 a value may have many lanes; an operand with one lane is then spread over the lanes of the
// other.
#pragma once

#include <concepts>

#include "dsl/builder.h"

namespace rose::dsl {

using Location = std::source_location;
class Var;

class Val {
 public:
  Val() = default;  // no value yet
  explicit Val(const ir::Operand& operand) : operand_(operand) {}
  Val(const Var& variable, Location where = Location::current());  // reads the variable now

  Type type() const { return operand_.type; }
  int lanes() const { return operand_.type.lanes; }
  bool empty() const { return operand_.type.none(); }
  const ir::Operand& operand() const { return operand_; }

  // A recorded value has no value on the host: use IF or select(), & and | instead of if, &&, || and ?:.
  explicit operator bool() const = delete;

 private:
  ir::Operand operand_;
};

// What operators take: a value, a variable's register or a literal, with the line where it stands.
class Arg {
 public:
  Arg(const Val& value, Location where = Location::current());
  Arg(const Var& variable, Location where = Location::current());
  Arg(const ir::Operand& operand, const SourceLine& where) : operand_(operand), where_(where) {}
  template <std::integral T>
  Arg(T literal, Location where = Location::current())
      : kind_(Kind::kInt), integer_(static_cast<int64_t>(literal)), where_(line_in_kernel(line_of(where))) {}
  template <std::floating_point T>
  Arg(T literal, Location where = Location::current())
      : kind_(Kind::kFloat), real_(static_cast<double>(literal)), where_(line_in_kernel(line_of(where))) {}

  bool literal() const { return kind_ != Kind::kValue; }
  Type type() const { return operand_.type; }  // none for a literal
  ir::Operand as(Type type) const;             // a literal in that type, or the operand (which must have it)
  const ir::Operand& operand() const;          // throws for a literal
  const SourceLine& where() const { return where_; }

 private:
  enum class Kind { kValue, kInt, kFloat } kind_ = Kind::kValue;
  ir::Operand operand_;
  int64_t integer_ = 0;
  double real_ = 0;
  SourceLine where_;
};

class Var {
 public:
  explicit Var(Type type, Location where = Location::current());  // declared, not set
  Var(const Val& initial, Location where = Location::current());
  Var(Type type, const Arg& initial, Location where = Location::current());
  Var(const Var& other, Location where = Location::current());  // a new variable with its value
  Var& operator=(const Var& other);
  Var& operator=(const Arg& value);
  Var& operator=(const Val& value) { return *this = Arg(value); }
  Var& operator+=(const Arg& value);
  Var& operator-=(const Arg& value);
  Var& operator*=(const Arg& value);
  Var& operator^=(const Arg& value);

  Type type() const { return type_; }
  ir::Reg reg() const { return reg_; }
  ir::Operand operand() const { return {reg_, type_, 0}; }

 private:
  Type type_;
  ir::Reg reg_;
};

Val literal(Type type, const Arg& value);  // a constant of that type, in every lane

Val operator+(const Arg& a, const Arg& b);
Val operator-(const Arg& a, const Arg& b);
Val operator*(const Arg& a, const Arg& b);
Val operator/(const Arg& a, const Arg& b);  // floats: correctly rounded; see rcp for the fast reciprocal
Val operator%(const Arg& a, const Arg& b);
Val operator&(const Arg& a, const Arg& b);  // also of predicates
Val operator|(const Arg& a, const Arg& b);
Val operator^(const Arg& a, const Arg& b);
Val operator<<(const Arg& a, const Arg& count);
Val operator>>(const Arg& a, const Arg& count);  // arithmetic for signed types
Val operator-(const Arg& a);
Val operator~(const Arg& a);
Val operator!(const Val& a);  // predicates
Val operator==(const Arg& a, const Arg& b);
Val operator!=(const Arg& a, const Arg& b);
Val operator<(const Arg& a, const Arg& b);
Val operator<=(const Arg& a, const Arg& b);
Val operator>(const Arg& a, const Arg& b);
Val operator>=(const Arg& a, const Arg& b);

Val min(const Arg& a, const Arg& b);
Val max(const Arg& a, const Arg& b);
Val fma(const Arg& a, const Arg& b, const Arg& c);  // a * b + c, rounded once for floats
Val select(const Arg& condition, const Arg& a, const Arg& b);
Val to(Type type, const Arg& value);          // numeric conversion, lane by lane; floats to integers truncate
Val to_nearest(Type type, const Arg& value);  // float to integer, nearest even
Val bitcast(Type type, const Arg& value);     // same bits
Val exp2(const Arg& a);
Val log2(const Arg& a);
Val exp(const Arg& a);  // exp2(a * log2 e)
Val rcp(const Arg& a);
Val rsqrt(const Arg& a);
Val sqrt(const Arg& a);
Val tanh(const Arg& a);
Val sin(const Arg& a);
Val cos(const Arg& a);
Val floor(const Arg& a);
Val round(const Arg& a);  // to the nearest even integer value
Val abs(const Arg& a);

// Any row of the table, by name: the raw level. `type` picks the row's instance; result types follow the
// signature.
std::vector<Val> op(std::string_view row, Type type, std::initializer_list<Arg> operands,
                    std::vector<int64_t> attributes = {}, Location where = Location::current());
Val op1(std::string_view row, Type type, std::initializer_list<Arg> operands,
        std::vector<int64_t> attributes = {}, Location where = Location::current());

// GPU: two f32 values to one packed register (lane 0 from `low`), and back.
Val pack2(Type packed, const Arg& low, const Arg& high);
std::pair<Val, Val> unpack2_f32(const Arg& packed);  // bf16x2 or f16x2 -> two f32

// x86 lanes.
Val splat(const Arg& scalar, int lanes);
Val extract(const Arg& vector, int lane);
Val concat(std::initializer_list<Arg> parts);
std::vector<Val> split(const Arg& vector, int parts);
Val shuffle_lanes(const Arg& a, const Arg& b, std::vector<int64_t> lanes);  // lane numbers of (a ++ b)
Val reduce_add(const Arg& vector);
Val reduce_max(const Arg& vector);
Val reduce_min(const Arg& vector);

}  // namespace rose::dsl
