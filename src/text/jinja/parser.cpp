#include "text/jinja/parser.h"

#include <fmt/format.h>

#include "text/error.h"

namespace rose::text::jinja {

Body parse_template(std::string_view source) { return Parser(tokenize(source)).parse(); }

void Parser::deepen() {
  constexpr int kMaxNesting = 400;
  if (depth_ >= kMaxNesting) fail("nested too deeply");
  depth_++;
}

void Parser::fail(const std::string& what) const {
  throw TextError(fmt::format("chat template, line {}: {}", current().line, what));
}

bool Parser::accept_operator(std::string_view text) { return is_operator(text) && (take(), true); }
bool Parser::accept_name(std::string_view text) { return is_name(text) && (take(), true); }

void Parser::expect_operator(std::string_view text) {
  if (!accept_operator(text)) fail(fmt::format("expected '{}', found '{}'", text, current().text));
}

void Parser::expect_name(std::string_view text) {
  if (!accept_name(text)) fail(fmt::format("expected '{}', found '{}'", text, current().text));
}

std::string Parser::identifier() {
  if (current().kind != Kind::kName) fail(fmt::format("expected a name, found '{}'", current().text));
  return take().text;
}

// A tag that opens a body may end in a colon.
void Parser::end_of_opening_tag() {
  accept_operator(":");
  end_of_tag();
}

void Parser::end_of_tag() {
  if (current().kind != Kind::kBlockEnd)
    fail(fmt::format("expected the end of the tag, found '{}'", current().text));
  take();
}

Stmt Parser::statement_node(Stmt::Kind kind) const {
  Stmt node{};
  node.kind = kind;
  node.line = current().line;
  return node;
}

Body Parser::parse() {
  Body out = body({}, false);
  if (current().kind != Kind::kEnd) fail("unexpected text");
  return out;
}

// Statements up to a tag with one of the names `ends`, which stays current unless dropped. Without names: to
// the end of the template.
Body Parser::body(std::vector<std::string_view> ends, bool drop_end) {
  Deeper deeper(*this);
  Body out;
  while (true) {
    const Token& token = current();
    if (token.kind == Kind::kText) {
      Stmt text = statement_node(Stmt::Kind::kText);
      text.name = take().text;
      out.push_back(std::move(text));
    } else if (token.kind == Kind::kVariableBegin) {
      Stmt output = statement_node(Stmt::Kind::kOutput);
      take();
      output.expr = tuple(true, "", false);
      if (current().kind != Kind::kVariableEnd)
        fail(fmt::format("expected '}}}}', found '{}'", current().text));
      take();
      out.push_back(std::move(output));
    } else if (token.kind == Kind::kBlockBegin) {
      for (auto end : ends) {
        if (peek().kind != Kind::kName || peek().text != end) continue;
        take();
        if (drop_end) take();
        return out;
      }
      take();
      statement(out);
    } else if (token.kind == Kind::kEnd) {
      if (!ends.empty()) fail(fmt::format("the template ends, but '{}' was expected", ends.back()));
      return out;
    } else {
      fail("unexpected text");
    }
  }
}

void Parser::statement(Body& out) {
  if (current().kind != Kind::kName) fail("expected the name of a tag");
  const std::string& name = current().text;
  int line = current().line;
  auto simple = [&](Stmt::Kind kind) {
    Stmt node = statement_node(kind);
    take();
    return node;
  };
  if (name == "if") {
    out.push_back(if_statement());
  } else if (name == "for") {
    out.push_back(for_statement());
  } else if (name == "set") {
    out.push_back(set_statement());
  } else if (name == "macro") {
    out.push_back(macro_statement());
  } else if (name == "call") {
    out.push_back(call_statement());
  } else if (name == "filter") {
    out.push_back(filter_statement());
  } else if (name == "with") {
    out.push_back(with_statement());
  } else if (name == "break") {
    out.push_back(simple(Stmt::Kind::kBreak));
  } else if (name == "continue") {
    out.push_back(simple(Stmt::Kind::kContinue));
  } else if (name == "generation") {  // HF marks the assistant's parts with it
    Stmt node = simple(Stmt::Kind::kBody);
    end_of_opening_tag();
    node.body = body({"endgeneration"}, true);
    out.push_back(std::move(node));
  } else if (name == "block") {
    Stmt node = simple(Stmt::Kind::kScope);
    identifier();
    accept_name("scoped");
    accept_name("required");
    end_of_opening_tag();
    node.body = body({"endblock"}, true);
    if (current().kind == Kind::kName) take();
    out.push_back(std::move(node));
  } else if (name == "include" || name == "import" || name == "from" || name == "extends") {
    fail(fmt::format("'{}' is not allowed: a chat template stands alone", name));
  } else {
    fail(fmt::format("unknown tag '{}'", name));
  }
  out.back().line = line;
  end_of_tag();
}

Stmt Parser::if_statement() {
  Deeper deeper(*this);
  Stmt node = statement_node(Stmt::Kind::kIf);
  take();
  node.expr = tuple(false, "", false);
  end_of_opening_tag();
  node.body = body({"elif", "else", "endif"}, false);
  if (is_name("elif")) {
    node.otherwise.push_back(if_statement());
    return node;
  }
  if (accept_name("else")) {
    end_of_opening_tag();
    node.otherwise = body({"endif"}, false);
  }
  expect_name("endif");
  return node;
}

Stmt Parser::for_statement() {
  Stmt node = statement_node(Stmt::Kind::kFor);
  take();
  node.target = assign_target(true, false);
  expect_name("in");
  node.expr = tuple(false, "recursive", false);
  if (accept_name("if")) node.test = expression();
  node.recursive = accept_name("recursive");
  end_of_opening_tag();
  node.body = body({"endfor", "else"}, false);
  if (accept_name("else")) {
    end_of_opening_tag();
    node.otherwise = body({"endfor"}, false);
  }
  expect_name("endfor");
  return node;
}

Stmt Parser::set_statement() {
  Stmt node = statement_node(Stmt::Kind::kSet);
  take();
  node.target = assign_target(true, true);
  if (accept_operator("=")) {
    node.expr = tuple(true, "", false);
    return node;
  }
  node.kind = Stmt::Kind::kSetBlock;
  node.expr = filters(nullptr, false);
  end_of_opening_tag();
  node.body = body({"endset"}, true);
  return node;
}

Signature Parser::signature() {
  Signature out;
  expect_operator("(");
  while (!is_operator(")")) {
    if (!out.names.empty()) expect_operator(",");
    out.names.push_back(identifier());
    if (accept_operator("="))
      out.defaults.push_back(expression());
    else if (!out.defaults.empty())
      fail("a parameter without a default follows one with a default");
  }
  expect_operator(")");
  return out;
}

Stmt Parser::macro_statement() {
  Stmt node = statement_node(Stmt::Kind::kMacro);
  take();
  node.name = identifier();
  node.signature = signature();
  end_of_opening_tag();
  node.body = body({"endmacro"}, true);
  return node;
}

Stmt Parser::call_statement() {
  Stmt node = statement_node(Stmt::Kind::kCallBlock);
  take();
  if (is_operator("(")) node.signature = signature();
  node.expr = expression();
  if (node.expr->kind != Expr::Kind::kCall) fail("expected a call");
  end_of_opening_tag();
  node.body = body({"endcall"}, true);
  return node;
}

Stmt Parser::filter_statement() {
  Stmt node = statement_node(Stmt::Kind::kFilterBlock);
  take();
  node.expr = filters(nullptr, true);
  end_of_opening_tag();
  node.body = body({"endfilter"}, true);
  return node;
}

Stmt Parser::with_statement() {
  Stmt node = statement_node(Stmt::Kind::kWith);
  take();
  while (current().kind != Kind::kBlockEnd) {
    if (!node.targets.empty()) expect_operator(",");
    node.targets.push_back(assign_target(true, false));
    expect_operator("=");
    node.values.push_back(expression());
  }
  end_of_opening_tag();
  node.body = body({"endwith"}, true);
  return node;
}

// A name, names to unpack into, or an attribute of a namespace.
ExprPtr Parser::assign_target(bool with_tuple, bool with_namespace) {
  if (with_namespace && current().kind == Kind::kName && peek().kind == Kind::kOperator &&
      peek().text == ".") {
    auto node = make(Expr::Kind::kAttribute);
    auto owner = make(Expr::Kind::kName);
    owner->name = identifier();
    take();
    node->name = identifier();
    node->items.push_back(std::move(owner));
    return node;
  }
  auto one = [&]() -> ExprPtr {
    Deeper deeper(*this);
    if (accept_operator("(")) {
      auto inner = assign_target(true, false);
      expect_operator(")");
      return inner;
    }
    auto node = make(Expr::Kind::kName);
    node->name = identifier();
    for (auto reserved : {"true", "false", "none", "True", "False", "None"})
      if (node->name == reserved) fail(fmt::format("cannot assign to '{}'", reserved));
    return node;
  };
  auto first = one();
  if (!with_tuple || !is_operator(",")) return first;
  auto node = make(Expr::Kind::kTuple, std::move(first));
  while (accept_operator(",")) {
    if (is_name("in") || is_operator("=") || is_operator(")")) break;
    node->items.push_back(one());
  }
  return node;
}

}  // namespace rose::text::jinja
