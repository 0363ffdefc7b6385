// Filters that make or change texts and numbers.
#include <fmt/format.h>

#include <algorithm>

#include <cmath>
#include <unordered_map>

#include "text/jinja/interpreter.h"
#include "text/jinja/python_text.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

// jinja2's "soft_str": what is not a text becomes one.
std::string soft(Interpreter& run, const Value& value) {
  return value.is_string() ? value.as_string() : run.str(value);
}

Value trim(Interpreter& run, const Value& input, const Arguments& args) {
  std::string text = soft(run, input);
  Value characters = args.get(0, "chars");
  const std::string* set =
      characters.is_none() ? nullptr : &run.text_argument(characters, "the argument of trim");
  return run.text(std::string(strip(text, set, true, true)));
}

Value replace(Interpreter& run, const Value& input, const Arguments& args) {
  if (!args.find(0, "old") || !args.find(1, "new")) run.fail("replace needs what to replace and what with");
  Value text = run.text(soft(run, input)), result;
  Arguments plain{{run.text(soft(run, args.get(0, "old"))), run.text(soft(run, args.get(1, "new")))}, {}};
  Value count = args.get(2, "count");
  if (!count.is_none()) plain.positional.push_back(count);
  call_method(run, text, "replace", plain, result);
  return result;
}

Value escape(Interpreter& run, const Value& input, const Arguments&) {
  std::string out;
  for (char c : soft(run, input)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out.push_back(c);
    }
  }
  return run.text(std::move(out));
}

