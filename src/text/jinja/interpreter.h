// Runs a parsed template. The sandbox: a template sees only the values it was given, can change none of them,
// and every step, every byte it makes and every level of recursion counts against a budget.
#pragma once

#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/objects.h"
#include "text/jinja/value.h"

namespace rose::text::jinja {

struct Limits {
  size_t steps = 20'000'000;         ///< expressions and statements evaluated, items visited
  size_t output_bytes = 64 << 20;    ///< of the rendered text
  size_t created_bytes = 512 << 20;  ///< of all texts and lists made on the way
  int depth = 500;                   ///< nested evaluations, macro calls included
};

/// Variables of one block, chained to those around it.
struct Scope {
  explicit Scope(Scope* parent) : parent(parent) {}
  Value* find(std::string_view name);
  void set(std::string_view name, Value value);

  Scope* parent;
  bool captured = false;  ///< a macro refers to it, so it outlives its block
  std::vector<std::pair<std::string, Value>> variables;
};

/// One rendering; not reusable. All failures are TextError "chat template, line N: ...".
class Interpreter {
 public:
  Interpreter(const Limits& limits, std::time_t now) : limits_(limits), now_(now) {}

  std::string render(const Body& body, const Dict& variables);

  // For filters, tests and methods.

  [[noreturn]] void fail(std::string_view what) const;
  /// Counts `count` steps, or bytes of values made.
  void spend(size_t count);
  void charge(size_t bytes);
  /// Counts what walking over a text, or searching it for another, costs.
  void spend_reading(const Value& text);
  void spend_search(const Value& text, const Arguments& wanted);
  bool equal(const Value& a, const Value& b);
  bool less(const Value& a, const Value& b);
  /// Makes values and charges their size.
  Value text(std::string text);
  Value list(List items);
  /// Makes an object that lives as long as the rendering.
  template <typename T>
  T* own(std::unique_ptr<T> object) {
    charge(sizeof(T) + 64);
    T* pointer = object.get();
    objects_.push_back(std::move(object));
    return pointer;
  }
  /// str(value) and repr(value), charged.
  std::string str(const Value& value);
  /// The items that iterating over a value gives; fails for what Python cannot iterate over.
  List items_of(const Value& value);
  size_t length_of(const Value& value);
  Value attribute(const Value& owner, const std::string& name);
  Value item(const Value& owner, const Value& key);
  bool contains(const Value& container, const Value& item);
  Value call(const Value& callee, const Arguments& arguments);
  Value filter(const std::string& name, const Value& input, const Arguments& arguments);
  bool test(const std::string& name, const Value& input, const Arguments& arguments);
  Value binary(const std::string& op, const Value& left, const Value& right);
  bool compare(const std::string& op, const Value& left, const Value& right);
  std::time_t now() const { return now_; }
  int64_t integer_argument(const Value& value, std::string_view what) const;
  const std::string& text_argument(const Value& value, std::string_view what) const;

 private:
  enum class Flow { kNext, kBreak, kContinue };
  struct Deeper;
  class Block;

  void check_arguments(const std::string& name, std::string_view parameters,
                       const Arguments& arguments) const;
  Flow run(const Body& body, Scope& scope, std::string& out);
  Flow run(const Stmt& statement, Scope& scope, std::string& out);
  void run_for(const Stmt& statement, const Value& iterable, Scope& scope, std::string& out, int depth);
  std::string run_captured(const Body& body, Scope& scope);
  Value call_macro(const Macro& macro, const Arguments& arguments);
  Value loop_attribute(Loop& loop, const std::string& name);
  void write(std::string& out, std::string_view text);
  void assign(const Expr& target, const Value& value, Scope& scope);
  Value make_macro(const Stmt& statement, Scope& scope, std::string name);

  Value eval(const Expr& node, Scope& scope);
  Value eval_compare(const Expr& node, Scope& scope);
  Value eval_call(const Expr& node, Scope& scope, const Value* caller);
  Value eval_slice(const Expr& node, Scope& scope);
  Value eval_filter(const Expr& node, Scope& scope, const Value* block_text);
  List eval_items(const std::vector<ExprPtr>& items, size_t from, Scope& scope);
  Arguments eval_arguments(const Expr& node, Scope& scope);

  Limits limits_;
  std::time_t now_;
  size_t steps_ = 0;
  size_t created_ = 0;
  int depth_ = 0;
  int line_ = 0;
  std::deque<std::unique_ptr<Object>> objects_;
  std::deque<std::unique_ptr<Scope>> captured_scopes_;
};

/// The names that exist without being given: range, namespace, raise_exception, ...
void add_globals(Interpreter& interpreter, Scope& scope);

/// The bound method `name` of a text, list or dictionary, or undefined if it has none. Names that Python has
/// but that would change the value give an undefined that says so.
Value bound_method(Interpreter& interpreter, const Value& owner, const std::string& name);

/// Calls a method at once, without making a bound one. False if the owner has no such method.
bool call_method(Interpreter& interpreter, const Value& owner, const std::string& name,
                 const Arguments& arguments, Value& result);

/// Python's text % value and text.format(...).
std::string percent_format(Interpreter& interpreter, const std::string& format, const Value& values);
std::string brace_format(Interpreter& interpreter, const std::string& format, const Arguments& arguments);

struct JsonStyle {
  bool ascii_only = false;
  bool sort_keys = false;
  int indent = -1;  ///< -1: one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
/// Python's json.dumps.
std::string to_json(Interpreter& interpreter, const Value& value, const JsonStyle& style);

using FilterFunction = Value (*)(Interpreter&, const Value& input, const Arguments&);
using TestFunction = bool (*)(Interpreter&, const Value& input, const Arguments&);
/// `parameters`: the names after the input, in order, with spaces between; "*": it looks itself.
struct Filter {
  FilterFunction function;
  std::string_view parameters;
};
struct Test {
  TestFunction function;
  std::string_view parameters;
};
/// Null if there is none with this name.
const Filter* find_text_filter(std::string_view name);
const Filter* find_sequence_filter(std::string_view name);
const Filter* find_filter(std::string_view name);
const Test* find_test(std::string_view name);

}  // namespace rose::text::jinja
