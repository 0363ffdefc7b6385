// The functions that exist in every chat template: jinja2's and the ones that HF adds.
#include <fmt/format.h>

#include "text/jinja/interpreter.h"

namespace rose::text::jinja {
namespace {

// jinja2's sandbox refuses longer ranges.
constexpr int64_t kMaxRange = 100000;

Value range(Interpreter& run, const Arguments& args) {
  int64_t bounds[3] = {0, 0, 1};
  size_t count = args.positional.size();
  if (count < 1 || count > 3) run.fail("range expected 1 to 3 arguments");
  for (size_t i = 0; i < count; i++)
    bounds[count == 1 ? 1 : i] = run.integer_argument(args.positional[i], "a bound of range");
  auto [begin, end, step] = bounds;
  if (step == 0) run.fail("range() arg 3 must not be zero");
  List items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) >= kMaxRange)
      run.fail("range too big. The sandbox blocks ranges larger than 100000");
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  run.spend(items.size());
  return run.list(std::move(items));
}

Dict keyword_dict(Interpreter& run, const Arguments& args) {
  Dict out;
  for (const auto& given : args.positional) {
    if (given.is_undefined()) run.fail(given.undefined_message());
    if (given.is_dict()) {
      for (const auto& [key, value] : given.as_dict().entries()) out.set(key, value);
      continue;
    }
    for (const auto& pair : run.items_of(given)) {
      List parts = run.items_of(pair);
      if (parts.size() != 2) run.fail("dictionary update sequence elements must have 2 items");
      out.set(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : args.keywords) out.set(name, value);
  run.charge(out.size() * sizeof(Dict::Entry) * 2);
  return out;
}

Value make_namespace(Interpreter& run, const Arguments& args) {
  auto space = std::make_unique<Namespace>();
  space->attributes = keyword_dict(run, args);
  return Value::object(run.own(std::move(space)));
}

Value strftime_now(Interpreter& run, const Arguments& args) {
  std::time_t now = run.now();
  std::tm local{};
  localtime_r(&now, &local);
  Value format_value = args.get(0, "format");
  const std::string& format = run.text_argument(format_value, "the format of strftime_now");
  if (format.empty()) return run.text("");
  if (format.size() > 1000) run.fail("the format of strftime_now is longer than 1000 bytes");
  // Ends in a mark, as an empty result and a full buffer look the same.
  std::string buffer(64 * format.size() + 256, '\0');
  size_t length = std::strftime(buffer.data(), buffer.size(), (format + "|").c_str(), &local);
  if (length == 0) run.fail("the format of strftime_now gives too long a text");
  return run.text(buffer.substr(0, length - 1));
}

}  // namespace

void add_globals(Interpreter& interpreter, Scope& scope) {
  auto add = [&](const char* name, Value (*function)(Interpreter&, const Arguments&)) {
    scope.set(name, Value::object(interpreter.own(std::make_unique<Function>(function))));
  };
  add("range", range);
  add("namespace", make_namespace);
  add("dict", [](Interpreter& run, const Arguments& args) { return Value::dict(keyword_dict(run, args)); });
  add("strftime_now", strftime_now);
  add("raise_exception",
      [](Interpreter& run, const Arguments& args) -> Value { run.fail(run.str(args.get(0, "message"))); });
  add("cycler", [](Interpreter& run, const Arguments& args) {
    if (args.positional.empty()) run.fail("at least one item has to be provided");
    auto cycler = std::make_unique<Cycler>();
    cycler->items = args.positional;
    return Value::object(run.own(std::move(cycler)));
  });
  add("joiner", [](Interpreter& run, const Arguments& args) {
    auto joiner = std::make_unique<Joiner>();
    joiner->separator = run.str(args.get(0, "sep", Value::string(", ")));
    return Value::object(run.own(std::move(joiner)));
  });
}

}  // namespace rose::text::jinja
