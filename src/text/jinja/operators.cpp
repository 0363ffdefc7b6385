// Operators, attributes and iteration: what Python does with its values, as far as templates may ask.
#include <fmt/format.h>

#include <algorithm>

#include <cmath>

#include "text/jinja/interpreter.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

using Kind = Value::Kind;

int64_t floor_divide(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

double python_modulo(double a, double b) {
  double result = std::fmod(a, b);
  return result != 0 && (result < 0) != (b < 0) ? result + b : result;
}

Value integer_power(Interpreter& interpreter, int64_t base, int64_t exponent) {
  if (exponent < 0) return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; i++) {
    if (base == 0 || base == 1) return Value::integer(base);
    if (base == -1) return Value::integer(exponent % 2 ? -1 : 1);
    if (__builtin_mul_overflow(result, base, &result))
      interpreter.fail("an integer does not fit into 64 bits");
  }
  return Value::integer(result);
}

Value integer_operation(Interpreter& interpreter, char op, bool doubled, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == '+')
    overflow = __builtin_add_overflow(a, b, &result);
  else if (op == '-')
    overflow = __builtin_sub_overflow(a, b, &result);
  else if (op == '*' && !doubled)
    overflow = __builtin_mul_overflow(a, b, &result);
  else if (op == '*')
    return integer_power(interpreter, a, b);
  else if (b == 0)
    interpreter.fail(op == '%' ? "integer modulo by zero" : "division by zero");
  else if (op == '/' && !doubled)
    return Value::real(static_cast<double>(a) / static_cast<double>(b));
  else if (b == -1)
    overflow = op == '/' && __builtin_sub_overflow(int64_t{0}, a, &result);
  else if (op == '/')
    result = floor_divide(a, b);
  else
    result = a - floor_divide(a, b) * b;
  if (overflow) interpreter.fail("an integer does not fit into 64 bits");
  return Value::integer(result);
}

Value real_operation(Interpreter& interpreter, char op, bool doubled, double a, double b) {
  if (op == '+') return Value::real(a + b);
  if (op == '-') return Value::real(a - b);
  if (op == '*') return Value::real(doubled ? std::pow(a, b) : a * b);
  if (b == 0) interpreter.fail("float division by zero");
  if (op == '/') return Value::real(doubled ? std::floor(a / b) : a / b);
  return Value::real(python_modulo(a, b));
}

Value repeat(Interpreter& interpreter, const Value& sequence, int64_t times) {
  auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  size_t unit = sequence.is_string() ? sequence.as_string().size() : sequence.items().size() * sizeof(Value);
  size_t total = 0;
  if (__builtin_mul_overflow(unit, count, &total)) total = SIZE_MAX;
  interpreter.charge(total);
  if (sequence.is_string()) {
    std::string out;
    out.reserve(total);
    for (size_t i = 0; unit > 0 && i < count; i++) out += sequence.as_string();
    return Value::string(std::move(out));
  }
  List out;
  for (size_t i = 0; unit > 0 && i < count; i++)
    out.insert(out.end(), sequence.items().begin(), sequence.items().end());
  return sequence.is(Kind::kList) ? Value::list(std::move(out)) : Value::tuple(std::move(out));
}

}  // namespace

Value Interpreter::binary(const std::string& op, const Value& left, const Value& right) {
  if (left.is_undefined() && !(op == "%" && left.is_string())) fail(left.undefined_message());
  if (op == "%" && left.is_string()) return text(percent_format(*this, left.as_string(), right));
  if (right.is_undefined()) fail(right.undefined_message());
  if (left.is_integral() && right.is_integral())
    return integer_operation(*this, op[0], op.size() > 1, left.as_integer(), right.as_integer());
  if (left.is_number() && right.is_number())
    return real_operation(*this, op[0], op.size() > 1, left.as_real(), right.as_real());
  if (op == "+" && left.is_string() && right.is_string()) {
    charge(left.as_string().size() + right.as_string().size());
    return Value::string(left.as_string() + right.as_string());
  }
  if (op == "+" && left.is_sequence() && left.kind() == right.kind()) {
    List joined = left.items();
    joined.insert(joined.end(), right.items().begin(), right.items().end());
    Value value = list(std::move(joined));
    return left.is(Kind::kList) ? value : Value::tuple(value.items());
  }
  if (op == "*") {
    if ((left.is_string() || left.is_sequence()) && right.is_integral())
      return repeat(*this, left, right.as_integer());
    if ((right.is_string() || right.is_sequence()) && left.is_integral())
      return repeat(*this, right, left.as_integer());
  }
  if (op == "+" && left.is_string())
    fail(fmt::format("can only concatenate str (not \"{}\") to str", right.type_name()));
  fail(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op, left.type_name(),
                   right.type_name()));
}

bool Interpreter::compare(const std::string& op, const Value& left, const Value& right) {
  spend(1);
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  if (op == "in") return contains(right, left);
  if (op == "not in") return !contains(right, left);
  if (left.is_undefined()) fail(left.undefined_message());
  if (right.is_undefined()) fail(right.undefined_message());
  if (op == "<") return less(left, right);
  if (op == ">") return less(right, left);
  if (op == "<=") return equal(left, right) || less(left, right);
  return equal(left, right) || less(right, left);
}

bool Interpreter::contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string())
      fail(fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
    spend_search(container, {{item}, {}});
    return container.as_string().find(item.as_string()) != std::string::npos;
  }
  spend_reading(item);
  if (container.is_dict()) return container.as_dict().find(item) != nullptr;
  for (const auto& each : items_of(container))
    if (equal(each, item)) return true;
  return false;
}

