// The tests behind "is" in templates.
#include <unordered_map>

#include "text/jinja/interpreter.h"
#include "text/jinja/python_text.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

using Kind = Value::Kind;

int64_t remainder(Interpreter& run, const Value& value, int64_t divisor) {
  if (value.is_undefined()) run.fail(value.undefined_message());
  Value result = run.binary("%", value, Value::integer(divisor));
  return result.is_integral() ? result.as_integer() : static_cast<int64_t>(result.as_real() != 0);
}

bool compare(Interpreter& run, const char* op, const Value& value, const Arguments& args) {
  const Value* other = args.find(0, "other");
  if (!other) run.fail("a test that compares needs a second value");
  return run.compare(op, value, *other);
}

bool is_equal(Interpreter& run, const Value& value, const Arguments& args) {
  return compare(run, "==", value, args);
}
bool is_unequal(Interpreter& run, const Value& value, const Arguments& args) {
  return compare(run, "!=", value, args);
}
bool is_less(Interpreter& run, const Value& value, const Arguments& args) {
  return compare(run, "<", value, args);
}
bool is_at_most(Interpreter& run, const Value& value, const Arguments& args) {
  return compare(run, "<=", value, args);
}
bool is_greater(Interpreter& run, const Value& value, const Arguments& args) {
  return compare(run, ">", value, args);
}
bool is_at_least(Interpreter& run, const Value& value, const Arguments& args) {
  return compare(run, ">=", value, args);
}

bool has_letters_of(const Value& value, bool upper_case) {
  bool found = false;
  if (!value.is_string()) return false;
  for (char32_t point : unicode::to_points(value.as_string())) {
    std::string_view category = unicode::kCategoryNames[unicode::category(point)];
    if (category == (upper_case ? "Ll" : "Lu") || category == "Lt") return false;
    found |= category == (upper_case ? "Lu" : "Ll");
  }
  return found;
}

}  // namespace

const Test* find_test(std::string_view name) {
  static const std::unordered_map<std::string_view, Test> tests = {
      {"defined", {[](Interpreter&, const Value& v, const Arguments&) { return !v.is_undefined(); }, ""}},
      {"undefined", {[](Interpreter&, const Value& v, const Arguments&) { return v.is_undefined(); }, ""}},
      {"none", {[](Interpreter&, const Value& v, const Arguments&) { return v.is_none(); }, ""}},
      {"boolean", {[](Interpreter&, const Value& v, const Arguments&) { return v.is(Kind::kBool); }, ""}},
      {"true",
       {[](Interpreter&, const Value& v, const Arguments&) { return v.is(Kind::kBool) && v.truth(); }, ""}},
      {"false",
       {[](Interpreter&, const Value& v, const Arguments&) { return v.is(Kind::kBool) && !v.truth(); }, ""}},
      {"integer", {[](Interpreter&, const Value& v, const Arguments&) { return v.is(Kind::kInt); }, ""}},
      {"float", {[](Interpreter&, const Value& v, const Arguments&) { return v.is(Kind::kFloat); }, ""}},
      {"number", {[](Interpreter&, const Value& v, const Arguments&) { return v.is_number(); }, ""}},
      {"string", {[](Interpreter&, const Value& v, const Arguments&) { return v.is_string(); }, ""}},
      {"mapping", {[](Interpreter&, const Value& v, const Arguments&) { return v.is_dict(); }, ""}},
      {"sequence",
       {[](Interpreter&, const Value& v, const Arguments&) {
          return v.is_string() || v.is_sequence() || v.is_dict() || v.is_undefined();
        },
        ""}},
      {"iterable",
       {[](Interpreter&, const Value& v, const Arguments&) {
          return v.is_string() || v.is_sequence() || v.is_dict() || v.is_undefined();
        },
        ""}},
      {"callable",
       {[](Interpreter&, const Value& v, const Arguments&) {
          return v.is(Kind::kObject) && !dynamic_cast<Namespace*>(v.as_object());
        },
        ""}},
      {"sameas",
       {[](Interpreter& r, const Value& v, const Arguments& a) {
          Value other = a.get(0, "other");
          return v.kind() == other.kind() && r.equal(v, other);
        },
        "other"}},
      {"odd", {[](Interpreter& r, const Value& v, const Arguments&) { return remainder(r, v, 2) == 1; }, ""}},
      {"even",
       {[](Interpreter& r, const Value& v, const Arguments&) { return remainder(r, v, 2) == 0; }, ""}},
      {"divisibleby",
       {[](Interpreter& r, const Value& v, const Arguments& a) {
          return remainder(r, v, r.integer_argument(a.get(0, "num"), "the argument of divisibleby")) == 0;
        },
        "num"}},
      {"lower",
       {[](Interpreter&, const Value& v, const Arguments&) { return has_letters_of(v, false); }, ""}},
      {"upper", {[](Interpreter&, const Value& v, const Arguments&) { return has_letters_of(v, true); }, ""}},
      {"escaped", {[](Interpreter&, const Value&, const Arguments&) { return false; }, ""}},
      {"filter",
       {[](Interpreter&, const Value& v, const Arguments&) {
          return v.is_string() && find_filter(v.as_string());
        },
        ""}},
      {"test",
       {[](Interpreter&, const Value& v, const Arguments&) {
          return v.is_string() && find_test(v.as_string());
        },
        ""}},
      {"in",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return r.contains(a.get(0, "seq"), v); },
        "seq"}},
      {"eq", {is_equal, "other"}},
      {"equalto", {is_equal, "other"}},
      {"==", {is_equal, "other"}},
      {"ne", {is_unequal, "other"}},
      {"!=", {is_unequal, "other"}},
      {"lt", {is_less, "other"}},
      {"lessthan", {is_less, "other"}},
      {"<", {is_less, "other"}},
      {"le", {is_at_most, "other"}},
      {"<=", {is_at_most, "other"}},
      {"gt", {is_greater, "other"}},
      {"greaterthan", {is_greater, "other"}},
      {">", {is_greater, "other"}},
      {"ge", {is_at_least, "other"}},
      {">=", {is_at_least, "other"}},
  };
  auto found = tests.find(name);
  return found == tests.end() ? nullptr : &found->second;
}

}  // namespace rose::text::jinja
