// The methods of texts, lists and dictionaries that templates may call.
#include <fmt/format.h>

#include <algorithm>

#include <unordered_map>
#include <unordered_set>

#include "text/jinja/interpreter.h"
#include "text/jinja/python_text.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

using Method = Value (*)(Interpreter&, const Value& self, const Arguments&);
using Methods = std::unordered_map<std::string_view, Method>;

Value stripped(Interpreter& run, const Value& self, const Arguments& args, bool left, bool right) {
  Value characters = args.get(0, "chars");
  const std::string* set =
      characters.is_none() ? nullptr : &run.text_argument(characters, "the argument of strip");
  return run.text(std::string(strip(self.as_string(), set, left, right)));
}

// str.split and str.rsplit.
Value split(Interpreter& run, const Value& self, const Arguments& args, bool from_right) {
  Value separator = args.get(0, "sep"), limit_value = args.get(1, "maxsplit", Value::integer(-1));
  int64_t limit = run.integer_argument(limit_value, "maxsplit");
  auto left = limit < 0 ? SIZE_MAX : static_cast<size_t>(limit);
  std::string_view text = self.as_string();
  List parts;
  auto push = [&](std::string_view part) { parts.push_back(run.text(std::string(part))); };
  if (separator.is_none()) {
    while (true) {
      text = from_right ? strip(text, nullptr, false, true) : strip(text, nullptr, true, false);
      if (text.empty()) break;
      if (left-- == 0) {
        push(text);
        break;
      }
      // The word at the end in question.
      size_t begin = from_right ? text.size() : 0;
      while (from_right ? begin > 0 : begin < text.size()) {
        size_t at = from_right ? unicode::previous(text, begin) : begin;
        auto [point, next] = unicode::decode(text, at);
        if (is_python_space(point)) break;
        begin = from_right ? at : next;
      }
      push(from_right ? text.substr(begin) : text.substr(0, begin));
      text = from_right ? text.substr(0, begin) : text.substr(begin);
    }
  } else {
    const std::string& mark = run.text_argument(separator, "sep");
    if (mark.empty()) run.fail("empty separator");
    while (left-- > 0) {
      size_t at = from_right ? text.rfind(mark) : text.find(mark);
      if (at == std::string_view::npos) break;
      push(from_right ? text.substr(at + mark.size()) : text.substr(0, at));
      text = from_right ? text.substr(0, at) : text.substr(at + mark.size());
    }
    push(text);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return run.list(std::move(parts));
}

Value splitlines(Interpreter& run, const Value& self, const Arguments& args) {
  bool keep = args.get(0, "keepends").truth();
  std::string_view text = self.as_string();
  List lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = unicode::decode(text, at);
    bool breaks = (point >= 0xA && point <= 0xD) || (point >= 0x1C && point <= 0x1E) || point == 0x85 ||
                  point == 0x2028 || point == 0x2029;
    if (breaks) {
      if (point == '\r' && next < text.size() && text[next] == '\n') next++;
      lines.push_back(run.text(std::string(text.substr(begin, (keep ? next : at) - begin))));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(run.text(std::string(text.substr(begin))));
  return run.list(std::move(lines));
}

// startswith and endswith take a text or a tuple of texts.
Value affix(Interpreter& run, const Value& self, const Arguments& args, bool start) {
  Value given = args.get(0, "prefix");
  List choices = given.is(Value::Kind::kTuple) ? given.items() : List{given};
  for (const auto& choice : choices) {
    const std::string& text =
        run.text_argument(choice, start ? "the argument of startswith" : "the argument of endswith");
    if (start ? self.as_string().starts_with(text) : self.as_string().ends_with(text))
      return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value replace(Interpreter& run, const Value& self, const Arguments& args) {
  const Value from_value = args.get(0, "old"), to_value = args.get(1, "new");
  const std::string& from = run.text_argument(from_value, "old");
  const std::string& to = run.text_argument(to_value, "new");
  int64_t limit = run.integer_argument(args.get(2, "count", Value::integer(-1)), "count");
  auto left = limit < 0 ? SIZE_MAX : static_cast<size_t>(limit);
  const std::string& text = self.as_string();
  std::string out;
  size_t at = 0;
  while (left-- > 0 && at <= text.size()) {
    size_t found = text.find(from, at);
    if (found == std::string::npos) break;
    run.charge(to.size() + 1);
    out.append(text, at, found - at).append(to);
    at = found + from.size();
    if (!from.empty()) continue;
    if (at >= text.size()) return run.text(std::move(out));
    size_t length = unicode::sequence_length(text[at]);  // an empty text is found between all characters
    out.append(text, at, length);
    at += length;
  }
  return run.text(out.append(text, std::min(at, text.size())));
}

Value find(Interpreter& run, const Value& self, const Arguments& args, bool from_right, bool must) {
  const Value needle = args.get(0, "sub");
  const std::string& text = self.as_string();
  const std::string& wanted = run.text_argument(needle, "sub");
  run.spend(text.size() / 64);
  size_t at = from_right ? text.rfind(wanted) : text.find(wanted);
  if (at == std::string::npos && must) run.fail("substring not found");
  return Value::integer(at == std::string::npos
                            ? -1
                            : static_cast<int64_t>(unicode::count(std::string_view(text).substr(0, at))));
}

Value pad(Interpreter& run, const Value& self, const Arguments& args, double left_share) {
  int64_t width = run.integer_argument(args.get(0, "width"), "width");
  std::string fill = args.get(1, "fillchar", Value::string(" ")).is_string()
                         ? args.get(1, "fillchar", Value::string(" ")).as_string()
                         : " ";
  if (fill.empty() || unicode::sequence_length(fill[0]) != fill.size())
    run.fail("the fill character must be one character long");
  auto length = static_cast<int64_t>(unicode::count(self.as_string()));
  if (width <= length) return self;
  run.charge(static_cast<size_t>(width - length) * fill.size());
  int64_t missing = width - length;
  int64_t left = left_share == 0.5 ? missing / 2 + (missing & width & 1)
                                   : static_cast<int64_t>(left_share * static_cast<double>(missing));
  std::string out;
  for (int64_t i = 0; i < left; i++) out += fill;
  out += self.as_string();
  for (int64_t i = left; i < missing; i++) out += fill;
  return run.text(std::move(out));
}

Value zfill(Interpreter& run, const Value& self, const Arguments& args) {
  int64_t width = run.integer_argument(args.get(0, "width"), "width");
  const std::string& text = self.as_string();
  auto length = static_cast<int64_t>(unicode::count(text));
  if (width <= length) return self;
  run.charge(static_cast<size_t>(width));
  size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  return run.text(text.substr(0, sign) + std::string(static_cast<size_t>(width - length), '0') +
                  text.substr(sign));
}

Value partition(Interpreter& run, const Value& self, const Arguments& args, bool from_right) {
  const Value mark_value = args.get(0, "sep");
  const std::string& mark = run.text_argument(mark_value, "sep");
  const std::string& text = self.as_string();
  if (mark.empty()) run.fail("empty separator");
  size_t at = from_right ? text.rfind(mark) : text.find(mark);
  if (at == std::string::npos)
    return from_right ? Value::tuple({run.text(""), run.text(""), self})
                      : Value::tuple({self, run.text(""), run.text("")});
  return Value::tuple({run.text(text.substr(0, at)), mark_value, run.text(text.substr(at + mark.size()))});
}

Value count(Interpreter& run, const Value& self, const Arguments& args) {
  const Value wanted_value = args.get(0, "sub");
  if (self.is_sequence()) {
    int64_t found = 0;
    for (const auto& item : self.items()) found += run.equal(item, wanted_value);
    run.spend(self.items().size());
    return Value::integer(found);
  }
  const std::string& wanted = run.text_argument(wanted_value, "sub");
  if (wanted.empty()) return Value::integer(static_cast<int64_t>(unicode::count(self.as_string())) + 1);
  int64_t found = 0;
  for (size_t at = 0; (at = self.as_string().find(wanted, at)) != std::string::npos; at += wanted.size())
    found++;
  return Value::integer(found);
}

// True if the text is not empty and every character passes.
template <typename Predicate>
Value all_of(const Value& self, Predicate predicate) {
  for (char32_t point : unicode::to_points(self.as_string()))
    if (!predicate(point)) return Value::boolean(false);
  return Value::boolean(!self.as_string().empty());
}

std::string_view category(char32_t point) { return unicode::kCategoryNames[unicode::category(point)]; }

Value has_case(const Value& self, std::string_view wanted, std::string_view other) {
  bool found = false;
  for (char32_t point : unicode::to_points(self.as_string())) {
    if (category(point) == other || category(point) == "Lt") return Value::boolean(false);
    found |= category(point) == wanted;
  }
  return Value::boolean(found);
}

const Methods& text_methods() {
  static const Methods methods = {
      {"strip",
       [](Interpreter& r, const Value& s, const Arguments& a) { return stripped(r, s, a, true, true); }},
      {"lstrip",
       [](Interpreter& r, const Value& s, const Arguments& a) { return stripped(r, s, a, true, false); }},
      {"rstrip",
       [](Interpreter& r, const Value& s, const Arguments& a) { return stripped(r, s, a, false, true); }},
      {"split", [](Interpreter& r, const Value& s, const Arguments& a) { return split(r, s, a, false); }},
      {"rsplit", [](Interpreter& r, const Value& s, const Arguments& a) { return split(r, s, a, true); }},
      {"splitlines", splitlines},
      {"startswith", [](Interpreter& r, const Value& s, const Arguments& a) { return affix(r, s, a, true); }},
      {"endswith", [](Interpreter& r, const Value& s, const Arguments& a) { return affix(r, s, a, false); }},
      {"replace", replace},
      {"find",
       [](Interpreter& r, const Value& s, const Arguments& a) { return find(r, s, a, false, false); }},
      {"rfind",
       [](Interpreter& r, const Value& s, const Arguments& a) { return find(r, s, a, true, false); }},
      {"index",
       [](Interpreter& r, const Value& s, const Arguments& a) { return find(r, s, a, false, true); }},
      {"rindex",
       [](Interpreter& r, const Value& s, const Arguments& a) { return find(r, s, a, true, true); }},
      {"count", count},
      {"ljust", [](Interpreter& r, const Value& s, const Arguments& a) { return pad(r, s, a, 0); }},
      {"rjust", [](Interpreter& r, const Value& s, const Arguments& a) { return pad(r, s, a, 1); }},
      {"center", [](Interpreter& r, const Value& s, const Arguments& a) { return pad(r, s, a, 0.5); }},
      {"zfill", zfill},
      {"partition",
       [](Interpreter& r, const Value& s, const Arguments& a) { return partition(r, s, a, false); }},
      {"rpartition",
       [](Interpreter& r, const Value& s, const Arguments& a) { return partition(r, s, a, true); }},
      {"lower",
       [](Interpreter& r, const Value& s, const Arguments&) { return r.text(lower(s.as_string())); }},
      {"casefold",
       [](Interpreter& r, const Value& s, const Arguments&) { return r.text(lower(s.as_string())); }},
      {"upper",
       [](Interpreter& r, const Value& s, const Arguments&) { return r.text(upper(s.as_string())); }},
      {"title",
       [](Interpreter& r, const Value& s, const Arguments&) { return r.text(title(s.as_string())); }},
      {"capitalize",
       [](Interpreter& r, const Value& s, const Arguments&) { return r.text(capitalize(s.as_string())); }},
      {"join",
       [](Interpreter& r, const Value& s, const Arguments& a) {
         std::string out;
         bool first = true;
         for (const auto& item : r.items_of(a.get(0, "iterable"))) {
           if (!first) out += s.as_string();
           first = false;
           out += r.text_argument(item, "each item of join");
           r.charge(s.as_string().size() + item.as_string().size());
         }
         return r.text(std::move(out));
       }},
      {"removeprefix",
       [](Interpreter& r, const Value& s, const Arguments& a) {
         const Value given = a.get(0, "prefix");
         const std::string& part = r.text_argument(given, "prefix");
         return s.as_string().starts_with(part) ? r.text(s.as_string().substr(part.size())) : s;
       }},
      {"removesuffix",
       [](Interpreter& r, const Value& s, const Arguments& a) {
         const Value given = a.get(0, "suffix");
         const std::string& part = r.text_argument(given, "suffix");
         return s.as_string().ends_with(part)
                    ? r.text(s.as_string().substr(0, s.as_string().size() - part.size()))
                    : s;
       }},
      {"format", [](Interpreter& r, const Value& s,
                    const Arguments& a) { return r.text(brace_format(r, s.as_string(), a)); }},
      {"isspace", [](Interpreter&, const Value& s, const Arguments&) { return all_of(s, is_python_space); }},
      {"isdigit", [](Interpreter&, const Value& s,
                     const Arguments&) { return all_of(s, [](char32_t p) { return category(p) == "Nd"; }); }},
      {"isdecimal",
       [](Interpreter&, const Value& s, const Arguments&) {
         return all_of(s, [](char32_t p) { return category(p) == "Nd"; });
       }},
      {"isnumeric",
       [](Interpreter&, const Value& s, const Arguments&) { return all_of(s, unicode::is_numeric); }},
      {"isalpha",
       [](Interpreter&, const Value& s, const Arguments&) {
         return all_of(s, [](char32_t p) { return category(p)[0] == 'L'; });
       }},
      {"isalnum",
       [](Interpreter&, const Value& s, const Arguments&) {
         return all_of(s, [](char32_t p) { return category(p)[0] == 'L' || unicode::is_numeric(p); });
       }},
      {"isascii",
       [](Interpreter&, const Value& s, const Arguments&) {
         return Value::boolean(unicode::count(s.as_string()) == s.as_string().size());
       }},
      {"isupper", [](Interpreter&, const Value& s, const Arguments&) { return has_case(s, "Lu", "Ll"); }},
      {"islower", [](Interpreter&, const Value& s, const Arguments&) { return has_case(s, "Ll", "Lu"); }},
  };
  return methods;
}

const Methods& list_methods() {
  static const Methods methods = {
      {"count", count},
      {"index",
       [](Interpreter& r, const Value& s, const Arguments& a) {
         r.spend(s.items().size());
         const Value wanted = a.get(0, "value");
         for (size_t i = 0; i < s.items().size(); i++)
           if (r.equal(s.items()[i], wanted)) return Value::integer(static_cast<int64_t>(i));
         r.fail("the value is not in the list");
       }},
      {"copy", [](Interpreter&, const Value& s, const Arguments&) { return s; }},
  };
  return methods;
}

const Methods& dict_methods() {
  static const Methods methods = {
      {"get",
       [](Interpreter&, const Value& s, const Arguments& a) {
         const Value* found = s.as_dict().find(a.get(0, "key"));
         return found ? *found : a.get(1, "default");
       }},
      {"keys", [](Interpreter& r, const Value& s, const Arguments&) { return r.list(r.items_of(s)); }},
      {"values",
       [](Interpreter& r, const Value& s, const Arguments&) {
         List out;
         for (const auto& [key, value] : s.as_dict().entries()) out.push_back(value);
         r.spend(out.size());
         return r.list(std::move(out));
       }},
      {"items",
       [](Interpreter& r, const Value& s, const Arguments&) {
         List out;
         for (const auto& [key, value] : s.as_dict().entries()) out.push_back(Value::tuple({key, value}));
         r.spend(out.size());
         r.charge(out.size() * 2 * sizeof(Value));
         return r.list(std::move(out));
       }},
      {"copy", [](Interpreter&, const Value& s, const Arguments&) { return s; }},
  };
  return methods;
}

// Names that would change the value in place; jinja2's immutable sandbox refuses them too.
bool is_mutator(const Value& owner, std::string_view name) {
  static const std::unordered_set<std::string_view> list = {"append", "clear",  "extend",  "insert",
                                                            "pop",    "remove", "reverse", "sort"};
  static const std::unordered_set<std::string_view> dict = {"clear", "pop", "popitem", "setdefault",
                                                            "update"};
  return (owner.is(Value::Kind::kList) && list.contains(name)) || (owner.is_dict() && dict.contains(name));
}

}  // namespace

static Method find_method(const Value& owner, std::string_view name) {
  const Methods* methods = owner.is_string()     ? &text_methods()
                           : owner.is_sequence() ? &list_methods()
                           : owner.is_dict()     ? &dict_methods()
                                                 : nullptr;
  if (!methods) return nullptr;
  auto found = methods->find(name);
  return found == methods->end() ? nullptr : found->second;
}

bool call_method(Interpreter& interpreter, const Value& owner, const std::string& name,
                 const Arguments& arguments, Value& result) {
  Method method = find_method(owner, name);
  if (!method) return false;
  interpreter.spend(1);
  interpreter.spend_search(owner, arguments);
  result = method(interpreter, owner, arguments);
  return true;
}

Value bound_method(Interpreter& interpreter, const Value& owner, const std::string& name) {
  if (is_mutator(owner, name))
    return Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe", name, owner.type_name()));
  Method method = find_method(owner, name);
  if (!method) return {};
  return Value::object(interpreter.own(
      std::make_unique<Function>([method, owner](Interpreter& run, const Arguments& arguments) {
        run.spend_search(owner, arguments);
        return method(run, owner, arguments);
      })));
}

}  // namespace rose::text::jinja
