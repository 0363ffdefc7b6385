// Expressions of the template interpreter.
#include <fmt/format.h>

#include <algorithm>

#include <optional>

#include "text/jinja/interpreter.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {

struct EvalDepth {
  EvalDepth(Interpreter& interpreter, int& depth, int limit) : depth(depth) {
    if (depth >= limit) interpreter.fail(fmt::format("nested calls go deeper than {} levels", limit));
    depth++;
  }
  ~EvalDepth() { depth--; }
  int& depth;
};

Value Interpreter::eval(const Expr& node, Scope& scope) {
  EvalDepth deeper(*this, depth_, limits_.depth);
  spend(1);
  using Kind = Expr::Kind;
  switch (node.kind) {
    case Kind::kConst:
      return node.value;
    case Kind::kName: {
      size_t variables = 0;
      for (const Scope* each = &scope; each; each = each->parent) variables += each->variables.size();
      spend(variables / 32);
      const Value* found = scope.find(node.name);
      return found ? *found : Value::undefined(fmt::format("'{}' is undefined", node.name));
    }
    case Kind::kList:
      return list(eval_items(node.items, 0, scope));
    case Kind::kTuple: {
      List items = eval_items(node.items, 0, scope);
      charge(items.size() * sizeof(Value));
      return Value::tuple(std::move(items));
    }
    case Kind::kDict: {
      Dict dict;
      for (size_t i = 0; i < node.items.size(); i += 2) {
        Value key = eval(*node.items[i], scope);
        dict.set(key, eval(*node.items[i + 1], scope));
      }
      charge(dict.size() * sizeof(Dict::Entry) * 2);
      return Value::dict(std::move(dict));
    }
    case Kind::kAttribute:
      return attribute(eval(*node.items[0], scope), node.name);
    case Kind::kItem: {
      Value owner = eval(*node.items[0], scope);
      return item(owner, eval(*node.items[1], scope));
    }
    case Kind::kSlice:
      return eval_slice(node, scope);
    case Kind::kCall:
      return eval_call(node, scope, nullptr);
    case Kind::kFilter:
      return eval_filter(node, scope, nullptr);
    case Kind::kTest: {
      Value input = eval(*node.items[0], scope);
      return Value::boolean(test(node.name, input, eval_arguments(node, scope)));
    }
    case Kind::kNot:
      return Value::boolean(!eval(*node.items[0], scope).truth());
    case Kind::kNegative:
    case Kind::kPositive: {
      Value value = eval(*node.items[0], scope);
      if (value.is_undefined()) fail(value.undefined_message());
      if (!value.is_number())
        fail(fmt::format("bad operand type for unary {}: '{}'", node.kind == Kind::kNegative ? '-' : '+',
                         value.type_name()));
      if (node.kind == Kind::kNegative) return binary("-", Value::integer(0), value);
      return value.is(Value::Kind::kBool) ? Value::integer(value.as_integer()) : value;
    }
    case Kind::kBinary: {
      Value left = eval(*node.items[0], scope);
      return binary(node.name, left, eval(*node.items[1], scope));
    }
    case Kind::kConcat: {
      std::string joined;
      for (const auto& part : node.items) joined += str(eval(*part, scope));
      return text(std::move(joined));
    }
    case Kind::kCompare:
      return eval_compare(node, scope);
    case Kind::kAnd: {
      Value left = eval(*node.items[0], scope);
      return left.truth() ? eval(*node.items[1], scope) : left;
    }
    case Kind::kOr: {
      Value left = eval(*node.items[0], scope);
      return left.truth() ? left : eval(*node.items[1], scope);
    }
    case Kind::kConditional:
      if (eval(*node.items[1], scope).truth()) return eval(*node.items[0], scope);
      if (node.items[2]) return eval(*node.items[2], scope);
      return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
  }
  return {};
}

List Interpreter::eval_items(const std::vector<ExprPtr>& items, size_t from, Scope& scope) {
  List out;
  out.reserve(items.size() - from);
  for (size_t i = from; i < items.size(); i++) out.push_back(eval(*items[i], scope));
  return out;
}

