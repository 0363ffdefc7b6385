// Filters over lists and dictionaries.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "text/jinja/interpreter.h"
#include "text/jinja/python_text.h"

namespace rose::text::jinja {
namespace {

// jinja2's make_attrgetter: "a.b.0" walks attributes and items; texts are compared without case if asked.
Value walk(Interpreter& run, Value value, const Value& path) {
  if (path.is_none()) return value;
  if (path.is_integral()) return run.item(value, path);
  std::string_view rest = run.text_argument(path, "an attribute");
  while (true) {
    size_t dot = rest.find('.');
    std::string step(rest.substr(0, dot));
    bool number =
        !step.empty() && step.size() < 10 && step.find_first_not_of("0123456789") == std::string::npos;
    value = run.item(value, number ? Value::integer(std::stoi(step)) : Value::string(step));
    if (dot == std::string_view::npos) return value;
    rest.remove_prefix(dot + 1);
  }
}

Value ignore_case(Interpreter& run, const Value& value) {
  return value.is_string() ? run.text(lower(value.as_string())) : value;
}

// Sorts by keys, stable. The number of comparisons counts as steps.
void sort_by(Interpreter& run, List& items, const List& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    run.spend(1);
    if (keys[a].is_undefined()) run.fail(keys[a].undefined_message());
    return reverse ? run.less(keys[b], keys[a]) : run.less(keys[a], keys[b]);
  });
  List sorted;
  for (size_t i : order) sorted.push_back(items[i]);
  items = std::move(sorted);
}

List keys_of(Interpreter& run, const List& items, const Value& attribute, bool case_sensitive) {
  List keys;
  for (const auto& item : items) {
    // "a,b" sorts by several attributes.
    if (attribute.is_string() && attribute.as_string().find(',') != std::string::npos) {
      Value parts;
      List key;
      call_method(run, attribute, "split", {{Value::string(",")}, {}}, parts);
      for (const auto& part : parts.items()) {
        Value value = walk(run, item, part);
        key.push_back(case_sensitive ? value : ignore_case(run, value));
      }
      keys.push_back(Value::tuple(std::move(key)));
      continue;
    }
    Value value = walk(run, item, attribute);
    keys.push_back(case_sensitive ? value : ignore_case(run, value));
  }
  return keys;
}

Value sort(Interpreter& run, const Value& input, const Arguments& args) {
  List items = run.items_of(input);
  List keys = keys_of(run, items, args.get(2, "attribute"), args.get(1, "case_sensitive").truth());
  sort_by(run, items, keys, args.get(0, "reverse").truth());
  return run.list(std::move(items));
}

Value dictsort(Interpreter& run, const Value& input, const Arguments& args) {
  if (!input.is_dict()) run.fail("dictsort needs a mapping");
  Value by = args.get(1, "by", Value::string("key")), items_value;
  bool by_value = run.text_argument(by, "the argument 'by' of dictsort") == "value";
  if (!by_value && by.as_string() != "key") run.fail("dictsort sorts by either 'key' or 'value'");
  call_method(run, input, "items", {}, items_value);
  List items = items_value.items(), keys;
  bool case_sensitive = args.get(0, "case_sensitive").truth();
  for (const auto& item : items) {
    Value key = item.items()[by_value];
    keys.push_back(case_sensitive ? key : ignore_case(run, key));
  }
  sort_by(run, items, keys, args.get(2, "reverse").truth());
  return run.list(std::move(items));
}

Value extreme(Interpreter& run, const Value& input, const Arguments& args, bool largest) {
  List items = run.items_of(input);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  List keys = keys_of(run, items, args.get(1, "attribute"), args.get(0, "case_sensitive").truth());
  size_t best = 0;
  for (size_t i = 1; i < items.size(); i++)
    if (largest ? run.less(keys[best], keys[i]) : run.less(keys[i], keys[best])) best = i;
  return items[best];
}

Value unique(Interpreter& run, const Value& input, const Arguments& args) {
  List items = run.items_of(input), out;
  List keys = keys_of(run, items, args.get(1, "attribute"), args.get(0, "case_sensitive").truth());
  Dict seen;
  for (size_t i = 0; i < items.size(); i++) {
    if (seen.find(keys[i])) continue;
    seen.set(keys[i], Value::none());
    out.push_back(items[i]);
  }
  return run.list(std::move(out));
}

