// The parsed form of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace rose::text::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum class Kind {
    kConst,      ///< value
    kName,       ///< name
    kList,       ///< items
    kTuple,      ///< items
    kDict,       ///< items: key, value, key, value, ...
    kAttribute,  ///< items[0].name
    kItem,       ///< items[0][items[1]]
    kSlice,      ///< items[0][items[1]:items[2]:items[3]], null where left out
    kCall,       ///< items[0](items[1..], keywords, *star, **star_star)
    kFilter,     ///< items[0] | name(items[1..], keywords); items[0] null inside a filter block
    kTest,       ///< items[0] is name(items[1..])
    kNot,
    kNegative,
    kPositive,
    kBinary,   ///< items[0] name items[1], name one of + - * / // % **
    kConcat,   ///< items joined by ~
    kCompare,  ///< items[0] operators[0] items[1] operators[1] items[2] ...
    kAnd,
    kOr,
    kConditional,  ///< items[0] if items[1] else items[2] (null: undefined)
  };
  Kind kind;
  int line;
  std::string name;
  Value value;
  std::vector<ExprPtr> items;
  std::vector<std::string> operators;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr star;
  ExprPtr star_star;
};

struct Stmt;
using Body = std::vector<Stmt>;

/// A macro's signature: names, and defaults for the last of them.
struct Signature {
  std::vector<std::string> names;
  std::vector<ExprPtr> defaults;
};

struct Stmt {
  enum class Kind {
    kText,         ///< name
    kOutput,       ///< expr
    kIf,           ///< expr, body, otherwise (which may hold one kIf for an elif)
    kFor,          ///< target in expr if test: body, otherwise; `recursive`
    kSet,          ///< target = expr
    kSetBlock,     ///< target = filters (expr, may be null) of body
    kMacro,        ///< name, signature, body
    kCallBlock,    ///< expr (a call) with caller = signature, body
    kFilterBlock,  ///< expr of body
    kWith,         ///< targets[i] = values[i], body
    kScope,        ///< body in a scope of its own (block)
    kBody,         ///< body in the scope around it (generation)
    kBreak,
    kContinue,
  };
  Kind kind;
  int line;
  std::string name;
  ExprPtr expr;
  ExprPtr target;
  ExprPtr test;
  Body body;
  Body otherwise;
  Signature signature;
  std::vector<ExprPtr> targets;
  std::vector<ExprPtr> values;
  bool recursive = false;
};

}  // namespace rose::text::jinja