Arguments Interpreter::eval_arguments(const Expr& node, Scope& scope) {
  Arguments out{eval_items(node.items, 1, scope), {}};
  for (const auto& [name, value] : node.keywords) out.keywords.emplace_back(name, eval(*value, scope));
  if (node.star)
    for (auto& item : items_of(eval(*node.star, scope))) out.positional.push_back(item);
  if (node.star_star) {
    Value more = eval(*node.star_star, scope);
    if (!more.is_dict()) fail("the value after ** must be a mapping");
    for (const auto& [key, value] : more.as_dict().entries())
      out.keywords.emplace_back(text_argument(key, "a keyword"), value);
  }
  return out;
}

Value Interpreter::eval_compare(const Expr& node, Scope& scope) {
  Value left = eval(*node.items[0], scope);
  for (size_t i = 0; i < node.operators.size(); i++) {
    Value right = eval(*node.items[i + 1], scope);
    if (!compare(node.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_call(const Expr& node, Scope& scope, const Value* caller) {
  const Expr& target = *node.items[0];
  Value callee;
  if (target.kind == Expr::Kind::kAttribute) {
    Value owner = eval(*target.items[0], scope);
    if (owner.is_string() || owner.is_sequence() || owner.is_dict()) {
      Arguments arguments = eval_arguments(node, scope);
      Value result;
      if (call_method(*this, owner, target.name, arguments, result)) return result;
    }
    callee = attribute(owner, target.name);
  } else {
    callee = eval(target, scope);
  }
  Arguments arguments = eval_arguments(node, scope);
  if (caller) arguments.keywords.emplace_back("caller", *caller);
  return call(callee, arguments);
}

// `block_text`: the input of the innermost filter of a filter block.
Value Interpreter::eval_filter(const Expr& node, Scope& scope, const Value* block_text) {
  EvalDepth deeper(*this, depth_, limits_.depth);
  const Expr* inner = node.items[0].get();
  Value input = !inner                                             ? *block_text
                : block_text && inner->kind == Expr::Kind::kFilter ? eval_filter(*inner, scope, block_text)
                                                                   : eval(*inner, scope);
  return filter(node.name, input, eval_arguments(node, scope));
}

// Python's slicing rules: negative bounds count from the end, all bounds are clamped.
Value Interpreter::eval_slice(const Expr& node, Scope& scope) {
  Value owner = eval(*node.items[0], scope);
  if (owner.is_undefined()) fail(owner.undefined_message());
  std::optional<int64_t> bounds[3];
  for (int i = 0; i < 3; i++) {
    if (!node.items[i + 1]) continue;
    Value bound = eval(*node.items[i + 1], scope);
    if (!bound.is_none()) bounds[i] = integer_argument(bound, "a slice bound");
  }
  std::u32string points;
  if (owner.is_string()) {
    charge(owner.as_string().size() * sizeof(char32_t));
    points = unicode::to_points(owner.as_string());
  }
  if (!owner.is_string() && !owner.is_sequence())
    return Value::undefined(fmt::format("'{}' object cannot be sliced", owner.type_name()));

  auto size = static_cast<int64_t>(owner.is_string() ? points.size() : owner.items().size());
  int64_t step = bounds[2].value_or(1);
  if (step == 0) fail("slice step cannot be zero");
  auto clamp = [&](std::optional<int64_t> bound, int64_t otherwise) {
    if (!bound) return otherwise;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
    int64_t value = *bound < 0 ? (*bound < -size ? low : *bound + size) : *bound;
    return std::min(std::max(value, low), high);
  };
  int64_t begin = clamp(bounds[0], step < 0 ? size - 1 : 0), end = clamp(bounds[1], step < 0 ? -1 : size);
  std::vector<size_t> chosen;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    chosen.push_back(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  spend(chosen.size() / 8);
  if (owner.is_string()) {
    std::string out;
    for (size_t i : chosen) unicode::append(out, points[i]);
    return text(std::move(out));
  }
  List out;
  for (size_t i : chosen) out.push_back(owner.items()[i]);
  Value sliced = list(std::move(out));
  return owner.is(Value::Kind::kTuple) ? Value::tuple(sliced.items()) : sliced;
}

}  // namespace rose::text::jinja