// A new line behind each "\n", also at the first line or on blank ones if asked.
Value indent(Interpreter& run, const Value& input, const Arguments& args) {
  Value width = args.get(0, "width", Value::integer(4));
  int64_t spaces = width.is_string() ? 0 : run.integer_argument(width, "the width of indent");
  run.charge(static_cast<size_t>(std::clamp<int64_t>(spaces, 0, INT32_MAX)));
  std::string prefix = width.is_string()
                           ? width.as_string()
                           : std::string(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
  bool first = args.get(1, "first").truth(), blank = args.get(2, "blank").truth();
  Value lines, text = run.text(soft(run, input) + "\n");
  call_method(run, text, "splitlines", {}, lines);
  std::string out;
  for (size_t i = 0; i < lines.items().size(); i++) {
    const std::string& line = lines.items()[i].as_string();
    if (i > 0) out.push_back('\n');
    if (i == 0 ? first : blank || !line.empty()) {
      run.charge(prefix.size());
      out += prefix;
    }
    out += line;
  }
  return run.text(std::move(out));
}

Value tojson(Interpreter& run, const Value& input, const Arguments& args) {
  JsonStyle style;
  style.ascii_only = args.get(0, "ensure_ascii").truth();
  Value indent = args.get(1, "indent"), separators = args.get(2, "separators");
  style.sort_keys = args.get(3, "sort_keys").truth();
  if (!indent.is_none()) {
    int64_t width = run.integer_argument(indent, "the indent of tojson");
    if (width > 100) run.fail("the indent of tojson is larger than 100");
    style.indent = static_cast<int>(std::max<int64_t>(width, 0));
    style.item_separator = ",";
  }
  if (separators.is_sequence() && separators.items().size() == 2) {
    style.item_separator = run.text_argument(separators.items()[0], "a separator of tojson");
    style.key_separator = run.text_argument(separators.items()[1], "a separator of tojson");
  }
  return run.text(to_json(run, input, style));
}

Value to_int(Interpreter& run, const Value& input, const Arguments& args) {
  Value otherwise = args.get(0, "default", Value::integer(0));
  int64_t base = run.integer_argument(args.get(1, "base", Value::integer(10)), "the base of int");
  if (input.is_undefined()) run.fail(input.undefined_message());
  if (input.is_integral()) return Value::integer(input.as_integer());
  if (input.is(Value::Kind::kFloat))
    return std::abs(input.as_real()) < 9.2e18 ? Value::integer(static_cast<int64_t>(input.as_real()))
                                              : otherwise;
  if (!input.is_string()) return otherwise;
  std::string text(strip(input.as_string(), nullptr, true, true));
  bool negative = text.starts_with('-');
  std::string digits = text.substr(negative || text.starts_with('+'));
  std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "\n";
  if (lower(digits).starts_with(prefix)) digits = digits.substr(2);
  std::erase(digits, '_');
  char* end = nullptr;
  errno = 0;
  long long value =
      base >= 2 && base <= 36 && !digits.empty() && isalnum(static_cast<unsigned char>(digits[0]))
          ? std::strtoll(digits.c_str(), &end, static_cast<int>(base))
          : 0;
  if (end && *end == '\0' && errno == 0) return Value::integer(negative ? -value : value);
  if (base != 10 || !end || digits.empty()) return otherwise;
  double real = std::strtod(digits.c_str(), &end);  // int("2.5") fails, so jinja2 tries int(float("2.5"))
  bool whole_text = *end == '\0' && std::abs(real) < 9.2e18;
  return whole_text ? Value::integer(static_cast<int64_t>(negative ? -real : real)) : otherwise;
}

Value to_float(Interpreter& run, const Value& input, const Arguments& args) {
  if (input.is_undefined()) run.fail(input.undefined_message());
  Value otherwise = args.get(0, "default", Value::real(0));
  if (input.is_number()) return Value::real(input.as_real());
  if (!input.is_string()) return otherwise;
  std::string text(strip(input.as_string(), nullptr, true, true));
  char* end = nullptr;
  double real = std::strtod(text.c_str(), &end);
  bool hexadecimal = text.find_first_of("xXpP") != std::string::npos;
  return !text.empty() && *end == '\0' && !hexadecimal ? Value::real(real) : otherwise;
}

Value round(Interpreter& run, const Value& input, const Arguments& args) {
  if (!input.is_number()) run.fail(fmt::format("'{}' object cannot be rounded", input.type_name()));
  int64_t digits =
      run.integer_argument(args.get(0, "precision", Value::integer(0)), "the precision of round");
  Value method = args.get(1, "method", Value::string("common"));
  std::string name = run.text_argument(method, "the method of round");
  double value = input.as_real();
  if (name == "common") {
    // Python rounds the exact decimal value, half to even: what printing with that many digits does.
    if (input.is_integral() && digits >= 0) return Value::integer(input.as_integer());
    if (digits > 300) return Value::real(value);
    if (digits >= 0) return Value::real(std::strtod(fmt::format("{:.{}f}", value, digits).c_str(), nullptr));
    double scale = std::pow(10.0, static_cast<double>(-digits));
    double rounded = std::nearbyint(value / scale) * scale;
    return input.is_integral() ? Value::integer(static_cast<int64_t>(rounded)) : Value::real(rounded);
  }
  if (name != "ceil" && name != "floor") run.fail("method must be common, ceil or floor");
  double scale = std::pow(10.0, static_cast<double>(digits));
  return Value::real((name == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) / scale);
}

Value absolute(Interpreter& run, const Value& input, const Arguments&) {
  if (!input.is_number()) run.fail(fmt::format("bad operand type for abs(): '{}'", input.type_name()));
  bool negative = input.as_real() < 0;
  if (!negative) return input.is_integral() ? Value::integer(input.as_integer()) : input;
  return run.binary("-", Value::integer(0), input);
}

Value truncate(Interpreter& run, const Value& input, const Arguments& args) {
  std::string text = soft(run, input);
  auto length = static_cast<size_t>(
      std::max<int64_t>(run.integer_argument(args.get(0, "length", Value::integer(255)), "length"), 0));
  bool kill_words = args.get(1, "killwords").truth();
  Value end = args.get(2, "end", Value::string("..."));
  auto leeway = args.get(3, "leeway");
  size_t slack = leeway.is_none()
                     ? 5
                     : static_cast<size_t>(std::max<int64_t>(run.integer_argument(leeway, "leeway"), 0));
  std::u32string points = unicode::to_points(text);
  size_t end_length = unicode::count(run.text_argument(end, "end"));
  if (length < end_length) run.fail(fmt::format("expected length >= {}, got {}", end_length, length));
  if (points.size() <= length + slack) return run.text(std::move(text));
  std::u32string kept = points.substr(0, length - end_length);
  if (!kill_words) kept = kept.substr(0, std::min(kept.rfind(U' '), kept.size()));
  return run.text(unicode::from_points(kept) + end.as_string());
}

Value wordcount(Interpreter& run, const Value& input, const Arguments&) {
  int64_t count = 0;
  bool inside = false;
  for (char32_t point : unicode::to_points(soft(run, input))) {
    bool word = unicode::is_word(point);
    count += word && !inside;
    inside = word;
  }
  return Value::integer(count);
}

Value center(Interpreter& run, const Value& input, const Arguments& args) {
  Value result, text = run.text(soft(run, input));
  call_method(run, text, "center", {{args.get(0, "width", Value::integer(80))}, {}}, result);
  return result;
}

// jinja2's title: a letter is upper case at the start and behind white space, '-' or an opening bracket.
Value title_filter(Interpreter& run, const Value& input, const Arguments&) {
  std::string out, word;
  auto flush = [&] {
    if (word.empty()) return;
    size_t first = unicode::sequence_length(word[0]);
    out += upper(word.substr(0, first)) + lower(word.substr(first));
    word.clear();
  };
  std::string text = soft(run, input);
  for (size_t at = 0; at < text.size();) {
    auto [point, next] = unicode::decode(text, at);
    bool separator =
        is_python_space(point) ||
        (point < 128 && std::string_view("-({[<").find(static_cast<char>(point)) != std::string_view::npos);
    if (separator) flush();
    (separator ? out : word).append(text, at, next - at);
    at = next;
  }
  flush();
  return run.text(std::move(out));
}

Value urlencode(Interpreter& run, const Value& input, const Arguments&) {
  auto quote = [&](const Value& value, bool keep_slash) {
    std::string out;
    for (char c : soft(run, value)) {
      bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   std::string_view("-._~").find(c) != std::string_view::npos || (keep_slash && c == '/');
      plain ? out.push_back(c) : void(out += fmt::format("%{:02X}", static_cast<unsigned char>(c)));
    }
    return out;
  };
  if (input.is_string() || !(input.is_dict() || input.is_sequence())) return run.text(quote(input, true));
  Value pairs = input;
  if (input.is_dict()) call_method(run, input, "items", {}, pairs);
  std::string out;
  for (const auto& pair : pairs.items()) {
    List parts = run.items_of(pair);
    if (parts.size() != 2) run.fail("urlencode needs pairs");
    if (!out.empty()) out += "&";
    out += quote(parts[0], false) + "=" + quote(parts[1], false);
  }
  return run.text(std::move(out));
}

Value striptags(Interpreter& run, const Value& input, const Arguments&) {
  std::string text = soft(run, input), plain;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 4, "<!--") == 0) {
      size_t end = text.find("-->", at);
      if (end != std::string::npos) {
        at = end + 3;
        continue;
      }
    } else if (text[at] == '<') {
      size_t end = text.find('>', at);
      if (end != std::string::npos) {
        at = end + 1;
        continue;
      }
    }
    plain.push_back(text[at++]);
  }
  Value words, source = run.text(std::move(plain)), joined;
  call_method(run, source, "split", {}, words);
  call_method(run, Value::string(" "), "join", {{words}, {}}, joined);
  return joined;
}

}  // namespace

