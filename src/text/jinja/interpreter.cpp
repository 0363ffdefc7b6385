// Statements, scopes and budgets of the template interpreter.
#include "text/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {

Value* Scope::find(std::string_view name) {
  for (Scope* scope = this; scope; scope = scope->parent)
    for (auto& [key, value] : scope->variables)
      if (key == name) return &value;
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [key, old] : variables)
    if (key == name) return void(old = std::move(value));
  variables.emplace_back(name, std::move(value));
}

const Value* Arguments::find(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : keywords)
    if (key == name) return &value;
  return nullptr;
}

Value Arguments::get(size_t index, std::string_view name, Value fallback) const {
  const Value* given = find(index, name);
  return given ? *given : std::move(fallback);
}

/// One level of evaluation.
struct Interpreter::Deeper {
  explicit Deeper(Interpreter& interpreter) : interpreter(interpreter) {
    if (interpreter.depth_ >= interpreter.limits_.depth)
      interpreter.fail(fmt::format("nested calls go deeper than {} levels", interpreter.limits_.depth));
    interpreter.depth_++;
  }
  ~Deeper() { interpreter.depth_--; }
  Interpreter& interpreter;
};

/// A scope that ends with its block unless a macro has captured it.
class Interpreter::Block {
 public:
  Block(Interpreter& interpreter, Scope* parent)
      : interpreter_(interpreter), scope_(std::make_unique<Scope>(parent)) {}
  ~Block() {
    if (scope_->captured) interpreter_.captured_scopes_.push_back(std::move(scope_));
  }
  Scope& scope() { return *scope_; }

 private:
  Interpreter& interpreter_;
  std::unique_ptr<Scope> scope_;
};

void Interpreter::fail(std::string_view what) const {
  throw TextError(fmt::format("chat template, line {}: {}", line_, what));
}

void Interpreter::spend(size_t count) {
  steps_ += count;
  if (steps_ > limits_.steps) fail(fmt::format("the template takes more than {} steps", limits_.steps));
}

void Interpreter::charge(size_t bytes) {
  created_ += bytes;
  if (created_ > limits_.created_bytes || bytes > limits_.created_bytes)
    fail(fmt::format("the template makes more than {} bytes of values", limits_.created_bytes));
}

void Interpreter::spend_reading(const Value& text) {
  if (text.is_string()) spend(text.as_string().size() / 64);
}

// Text in which nearly everything matches makes a search as long as the product of both lengths.
void Interpreter::spend_search(const Value& text, const Arguments& wanted) {
  if (!text.is_string()) return;
  size_t longest = 0;
  auto look = [&](const Value& value) {
    if (value.is_string()) longest = std::max(longest, value.as_string().size());
  };
  for (const auto& value : wanted.positional) look(value);
  for (const auto& [name, value] : wanted.keywords) look(value);
  const size_t size = text.as_string().size();
  spend(size / 64 + std::min(size, longest) / 32 * (size / 32));
}

bool Interpreter::equal(const Value& a, const Value& b) {
  Effort effort{limits_.steps - std::min(steps_, limits_.steps)};
  const size_t before = effort.left;
  const bool result = jinja::equal(a, b, effort);
  spend(before - effort.left);
  return result;
}

bool Interpreter::less(const Value& a, const Value& b) {
  Effort effort{limits_.steps - std::min(steps_, limits_.steps)};
  const size_t before = effort.left;
  const bool result = jinja::less(a, b, effort);
  spend(before - effort.left);
  return result;
}

Value Interpreter::text(std::string text) {
  charge(text.size() + 32);
  return Value::string(std::move(text));
}

Value Interpreter::list(List items) {
  charge(items.size() * sizeof(Value) + 32);
  return Value::list(std::move(items));
}

std::string Interpreter::str(const Value& value) {
  std::string text = to_text(value, limits_.created_bytes);
  charge(text.size());
  return text;
}

int64_t Interpreter::integer_argument(const Value& value, std::string_view what) const {
  if (!value.is_integral()) fail(fmt::format("{} must be an integer, not '{}'", what, value.type_name()));
  return value.as_integer();
}

const std::string& Interpreter::text_argument(const Value& value, std::string_view what) const {
  if (!value.is_string()) fail(fmt::format("{} must be a string, not '{}'", what, value.type_name()));
  return value.as_string();
}

void Interpreter::write(std::string& out, std::string_view text) {
  if (out.size() + text.size() > limits_.output_bytes)
    fail(fmt::format("the rendered text is larger than {} bytes", limits_.output_bytes));
  charge(text.size());
  out += text;
}