List Interpreter::items_of(const Value& value) {
  List out;
  switch (value.kind()) {
    case Kind::kUndefined:
      return out;
    case Kind::kList:
    case Kind::kTuple:
      out = value.items();
      break;
    case Kind::kDict:
      for (const auto& [key, item] : value.as_dict().entries()) out.push_back(key);
      break;
    case Kind::kString: {
      const std::string& text = value.as_string();
      for (size_t at = 0; at < text.size();) {
        size_t length = unicode::sequence_length(text[at]);
        out.push_back(Value::string(text.substr(at, length)));
        at += length;
      }
      charge(out.size() * 64);
      break;
    }
    default:
      fail(fmt::format("'{}' object is not iterable", value.type_name()));
  }
  spend(out.size());
  charge(out.size() * sizeof(Value));
  return out;
}

size_t Interpreter::length_of(const Value& value) {
  if (value.is_undefined()) return 0;
  spend_reading(value);
  if (value.is_string()) return unicode::count(value.as_string());
  if (value.is_sequence()) return value.items().size();
  if (value.is_dict()) return value.as_dict().size();
  fail(fmt::format("object of type '{}' has no len()", value.type_name()));
}

Value Interpreter::loop_attribute(Loop& loop, const std::string& name) {
  auto number = [](size_t value) { return Value::integer(static_cast<int64_t>(value)); };
  size_t count = loop.items.size();
  if (name == "index") return number(loop.index + 1);
  if (name == "index0") return number(loop.index);
  if (name == "revindex") return number(count - loop.index);
  if (name == "revindex0") return number(count - loop.index - 1);
  if (name == "first") return Value::boolean(loop.index == 0);
  if (name == "last") return Value::boolean(loop.index + 1 == count);
  if (name == "length") return number(count);
  if (name == "depth") return Value::integer(loop.depth + 1);
  if (name == "depth0") return Value::integer(loop.depth);
  if (name == "previtem")
    return loop.index > 0 ? loop.items[loop.index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem")
    return loop.index + 1 < count ? loop.items[loop.index + 1] : Value::undefined("there is no next item");
  auto function = [&](auto body) { return Value::object(own(std::make_unique<Function>(body))); };
  if (name == "cycle")
    return function([&loop](Interpreter& interpreter, const Arguments& arguments) {
      if (arguments.positional.empty()) interpreter.fail("no items for cycling given");
      return arguments.positional[loop.index % arguments.positional.size()];
    });
  if (name == "changed")
    return function([&loop](Interpreter& interpreter, const Arguments& arguments) {
      Value now = Value::tuple(arguments.positional);
      bool changed = !loop.has_changed_value || !interpreter.equal(now, loop.last_changed);
      loop.last_changed = now;
      loop.has_changed_value = true;
      return Value::boolean(changed);
    });
  return Value::undefined(fmt::format("'loop' has no attribute '{}'", name));
}

// x.name: Python's own attributes come first, then the items of a dictionary.
Value Interpreter::attribute(const Value& owner, const std::string& name) {
  if (owner.is_undefined()) fail(owner.undefined_message());
  if (name.starts_with("__"))
    return Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe", name, owner.type_name()));
  if (owner.is(Kind::kObject)) {
    Object* object = owner.as_object();
    if (auto* space = dynamic_cast<Namespace*>(object)) {
      if (const Value* found = space->attributes.find(name)) return *found;
    } else if (auto* loop = dynamic_cast<Loop*>(object)) {
      return loop_attribute(*loop, name);
    } else if (auto* macro = dynamic_cast<Macro*>(object); macro && name == "name") {
      return Value::string(macro->name);
    } else if (auto* cycler = dynamic_cast<Cycler*>(object)) {
      if (name == "current") return cycler->items[cycler->at];
      bool next = name == "next";
      if (next || name == "reset")
        return Value::object(own(std::make_unique<Function>([cycler, next](Interpreter&, const Arguments&) {
          if (!next) return cycler->at = 0, Value::none();
          Value current = cycler->items[cycler->at];
          cycler->at = (cycler->at + 1) % cycler->items.size();
          return current;
        })));
    }
  } else {
    Value method = bound_method(*this, owner, name);
    if (!method.is_undefined() || method.undefined_message().starts_with("access to")) return method;
    if (owner.is_dict())
      if (const Value* found = owner.as_dict().find(name)) return *found;
  }
  return Value::undefined(fmt::format("'{} object' has no attribute '{}'", owner.type_name(), name));
}

// x[key]: items first, then attributes.
Value Interpreter::item(const Value& owner, const Value& key) {
  if (owner.is_undefined()) fail(owner.undefined_message());
  if (owner.is_dict()) {
    spend_reading(key);
    if (key.is(Kind::kList) || key.is_dict()) return Value::undefined("unhashable key");
    if (const Value* found = owner.as_dict().find(key)) return *found;
  } else if (key.is_integral() && (owner.is_sequence() || owner.is_string())) {
    auto size = static_cast<int64_t>(length_of(owner));
    int64_t index = key.as_integer() < 0 ? key.as_integer() + size : key.as_integer();
    if (index >= 0 && index < size) {
      if (owner.is_sequence()) return owner.items()[static_cast<size_t>(index)];
      const std::string& text = owner.as_string();
      size_t at = 0;
      for (int64_t i = 0; i < index; i++) at += unicode::sequence_length(text[at]);
      spend(static_cast<size_t>(size) / 64);
      return Value::string(text.substr(at, unicode::sequence_length(text[at])));
    }
    return Value::undefined(fmt::format("{} object has no element {}", owner.type_name(), key.as_integer()));
  }
  if (key.is_string()) return attribute(owner, key.as_string());
  return Value::undefined(fmt::format("{} object has no element {}", owner.type_name(),
                                      to_repr(key, 1000 + limits_.created_bytes)));
}

}  // namespace rose::text::jinja
