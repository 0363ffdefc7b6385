// From tokens to the tree of a template, by jinja2's grammar.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace rose::text::jinja {

/// Throws TextError with the line for syntax errors, for unknown tags and for nesting beyond 400 levels.
Body parse_template(std::string_view source);

/// Shared by the two halves of the grammar.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Body parse();

 private:
  using Kind = Token::Kind;

  // parser.cpp: tokens and statements
  [[noreturn]] void fail(const std::string& what) const;
  const Token& current() const { return tokens_[at_]; }
  const Token& peek() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_operator(std::string_view text) const {
    return current().kind == Kind::kOperator && current().text == text;
  }
  bool is_name(std::string_view text) const {
    return current().kind == Kind::kName && current().text == text;
  }
  bool accept_operator(std::string_view text);
  bool accept_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  std::string identifier();
  void end_of_tag();
  void end_of_opening_tag();
  Stmt statement_node(Stmt::Kind kind) const;
  Body body(std::vector<std::string_view> ends, bool drop_end);
  void statement(Body& out);
  Stmt if_statement();
  Stmt for_statement();
  Stmt set_statement();
  Stmt macro_statement();
  Stmt call_statement();
  Stmt filter_statement();
  Stmt with_statement();
  Signature signature();
  ExprPtr assign_target(bool with_tuple, bool with_namespace);

  // expressions.cpp
  ExprPtr make(Expr::Kind kind) const;
  ExprPtr make(Expr::Kind kind, ExprPtr first) const;
  ExprPtr expression(bool with_conditional = true);
  ExprPtr tuple(bool with_conditional, std::string_view end_name, bool explicit_parentheses);
  ExprPtr conditional();
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr binary(ExprPtr (Parser::*tighter)(), std::initializer_list<const char*> symbols);
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr filtered_unary();
  ExprPtr unary(bool with_filter);
  ExprPtr primary();
  ExprPtr list();
  ExprPtr dict();
  ExprPtr postfix(ExprPtr node);
  ExprPtr filters(ExprPtr node, bool inline_start);
  ExprPtr filter_chain(ExprPtr node);
  ExprPtr test(ExprPtr node);
  ExprPtr subscript(ExprPtr node);
  ExprPtr slice(ExprPtr node, ExprPtr first);
  ExprPtr call(ExprPtr node);
  void arguments(Expr& node);
  std::string dotted_name();
  bool tuple_ends(std::string_view end_name) const;

  /// Counts the nesting of expressions and statements while one is parsed.
  struct Deeper {
    explicit Deeper(Parser& parser) : parser(parser) { parser.deepen(); }
    ~Deeper() { parser.depth_--; }
    Parser& parser;
  };
  /// The tree of a + b + c is as deep as it is long, so its length counts as nesting too.
  struct Chain {
    explicit Chain(Parser& parser) : parser(parser) {}
    ~Chain() { parser.depth_ -= length; }
    void grow() {
      parser.deepen();
      length++;
    }
    Parser& parser;
    int length = 0;
  };
  void deepen();

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace rose::text::jinja
