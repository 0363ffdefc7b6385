// The objects that templates work with beside plain values.
#pragma once

#include <functional>

#include "text/jinja/ast.h"
#include "text/jinja/value.h"

namespace rose::text::jinja {

class Interpreter;
struct Scope;

/// The arguments of a call.
struct Arguments {
  List positional;
  std::vector<std::pair<std::string, Value>> keywords;

  /// The argument at `index` or with this name; null if it was not given.
  const Value* find(size_t index, std::string_view name) const;
  Value get(size_t index, std::string_view name, Value fallback = Value::none()) const;
};

struct Namespace : Object {
  const char* type_name() const override { return "Namespace"; }
  Dict attributes;
};

/// A function of ROSE: a global, or a method bound to its value.
struct Function : Object {
  explicit Function(std::function<Value(Interpreter&, const Arguments&)> call) : call(std::move(call)) {}
  const char* type_name() const override { return "function"; }
  std::function<Value(Interpreter&, const Arguments&)> call;
};

struct Macro : Object {
  const char* type_name() const override { return "Macro"; }
  std::string name;
  const Signature* signature = nullptr;
  const Body* body = nullptr;
  Scope* scope = nullptr;  ///< where it was defined
};

/// The variable `loop`.
struct Loop : Object {
  const char* type_name() const override { return "LoopContext"; }
  List items;
  size_t index = 0;
  int depth = 0;
  const Stmt* statement = nullptr;
  Scope* scope = nullptr;  ///< around the loop, for loop(children)
  Value last_changed;
  bool has_changed_value = false;
};

struct Cycler : Object {
  const char* type_name() const override { return "Cycler"; }
  List items;
  size_t at = 0;
};

struct Joiner : Object {
  const char* type_name() const override { return "Joiner"; }
  std::string separator;
  bool used = false;
};

}  // namespace rose::text::jinja