Value groupby(Interpreter& run, const Value& input, const Arguments& args) {
  List items = run.items_of(input), out;
  Value attribute = args.get(0, "attribute"), otherwise = args.get(1, "default");
  bool case_sensitive = args.get(2, "case_sensitive").truth();
  List values, keys;
  for (const auto& item : items) {
    Value value = walk(run, item, attribute);
    if (value.is_undefined() && !otherwise.is_none()) value = otherwise;
    values.push_back(Value::tuple({value, item}));
    keys.push_back(case_sensitive ? value : ignore_case(run, value));
  }
  List sorted_keys = keys;
  sort_by(run, values, keys, false);
  sort_by(run, sorted_keys, keys, false);
  for (size_t begin = 0; begin < values.size();) {
    size_t end = begin;
    List members;
    while (end < values.size() && run.equal(sorted_keys[begin], sorted_keys[end]))
      members.push_back(values[end++].items()[1]);
    out.push_back(Value::tuple({values[begin].items()[0], run.list(std::move(members))}));
    begin = end;
  }
  return run.list(std::move(out));
}

// select, reject, selectattr, rejectattr: keep the items for which a test says `wanted`.
Value choose(Interpreter& run, const Value& input, const Arguments& args, bool wanted, bool by_attribute) {
  List out;
  size_t at = by_attribute;
  if (by_attribute && args.positional.empty()) run.fail("missing parameter for attribute name");
  Arguments rest;
  for (size_t i = at + 1; i < args.positional.size(); i++) rest.positional.push_back(args.positional[i]);
  rest.keywords = args.keywords;
  for (const auto& item : run.items_of(input)) {
    Value value = by_attribute ? walk(run, item, args.positional[0]) : item;
    bool passes = args.positional.size() > at
                      ? run.test(run.text_argument(args.positional[at], "the name of a test"), value, rest)
                      : value.truth();
    if (passes == wanted) out.push_back(item);
  }
  return run.list(std::move(out));
}

Value map(Interpreter& run, const Value& input, const Arguments& args) {
  List out;
  bool by_attribute = args.positional.empty();
  Value attribute, otherwise;
  for (const auto& [name, value] : args.keywords) {
    if (name == "attribute") attribute = value;
    if (name == "default") otherwise = value;
  }
  if (by_attribute && attribute.is_undefined()) run.fail("map requires a filter argument");
  Arguments rest;
  for (size_t i = 1; i < args.positional.size(); i++) rest.positional.push_back(args.positional[i]);
  rest.keywords = args.keywords;
  for (const auto& item : run.items_of(input)) {
    if (by_attribute) {
      Value value = walk(run, item, attribute);
      out.push_back(value.is_undefined() && !otherwise.is_undefined() ? otherwise : value);
    } else {
      out.push_back(run.filter(run.text_argument(args.positional[0], "the name of a filter"), item, rest));
    }
  }
  return run.list(std::move(out));
}

Value join(Interpreter& run, const Value& input, const Arguments& args) {
  std::string separator = run.str(args.get(0, "d", Value::string(""))), out;
  Value attribute = args.get(1, "attribute");
  bool first = true;
  for (const auto& item : run.items_of(input)) {
    if (!first) {
      run.charge(separator.size());
      out += separator;
    }
    first = false;
    out += run.str(walk(run, item, attribute));
  }
  return run.text(std::move(out));
}

Value sum(Interpreter& run, const Value& input, const Arguments& args) {
  Value total = args.get(1, "start", Value::integer(0));
  for (const auto& item : run.items_of(input))
    total = run.binary("+", total, walk(run, item, args.get(0, "attribute")));
  return total;
}

Value first_or_last(Interpreter& run, const Value& input, bool last) {
  List items = run.items_of(input);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  return last ? items.back() : items.front();
}

Value reverse(Interpreter& run, const Value& input, const Arguments&) {
  List items = run.items_of(input);
  std::reverse(items.begin(), items.end());
  if (!input.is_string()) return run.list(std::move(items));
  std::string out;
  for (const auto& item : items) out += item.as_string();
  return run.text(std::move(out));
}

Value batch(Interpreter& run, const Value& input, const Arguments& args) {
  int64_t size = run.integer_argument(args.get(0, "linecount"), "the size of batch");
  if (size < 1 || size > 1000000) run.fail("the size of batch must be from 1 to 1000000");
  Value fill = args.get(1, "fill_with");
  List out, current;
  for (const auto& item : run.items_of(input)) {
    if (static_cast<int64_t>(current.size()) == size) out.push_back(run.list(std::exchange(current, {})));
    current.push_back(item);
  }
  if (!current.empty()) {
    while (!fill.is_none() && static_cast<int64_t>(current.size()) < size) current.push_back(fill);
    out.push_back(run.list(std::move(current)));
  }
  return run.list(std::move(out));
}