std::string Interpreter::render(const Body& body, const Dict& variables) {
  Scope globals(nullptr);
  add_globals(*this, globals);
  Scope given(&globals);
  for (const auto& [name, value] : variables.entries()) given.set(name.as_string(), value);
  Scope scope(&given);
  std::string out;
  try {
    if (run(body, scope, out) != Flow::kNext) fail("'break' or 'continue' outside of a loop");
  } catch (const TextError& error) {
    // Values do not know lines; their messages get the line of the statement that used them.
    std::string_view message = error.what();
    if (message.starts_with("chat template, line")) throw;
    constexpr std::string_view prefix = "chat template: ";
    if (message.starts_with(prefix)) message.remove_prefix(prefix.size());
    fail(message);
  }
  return out;
}

Interpreter::Flow Interpreter::run(const Body& body, Scope& scope, std::string& out) {
  for (const Stmt& statement : body) {
    Flow flow = run(statement, scope, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

std::string Interpreter::run_captured(const Body& body, Scope& scope) {
  std::string out;
  if (run(body, scope, out) != Flow::kNext) fail("'break' or 'continue' outside of a loop");
  return out;
}

Interpreter::Flow Interpreter::run(const Stmt& statement, Scope& scope, std::string& out) {
  Deeper deeper(*this);
  spend(1);
  line_ = statement.line;
  switch (statement.kind) {
    case Stmt::Kind::kText:
      write(out, statement.name);
      return Flow::kNext;
    case Stmt::Kind::kOutput: {
      Value value = eval(*statement.expr, scope);
      value.is_string() ? write(out, value.as_string()) : write(out, to_text(value, limits_.output_bytes));
      return Flow::kNext;
    }
    case Stmt::Kind::kIf:
      return eval(*statement.expr, scope).truth() ? run(statement.body, scope, out)
                                                  : run(statement.otherwise, scope, out);
    case Stmt::Kind::kFor:
      run_for(statement, eval(*statement.expr, scope), scope, out, 0);
      return Flow::kNext;
    case Stmt::Kind::kSet:
      assign(*statement.target, eval(*statement.expr, scope), scope);
      return Flow::kNext;
    case Stmt::Kind::kSetBlock: {
      Block block(*this, &scope);
      Value value = text(run_captured(statement.body, block.scope()));
      if (statement.expr) value = eval_filter(*statement.expr, scope, &value);
      assign(*statement.target, value, scope);
      return Flow::kNext;
    }
    case Stmt::Kind::kMacro:
      scope.set(statement.name, make_macro(statement, scope, statement.name));
      return Flow::kNext;
    case Stmt::Kind::kCallBlock: {
      Value caller = make_macro(statement, scope, "caller");
      write(out, str(eval_call(*statement.expr, scope, &caller)));
      return Flow::kNext;
    }
    case Stmt::Kind::kFilterBlock: {
      Block block(*this, &scope);
      Value value = text(run_captured(statement.body, block.scope()));
      write(out, str(eval_filter(*statement.expr, scope, &value)));
      return Flow::kNext;
    }
    case Stmt::Kind::kWith: {
      Block block(*this, &scope);
      for (size_t i = 0; i < statement.targets.size(); i++)
        assign(*statement.targets[i], eval(*statement.values[i], scope), block.scope());
      return run(statement.body, block.scope(), out);
    }
    case Stmt::Kind::kScope: {
      Block block(*this, &scope);
      return run(statement.body, block.scope(), out);
    }
    case Stmt::Kind::kBody:
      return run(statement.body, scope, out);
    case Stmt::Kind::kBreak:
      return Flow::kBreak;
    case Stmt::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

void Interpreter::run_for(const Stmt& statement, const Value& iterable, Scope& scope, std::string& out,
                          int depth) {
  Deeper deeper(*this);
  auto* loop = own(std::make_unique<Loop>());
  loop->items = items_of(iterable);
  loop->depth = depth;
  loop->statement = &statement;
  loop->scope = &scope;
  if (statement.recursive)  // loop(...) may be called when its scope would be gone
    for (Scope* each = &scope; each; each = each->parent) each->captured = true;
  if (statement.test) {
    List kept;
    for (auto& item : loop->items) {
      spend(1);
      Block block(*this, &scope);
      assign(*statement.target, item, block.scope());
      if (eval(*statement.test, block.scope()).truth()) kept.push_back(item);
    }
    loop->items = std::move(kept);
  }
  if (loop->items.empty()) {
    Block block(*this, &scope);
    run(statement.otherwise, block.scope(), out);
    return;
  }
  for (; loop->index < loop->items.size(); loop->index++) {
    spend(1);
    Block block(*this, &scope);
    assign(*statement.target, loop->items[loop->index], block.scope());
    block.scope().set("loop", Value::object(loop));
    if (run(statement.body, block.scope(), out) == Flow::kBreak) break;
  }
}

void Interpreter::assign(const Expr& target, const Value& value, Scope& scope) {
  if (target.kind == Expr::Kind::kName) return scope.set(target.name, value);
  if (target.kind == Expr::Kind::kAttribute) {
    Value owner = eval(*target.items[0], scope);
    auto* space = owner.is(Value::Kind::kObject) ? dynamic_cast<Namespace*>(owner.as_object()) : nullptr;
    if (!space) fail(fmt::format("cannot assign attribute '{}' on a non-namespace object", target.name));
    charge(sizeof(Dict::Entry));
    return space->attributes.set(target.name, value);
  }
  List items = items_of(value);
  if (items.size() != target.items.size())
    fail(fmt::format("cannot unpack {} values into {} names", items.size(), target.items.size()));
  for (size_t i = 0; i < items.size(); i++) assign(*target.items[i], items[i], scope);
}

Value Interpreter::make_macro(const Stmt& statement, Scope& scope, std::string name) {
  auto* macro = own(std::make_unique<Macro>());
  macro->name = std::move(name);
  macro->signature = &statement.signature;
  macro->body = &statement.body;
  macro->scope = &scope;
  for (Scope* each = &scope; each; each = each->parent) each->captured = true;
  return Value::object(macro);
}

Value Interpreter::call_macro(const Macro& macro, const Arguments& arguments) {
  Deeper deeper(*this);
  Block block(*this, macro.scope);
  const auto& names = macro.signature->names;
  const auto& defaults = macro.signature->defaults;
  for (size_t i = 0; i < names.size(); i++) {
    size_t without_default = names.size() - defaults.size();
    Value value;
    if (const Value* given = arguments.find(i, names[i]))
      value = *given;
    else if (i >= without_default)
      value = eval(*defaults[i - without_default], block.scope());
    else
      value = Value::undefined(fmt::format("parameter '{}' was not provided", names[i]));
    block.scope().set(names[i], std::move(value));
  }
  List more;
  for (size_t i = names.size(); i < arguments.positional.size(); i++) more.push_back(arguments.positional[i]);
  Dict keywords;
  for (const auto& [name, value] : arguments.keywords) {
    if (name == "caller")
      block.scope().set(name, value);
    else if (std::find(names.begin(), names.end(), name) == names.end())
      keywords.set(name, value);
  }
  block.scope().set("varargs", Value::tuple(std::move(more)));
  block.scope().set("kwargs", Value::dict(std::move(keywords)));
  return text(run_captured(*macro.body, block.scope()));
}

Value Interpreter::call(const Value& callee, const Arguments& arguments) {
  spend(1);
  if (callee.is_undefined()) fail(callee.undefined_message());
  if (!callee.is(Value::Kind::kObject)) fail(fmt::format("'{}' object is not callable", callee.type_name()));
  Object* object = callee.as_object();
  if (auto* function = dynamic_cast<Function*>(object)) return function->call(*this, arguments);
  if (auto* macro = dynamic_cast<Macro*>(object)) return call_macro(*macro, arguments);
  if (auto* loop = dynamic_cast<Loop*>(object)) {
    if (!loop->statement->recursive) fail("the loop must be marked 'recursive' to be called");
    std::string out;
    run_for(*loop->statement, arguments.get(0, "iterable", Value()), *loop->scope, out, loop->depth + 1);
    return text(std::move(out));
  }
  if (auto* joiner = dynamic_cast<Joiner*>(object)) {
    bool first = !joiner->used;
    joiner->used = true;
    return text(first ? "" : joiner->separator);
  }
  fail(fmt::format("'{}' object is not callable", callee.type_name()));
}

// Too many arguments, or a keyword that is none of the parameters.
void Interpreter::check_arguments(const std::string& name, std::string_view parameters,
                                  const Arguments& arguments) const {
  if (parameters == "*") return;
  std::vector<std::string_view> names;
  for (size_t at = 0; at < parameters.size();) {
    size_t end = std::min(parameters.find(' ', at), parameters.size());
    names.push_back(parameters.substr(at, end - at));
    at = end + 1;
  }
  if (arguments.positional.size() > names.size()) fail(fmt::format("'{}' got too many arguments", name));
  for (const auto& [keyword, value] : arguments.keywords)
    if (std::find(names.begin(), names.end(), keyword) == names.end())
      fail(fmt::format("'{}' got an unexpected keyword argument '{}'", name, keyword));
}

Value Interpreter::filter(const std::string& name, const Value& input, const Arguments& arguments) {
  const Filter* filter = find_filter(name);
  if (!filter) fail(fmt::format("no filter named '{}'", name));
  check_arguments(name, filter->parameters, arguments);
  spend(1);
  spend_search(input, arguments);
  return filter->function(*this, input, arguments);
}

bool Interpreter::test(const std::string& name, const Value& input, const Arguments& arguments) {
  const Test* test = find_test(name);
  if (!test) fail(fmt::format("no test named '{}'", name));
  check_arguments(name, test->parameters, arguments);
  spend(1);
  spend_reading(input);
  return test->function(*this, input, arguments);
}

}  // namespace rose::text::jinja