const Filter* find_text_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> filters = {
      {"trim", {trim, "chars"}},
      {"replace", {replace, "old new count"}},
      {"escape", {escape, ""}},
      {"e", {escape, ""}},
      {"forceescape", {escape, ""}},
      {"indent", {indent, "width first blank"}},
      {"tojson", {tojson, "ensure_ascii indent separators sort_keys"}},
      {"int", {to_int, "default base"}},
      {"float", {to_float, "default"}},
      {"round", {round, "precision method"}},
      {"abs", {absolute, ""}},
      {"truncate", {truncate, "length killwords end leeway"}},
      {"wordcount", {wordcount, ""}},
      {"center", {center, "width"}},
      {"title", {title_filter, ""}},
      {"urlencode", {urlencode, ""}},
      {"striptags", {striptags, ""}},
      {"safe", {[](Interpreter& r, const Value& v, const Arguments&) { return r.text(soft(r, v)); }, ""}},
      {"string", {[](Interpreter& r, const Value& v, const Arguments&) { return r.text(soft(r, v)); }, ""}},
      {"lower",
       {[](Interpreter& r, const Value& v, const Arguments&) { return r.text(lower(soft(r, v))); }, ""}},
      {"upper",
       {[](Interpreter& r, const Value& v, const Arguments&) { return r.text(upper(soft(r, v))); }, ""}},
      {"capitalize",
       {[](Interpreter& r, const Value& v, const Arguments&) { return r.text(capitalize(soft(r, v))); }, ""}},
      {"pprint",
       {[](Interpreter& r, const Value& v, const Arguments&) { return r.text(to_repr(v, 64 << 20)); },
        "verbose"}},
      {"format",
       {[](Interpreter& r, const Value& v, const Arguments& a) {
          if (a.keywords.empty()) return r.text(percent_format(r, soft(r, v), Value::tuple(a.positional)));
          Dict named;
          for (const auto& [name, value] : a.keywords) named.set(name, value);
          return r.text(percent_format(r, soft(r, v), Value::dict(std::move(named))));
        },
        "*"}},
  };
  auto found = filters.find(name);
  return found == filters.end() ? nullptr : &found->second;
}

}  // namespace rose::text::jinja