Value slice(Interpreter& run, const Value& input, const Arguments& args) {
  int64_t slices = run.integer_argument(args.get(0, "slices"), "the number of slices");
  if (slices < 1 || slices > 1000000) run.fail("the number of slices must be from 1 to 1000000");
  Value fill = args.get(1, "fill_with");
  List items = run.items_of(input), out;
  size_t count = static_cast<size_t>(slices), each = items.size() / count, extra = items.size() % count,
         at = 0;
  for (size_t i = 0; i < count; i++) {
    size_t size = each + (i < extra);
    List part(items.begin() + static_cast<long>(at), items.begin() + static_cast<long>(at + size));
    if (!fill.is_none() && i >= extra) part.push_back(fill);
    out.push_back(run.list(std::move(part)));
    at += size;
  }
  return run.list(std::move(out));
}

Value default_value(Interpreter&, const Value& input, const Arguments& args) {
  bool missing = input.is_undefined() || (args.get(1, "boolean").truth() && !input.truth());
  return missing ? args.get(0, "default_value", Value::string("")) : input;
}

Value items(Interpreter& run, const Value& input, const Arguments&) {
  if (input.is_undefined()) return run.list({});
  if (!input.is_dict()) run.fail("Can only get item pairs from a mapping.");
  Value out;
  call_method(run, input, "items", {}, out);
  return out;
}

}  // namespace

const Filter* find_sequence_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> filters = {
      {"sort", {sort, "reverse case_sensitive attribute"}},
      {"dictsort", {dictsort, "case_sensitive by reverse"}},
      {"unique", {unique, "case_sensitive attribute"}},
      {"groupby", {groupby, "attribute default case_sensitive"}},
      {"map", {map, "*"}},
      {"join", {join, "d attribute"}},
      {"sum", {sum, "attribute start"}},
      {"reverse", {reverse, ""}},
      {"batch", {batch, "linecount fill_with"}},
      {"slice", {slice, "slices fill_with"}},
      {"default", {default_value, "default_value boolean"}},
      {"d", {default_value, "default_value boolean"}},
      {"items", {items, ""}},
      {"min",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return extreme(r, v, a, false); },
        "case_sensitive attribute"}},
      {"max",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return extreme(r, v, a, true); },
        "case_sensitive attribute"}},
      {"first",
       {[](Interpreter& r, const Value& v, const Arguments&) { return first_or_last(r, v, false); }, ""}},
      {"last",
       {[](Interpreter& r, const Value& v, const Arguments&) { return first_or_last(r, v, true); }, ""}},
      {"select",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return choose(r, v, a, true, false); },
        "*"}},
      {"reject",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return choose(r, v, a, false, false); },
        "*"}},
      {"selectattr",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return choose(r, v, a, true, true); }, "*"}},
      {"rejectattr",
       {[](Interpreter& r, const Value& v, const Arguments& a) { return choose(r, v, a, false, true); },
        "*"}},
      {"list", {[](Interpreter& r, const Value& v, const Arguments&) { return r.list(r.items_of(v)); }, ""}},
      {"length",
       {[](Interpreter& r, const Value& v, const Arguments&) {
          return Value::integer(static_cast<int64_t>(r.length_of(v)));
        },
        ""}},
      {"count",
       {[](Interpreter& r, const Value& v, const Arguments&) {
          return Value::integer(static_cast<int64_t>(r.length_of(v)));
        },
        ""}},
      {"attr",
       {[](Interpreter& r, const Value& v, const Arguments& a) {
          const Value name = a.get(0, "name");  // items of a dictionary are no attributes
          const std::string& text = r.text_argument(name, "the name for attr");
          if (!v.is_dict()) return r.attribute(v, text);
          return bound_method(r, v, text);
        },
        "name"}},
  };
  auto found = filters.find(name);
  return found == filters.end() ? nullptr : &found->second;
}

const Filter* find_filter(std::string_view name) {
  const Filter* found = find_text_filter(name);
  return found ? found : find_sequence_filter(name);
}

}  // namespace rose::text::jinja
