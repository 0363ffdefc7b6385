// The expression half of the parser; one function a level of precedence, loosest first.
#include <fmt/format.h>

#include <charconv>

#include "text/error.h"
#include "text/jinja/parser.h"

namespace rose::text::jinja {

ExprPtr Parser::make(Expr::Kind kind) const {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = current().line;
  return node;
}

ExprPtr Parser::make(Expr::Kind kind, ExprPtr first) const {
  auto node = make(kind);
  if (first) node->line = first->line;
  node->items.push_back(std::move(first));
  return node;
}

ExprPtr Parser::expression(bool with_conditional) {
  Deeper deeper(*this);
  return with_conditional ? conditional() : disjunction();
}

bool Parser::tuple_ends(std::string_view end_name) const {
  auto kind = current().kind;
  if (kind == Kind::kVariableEnd || kind == Kind::kBlockEnd || is_operator(")")) return true;
  return !end_name.empty() && is_name(end_name);
}

// One expression, or several with commas between them.
ExprPtr Parser::tuple(bool with_conditional, std::string_view end_name, bool explicit_parentheses) {
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  int line = current().line;
  while (true) {
    if (!items.empty()) expect_operator(",");
    if (tuple_ends(end_name)) break;
    items.push_back(expression(with_conditional));
    if (!is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (items.empty() && !explicit_parentheses)
    fail(fmt::format("expected an expression, found '{}'", current().text));
  auto node = make(Expr::Kind::kTuple);
  node->line = line;
  node->items = std::move(items);
  return node;
}

ExprPtr Parser::conditional() {
  auto node = disjunction();
  Chain chain(*this);
  while (accept_name("if")) {
    chain.grow();
    auto choice = make(Expr::Kind::kConditional, std::move(node));
    choice->items.push_back(disjunction());
    choice->items.push_back(accept_name("else") ? expression() : nullptr);
    node = std::move(choice);
  }
  return node;
}

ExprPtr Parser::disjunction() {
  auto node = conjunction();
  Chain chain(*this);
  while (accept_name("or")) {
    chain.grow();
    node = make(Expr::Kind::kOr, std::move(node));
    node->items.push_back(conjunction());
  }
  return node;
}

ExprPtr Parser::conjunction() {
  auto node = negation();
  Chain chain(*this);
  while (accept_name("and")) {
    chain.grow();
    node = make(Expr::Kind::kAnd, std::move(node));
    node->items.push_back(negation());
  }
  return node;
}

ExprPtr Parser::negation() {
  if (!accept_name("not")) return comparison();
  Deeper deeper(*this);
  return make(Expr::Kind::kNot, negation());
}

ExprPtr Parser::comparison() {
  auto node = sum();
  ExprPtr chain;
  while (true) {
    std::string op;
    for (auto symbol : {"==", "!=", "<=", ">=", "<", ">"})
      if (op.empty() && accept_operator(symbol)) op = symbol;
    if (op.empty() && accept_name("in")) op = "in";
    if (op.empty() && is_name("not") && peek().kind == Kind::kName && peek().text == "in") {
      take();
      take();
      op = "not in";
    }
    if (op.empty()) return chain ? std::move(chain) : std::move(node);
    if (!chain) chain = make(Expr::Kind::kCompare, std::move(node));
    chain->operators.push_back(op);
    chain->items.push_back(sum());
  }
}

// One level of left-associative operators.
ExprPtr Parser::binary(ExprPtr (Parser::*tighter)(), std::initializer_list<const char*> symbols) {
  auto node = (this->*tighter)();
  Chain chain(*this);
  while (true) {
    std::string op;
    for (auto symbol : symbols)
      if (op.empty() && accept_operator(symbol)) op = symbol;
    if (op.empty()) return node;
    chain.grow();
    node = make(Expr::Kind::kBinary, std::move(node));
    node->name = op;
    node->items.push_back((this->*tighter)());
  }
}

ExprPtr Parser::sum() { return binary(&Parser::concatenation, {"+", "-"}); }
ExprPtr Parser::product() { return binary(&Parser::power, {"*", "//", "/", "%"}); }
ExprPtr Parser::power() { return binary(&Parser::filtered_unary, {"**"}); }
ExprPtr Parser::filtered_unary() { return unary(true); }

ExprPtr Parser::concatenation() {
  auto node = product();
  if (!is_operator("~")) return node;
  node = make(Expr::Kind::kConcat, std::move(node));
  while (accept_operator("~")) node->items.push_back(product());
  return node;
}

ExprPtr Parser::unary(bool with_filter) {
  Deeper deeper(*this);
  ExprPtr node;
  if (accept_operator("-"))
    node = make(Expr::Kind::kNegative, unary(false));
  else if (accept_operator("+"))
    node = make(Expr::Kind::kPositive, unary(false));
  else
    node = primary();
  node = postfix(std::move(node));
  return with_filter ? filter_chain(std::move(node)) : std::move(node);
}

ExprPtr Parser::primary() {
  const Token& token = current();
  auto node = make(Expr::Kind::kConst);
  switch (token.kind) {
    case Kind::kName:
      if (token.text == "true" || token.text == "True")
        node->value = Value::boolean(true);
      else if (token.text == "false" || token.text == "False")
        node->value = Value::boolean(false);
      else if (token.text == "none" || token.text == "None")
        node->value = Value::none();
      else
        node->kind = Expr::Kind::kName;
      node->name = take().text;
      return node;
    case Kind::kString: {
      std::string text;
      while (current().kind == Kind::kString) text += take().text;
      node->value = Value::string(std::move(text));
      return node;
    }
    case Kind::kInteger: {
      std::string digits;
      for (char c : token.text)
        if (c != '_') digits.push_back(c);
      int base = 10;
      size_t skip = 0;
      if (digits.size() > 2 && digits[0] == '0' && digits[1] > '9') {
        char kind = static_cast<char>(digits[1] | 32);
        base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
        skip = 2;
      }
      int64_t value = 0;
      const char* end = digits.data() + digits.size();
      auto [stop, error] = std::from_chars(digits.data() + skip, end, value, base);
      if (error != std::errc() || stop != end)
        fail(fmt::format("the number {} is not a 64-bit integer", token.text));
      node->value = Value::integer(value);
      take();
      return node;
    }
    case Kind::kFloat: {
      double value = 0;
      auto [stop, error] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      if (error != std::errc()) fail(fmt::format("the number {} is out of range", token.text));
      node->value = Value::real(value);
      take();
      return node;
    }
    case Kind::kOperator:
      if (token.text == "(") {
        take();
        auto inner = tuple(true, "", true);
        expect_operator(")");
        return inner;
      }
      if (token.text == "[") return list();
      if (token.text == "{") return dict();
      [[fallthrough]];
    default:
      fail(fmt::format("expected an expression, found '{}'", token.text));
  }
}

ExprPtr Parser::list() {
  auto node = make(Expr::Kind::kList);
  expect_operator("[");
  while (!is_operator("]")) {
    if (!node->items.empty()) expect_operator(",");
    if (is_operator("]")) break;
    node->items.push_back(expression());
  }
  expect_operator("]");
  return node;
}

ExprPtr Parser::dict() {
  auto node = make(Expr::Kind::kDict);
  expect_operator("{");
  while (!is_operator("}")) {
    if (!node->items.empty()) expect_operator(",");
    if (is_operator("}")) break;
    node->items.push_back(expression());
    expect_operator(":");
    node->items.push_back(expression());
  }
  expect_operator("}");
  return node;
}

ExprPtr Parser::postfix(ExprPtr node) {
  Chain chain(*this);
  while (true) {
    chain.grow();
    if (is_operator(".") || is_operator("["))
      node = subscript(std::move(node));
    else if (is_operator("("))
      node = call(std::move(node));
    else
      return node;
  }
}

ExprPtr Parser::filter_chain(ExprPtr node) {
  Chain chain(*this);
  while (true) {
    chain.grow();
    if (is_operator("|"))
      node = filters(std::move(node), false);
    else if (is_name("is"))
      node = test(std::move(node));
    else if (is_operator("("))
      node = call(std::move(node));
    else
      return node;
  }
}

std::string Parser::dotted_name() {
  std::string name = identifier();
  while (accept_operator(".")) name += "." + identifier();
  return name;
}

// `inline_start`: the first filter has no '|' before it ({% filter upper %}).
ExprPtr Parser::filters(ExprPtr node, bool inline_start) {
  Chain chain(*this);
  while (inline_start || is_operator("|")) {
    chain.grow();
    if (!inline_start) take();
    inline_start = false;
    node = make(Expr::Kind::kFilter, std::move(node));
    node->line = current().line;
    node->name = dotted_name();
    if (is_operator("(")) arguments(*node);
  }
  return node;
}

ExprPtr Parser::test(ExprPtr node) {
  take();
  bool negated = accept_name("not");
  node = make(Expr::Kind::kTest, std::move(node));
  node->name = dotted_name();
  bool starts_value = current().kind == Kind::kName || current().kind == Kind::kString ||
                      current().kind == Kind::kInteger || current().kind == Kind::kFloat ||
                      is_operator("[") || is_operator("{");
  if (is_operator("(")) {
    arguments(*node);
  } else if (starts_value && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("tests cannot be chained with 'is'");
    node->items.push_back(postfix(primary()));
  }
  return negated ? make(Expr::Kind::kNot, std::move(node)) : std::move(node);
}

ExprPtr Parser::subscript(ExprPtr node) {
  if (accept_operator(".")) {
    if (current().kind == Kind::kInteger) {
      node = make(Expr::Kind::kItem, std::move(node));
      node->items.push_back(primary());
      return node;
    }
    node = make(Expr::Kind::kAttribute, std::move(node));
    node->name = identifier();
    return node;
  }
  expect_operator("[");
  ExprPtr first;
  if (!is_operator(":")) first = expression();
  if (is_operator(":")) {
    node = slice(std::move(node), std::move(first));
  } else {
    if (is_operator(",")) {
      first = make(Expr::Kind::kTuple, std::move(first));
      while (accept_operator(",")) first->items.push_back(expression());
    }
    node = make(Expr::Kind::kItem, std::move(node));
    node->items.push_back(std::move(first));
  }
  expect_operator("]");
  return node;
}

ExprPtr Parser::slice(ExprPtr node, ExprPtr first) {
  node = make(Expr::Kind::kSlice, std::move(node));
  node->items.push_back(std::move(first));
  for (int part = 0; part < 2; part++) {
    ExprPtr bound;
    if (accept_operator(":") && !is_operator(":") && !is_operator("]")) bound = expression();
    node->items.push_back(std::move(bound));
  }
  return node;
}

ExprPtr Parser::call(ExprPtr node) {
  node = make(Expr::Kind::kCall, std::move(node));
  arguments(*node);
  return node;
}

void Parser::arguments(Expr& node) {
  expect_operator("(");
  bool first = true;
  while (!is_operator(")")) {
    if (!first) expect_operator(",");
    first = false;
    if (is_operator(")")) break;
    if (accept_operator("*")) {
      node.star = expression();
    } else if (accept_operator("**")) {
      node.star_star = expression();
    } else if (current().kind == Kind::kName && peek().kind == Kind::kOperator && peek().text == "=") {
      std::string name = identifier();
      take();
      node.keywords.emplace_back(std::move(name), expression());
    } else {
      if (!node.keywords.empty() || node.star_star) fail("a positional argument follows a keyword argument");
      node.items.push_back(expression());
    }
  }
  expect_operator(")");
}

}  // namespace rose::text::jinja
